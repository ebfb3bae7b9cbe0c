/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * QEMU's command line.
 *
 * Nothing is left to QEMU's defaults or to its configuration files.  Disks come
 * over NBD and are throw-away, so flushes are not passed on.  The network cards
 * are plugged into a network that leads nowhere.  No device has an option ROM,
 * so that the firmware does not try to boot from the network.
 */
#include "p2v/prove/qemu.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/prove/firmware.h"
#include "p2v/prove/script.h"

#define MIB (1ull << 20)
#define MAX_MEMORY_BYTES (2048 * MIB)
#define MAX_PROCESSORS 2

/* The board's own devices take the slots below and 1f; 8 functions a slot. */
#define FIRST_SLOT 3
#define SLOT_COUNT 28
/* As many as get a slot of their own. */
#define PLAIN_DEVICES 24
#define AHCI_PORTS 6

static void files_init(struct qemu_files *files, const char *scratch_dir)
{
	files->monitor = xasprintf("%s/qmp", scratch_dir);
	files->console[0] = xasprintf("%s/com1.log", scratch_dir);
	files->console[1] = xasprintf("%s/com2.log", scratch_dir);
	files->report = xasprintf("%s/report.log", scratch_dir);
	files->variables = xasprintf("%s/nvram.fd", scratch_dir);
	files->console_port = xasprintf("%s/sercon-port", scratch_dir);
	files->messages = xasprintf("%s/qemu.log", scratch_dir);
	files->screenshot = xasprintf("%s/screen.png", scratch_dir);
}

void qemu_files_deinit(struct qemu_files *files)
{
	free(files->monitor);
	free(files->console[0]);
	free(files->console[1]);
	free(files->report);
	free(files->variables);
	free(files->console_port);
	free(files->messages);
	free(files->screenshot);
	*files = (struct qemu_files){0};
}

/* In an option's value a comma is written twice. */
static char *escape_commas(const char *s)
{
	struct text text = {0};

	for (; *s; s++) {
		if (*s == ',')
			text_add(&text, ",", 1);
		text_add(&text, s, 1);
	}
	return text_take(&text);
}

static void add_path_option(struct strv *argv, const char *option, const char *before, const char *path)
{
	CLEANUP_FREE char *escaped = escape_commas(path);

	strv_add(argv, option);
	strv_addf(argv, "%s%s", before, escaped);
}

static void add_pair(struct strv *argv, const char *option, const char *value)
{
	strv_add(argv, option);
	strv_add(argv, value);
}

/* Red Hat keeps it out of PATH. */
static const char *find_program(void)
{
	static const char *const programs[] = {"qemu-system-x86_64", "qemu-kvm", "/usr/libexec/qemu-kvm"};

	for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
		if (run_is_installed(programs[i]))
			return programs[i];
	return NULL;
}

static void add_board(struct strv *argv, const char *program, const struct hardware *hardware,
		      const struct qemu_machine *machine)
{
	bool is_kvm = !strcmp(machine->accelerator, "kvm");

	strv_add(argv, program);
	strv_add(argv, "-nodefaults");
	strv_add(argv, "-no-user-config");
	strv_add(argv, "-machine");
	/* Hyper-V has no HPET, and the libvirt domain of p2v/handover none either. */
	strv_addf(argv, "%s,hpet=off%s", hardware->machine, machine->is_secure_boot ? ",smm=on" : "");
	add_pair(argv, "-accel", is_kvm ? "kvm" : "tcg,thread=multi");
	/* Five-level page tables are slow to emulate, and some loaders do not expect them. */
	add_pair(argv, "-cpu", is_kvm ? "host" : "max,la57=off");
	strv_add(argv, "-smp");
	strv_addf(argv, "%u", machine->processors);
	strv_add(argv, "-m");
	strv_addf(argv, "%llu", (unsigned long long)(machine->memory_bytes / MIB));
	add_pair(argv, "-rtc", "base=utc");
	add_pair(argv, "-display", "none");
	add_pair(argv, "-vga", "std");
	add_pair(argv, "-boot", "menu=off,strict=on");
}

static void add_ports(struct strv *argv, const struct qemu_files *files)
{
	add_path_option(argv, "-chardev", "socket,id=monitor,server=on,wait=off,path=", files->monitor);
	add_pair(argv, "-mon", "chardev=monitor,mode=control");
	add_path_option(argv, "-chardev", "file,id=com1,path=", files->console[0]);
	add_pair(argv, "-device", "isa-serial,chardev=com1,index=0");
	add_path_option(argv, "-chardev", "file,id=com2,path=", files->console[1]);
	add_pair(argv, "-device", "isa-serial,chardev=com2,index=1");
	add_path_option(argv, "-chardev", "file,id=report,path=", files->report);
	strv_add(argv, "-device");
	strv_addf(argv, "isa-serial,chardev=report,index=3,iobase=%s,irq=%d", PROVE_PORT_ADDRESS,
		  PROVE_PORT_IRQ);
}

/* SeaBIOS: "etc/sercon-port" is a little-endian number, the address of COM1. */
static struct err *add_bios(struct strv *argv, const struct qemu_files *files)
{
	static const unsigned char com1[] = {0xf8, 0x03};
	CLEANUP_FD int fd = open(files->console_port, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, com1, sizeof com1) != sizeof com1)
		return err_from_errno(errno, "%s", files->console_port);
	add_path_option(argv, "-fw_cfg", "name=etc/sercon-port,file=", files->console_port);
	return NULL;
}

static struct err *add_uefi(struct strv *argv, const struct qemu_files *files, bool want_secure,
			    struct qemu_machine *machine, struct uefi_files *uefi)
{
	TRY(firmware_find_uefi(want_secure, uefi));
	unlink(files->variables);
	TRY(firmware_copy_variables(uefi, files->variables));
	machine->is_secure_boot = uefi->is_secure;
	add_path_option(argv, "-drive", "if=pflash,unit=0,format=raw,readonly=on,file=", uefi->code);
	add_path_option(argv, "-drive", "if=pflash,unit=1,format=raw,file=", files->variables);
	if (uefi->is_secure)
		add_pair(argv, "-global", "driver=cfi.pflash01,property=secure,value=on");
	return NULL;
}

/* The place of the nth PCI device: its own slot, or, where there are many, a function of one. */
static char *make_place(size_t index, size_t total)
{
	if (total <= PLAIN_DEVICES)
		return xstrdup("");
	return xasprintf(",multifunction=on,addr=%zx.%zx", FIRST_SLOT + index / 8, index % 8);
}

struct places {
	size_t used, total;
};

static char *next_place(struct places *places)
{
	return make_place(places->used++, places->total);
}

/* Controllers that several disks share: made with the first of them. */
static void add_controller(struct strv *argv, enum hardware_disk kind, size_t nth, struct places *places)
{
	CLEANUP_FREE char *place = NULL;

	if (kind == HARDWARE_VIRTIO_SCSI && nth == 0) {
		place = next_place(places);
		strv_add(argv, "-device");
		strv_addf(argv, "virtio-scsi-pci,id=scsi%s", place);
	} else if (kind == HARDWARE_AHCI && nth % AHCI_PORTS == 0) {
		place = next_place(places);
		strv_add(argv, "-device");
		strv_addf(argv, "ich9-ahci,id=ahci%zu%s", nth / AHCI_PORTS, place);
	}
}

/* The disk on its controller; nth of its kind, `index` of all. */
static void add_disk_device(struct strv *argv, enum hardware_disk kind, size_t nth, size_t index,
			    const struct vm_disk *disk, struct places *places)
{
	CLEANUP_FREE char *sectors =
		xasprintf(",logical_block_size=%u,physical_block_size=%u,bootindex=%zu,drive=disk%zu",
			  disk->logical_sector_bytes, disk->physical_sector_bytes, index, index);
	CLEANUP_FREE char *place = NULL;

	add_controller(argv, kind, nth, places);
	strv_add(argv, "-device");
	switch (kind) {
	case HARDWARE_VIRTIO_BLK:
		place = next_place(places);
		strv_addf(argv, "virtio-blk-pci%s%s", sectors, place);
		break;
	case HARDWARE_VIRTIO_SCSI:
		strv_addf(argv, "scsi-hd,bus=scsi.0,scsi-id=%zu%s", nth, sectors);
		break;
	case HARDWARE_AHCI:
		strv_addf(argv, "ide-hd,bus=ahci%zu.%zu%s", nth / AHCI_PORTS, nth % AHCI_PORTS, sectors);
		break;
	case HARDWARE_IDE:
		strv_addf(argv, "ide-hd,bus=ide.%zu,unit=%zu%s", nth / 2, nth % 2, sectors);
		break;
	case HARDWARE_NVME:
		place = next_place(places);
		strv_addf(argv, "nvme,serial=p2v%zu%s%s", index, sectors, place);
		break;
	}
}

static void add_disk_backend(struct strv *argv, size_t index, const char *socket_path)
{
	CLEANUP_FREE char *name = xasprintf("disk%zu", index);
	CLEANUP_FREE char *text = NULL;
	CLEANUP_JSON json_t *node = json_pack("{s:s, s:s, s:{s:s, s:s}, s:{s:b}, s:s}", "driver", "nbd",
					      "node-name", name, "server", "type", "unix", "path",
					      socket_path, "cache", "no-flush", 1, "discard", "unmap");

	text = json_dumps(node, JSON_COMPACT);
	add_pair(argv, "-blockdev", text ? text : "");
}

static void add_nics(struct strv *argv, const struct vm *vm, enum hardware_nic kind, struct places *places)
{
	static const char *const models[] = {
		[HARDWARE_VIRTIO_NET] = "virtio-net-pci",
		[HARDWARE_E1000E] = "e1000e",
		[HARDWARE_E1000] = "e1000",
	};

	for (size_t i = 0; i < vm->nic_count; i++) {
		CLEANUP_FREE char *place = next_place(places);
		const char *mac = vm->nics[i].mac;

		strv_add(argv, "-netdev");
		strv_addf(argv, "user,id=net%zu,restrict=on", i);
		strv_add(argv, "-device");
		strv_addf(argv, "%s,netdev=net%zu,romfile=%s%s%s", models[kind], i, mac ? ",mac=" : "",
			  mac ? mac : "", place);
	}
}

/* PCI devices that will be made, one too many rather than too few. */
static size_t count_places(const struct vm *vm, const struct hardware *hardware)
{
	size_t total = vm->nic_count + 1;

	for (size_t i = 0; i < hardware->disk_count; i++)
		total += hardware->disks[i] == HARDWARE_VIRTIO_BLK || hardware->disks[i] == HARDWARE_NVME;
	return total + hardware->disk_count / AHCI_PORTS + 2;
}

static struct err *add_devices(struct strv *argv, const struct prove_options *options,
			       const struct hardware *hardware)
{
	const struct vm *vm = options->vm;
	struct places places = {.total = count_places(vm, hardware)};

	if (places.total > SLOT_COUNT * 8)
		return err_advise(
			err_refused("the machine has more disks and network cards than QEMU has slots for"),
			HARDWARE_ADVICE);
	for (size_t i = 0; i < vm->disk_count; i++) {
		size_t nth = 0;

		if (!options->nbd_sockets[i])
			return err_failed("%s: is not served", vm->disks[i].file);
		for (size_t k = 0; k < i; k++)
			nth += hardware->disks[k] == hardware->disks[i];
		add_disk_backend(argv, i, options->nbd_sockets[i]);
		add_disk_device(argv, hardware->disks[i], nth, i, &vm->disks[i], &places);
	}
	add_nics(argv, vm, hardware->nic, &places);
	if (vm->target == TARGET_KVM) {
		CLEANUP_FREE char *place = next_place(&places);

		strv_add(argv, "-device");
		strv_addf(argv, "virtio-rng-pci%s", place);
	}
	return NULL;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

struct err *qemu_prepare(const struct prove_options *options, const struct hardware *hardware,
			 const char *accelerator, struct qemu_files *ret_files,
			 struct qemu_machine *ret_machine, struct strv *ret_argv)
{
	const struct vm *vm = options->vm;
	CLEANUP_STRV struct strv firmware_argv = {0};
	const char *program = find_program();
	struct uefi_files uefi;

	files_init(ret_files, options->scratch_dir);
	*ret_machine = (struct qemu_machine){
		.accelerator = accelerator,
		.processors =
			options->processors ? options->processors : smaller(vm->processors, MAX_PROCESSORS),
		.memory_bytes = options->memory_bytes ? options->memory_bytes
						      : smaller(vm->memory_bytes, MAX_MEMORY_BYTES),
	};
	if (!program)
		return err_advise(err_refused("QEMU for x86-64 is not installed"),
				  "install the package 'qemu-system-x86' (Debian, Ubuntu) or 'qemu-kvm' "
				  "(Fedora, RHEL)");
	if (vm->firmware == FIRMWARE_UEFI)
		TRY(add_uefi(&firmware_argv, ret_files, vm->secure_boot != VM_SECURE_BOOT_OFF, ret_machine,
			     &uefi));
	else
		TRY(add_bios(&firmware_argv, ret_files));
	add_board(ret_argv, program, hardware, ret_machine);
	for (size_t i = 0; i < firmware_argv.count; i++)
		strv_add(ret_argv, firmware_argv.items[i]);
	add_ports(ret_argv, ret_files);
	return add_devices(ret_argv, options, hardware);
}
