/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * struct machine and a target become struct vm.
 *
 * All choices are made here, so that the writers only put them into words.
 * What the source did not tell gets a default and a note; what the target
 * cannot do is refused with the reason.  Hosts' own limits (how much memory is
 * free, which networks exist) are not known here: the writers leave them to
 * the script, or say what to check.
 */
#include "p2v/handover/vm.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define MIB (1ull << 20)
#define GIB (1ull << 30)
#define TIB (1ull << 40)

#define DEFAULT_PROCESSORS 2
#define DEFAULT_MEMORY_BYTES (2 * GIB)
#define MIN_MEMORY_BYTES (64 * MIB)

/* "Plan for Hyper-V scalability in Windows Server", virtual machine maximums by generation. */
static const struct hyperv_limits {
	unsigned processors;
	uint64_t memory_bytes;
} hyperv_limits[] = {
	[FIRMWARE_BIOS] = {64, 1 * TIB},
	[FIRMWARE_UEFI] = {240, 12 * TIB},
};
#define HYPERV_BIOS_DISK_MAX_BYTES (2 * TIB)
#define HYPERV_SCSI_PLACES 64
#define HYPERV_SCSI_CONTROLLERS 4

/* New-VM puts a DVD drive at 1:0. */
static const struct {
	unsigned controller, place;
} hyperv_ide_places[] = {{0, 0}, {0, 1}, {1, 1}};

/* The EFI system partition's type in a GPT (UEFI 2.10, table 5-7) and in an MBR (5.2.2). */
#define ESP_TYPE_GPT "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
#define ESP_TYPE_MBR "0xef"

static const char *const disk_drivers[] = {
	[VM_DISK_VIRTIO_BLK] = "virtio_blk", [VM_DISK_VIRTIO_SCSI] = "virtio_scsi", [VM_DISK_SATA] = "ahci",
	[VM_DISK_IDE] = "ata_piix",	     [VM_DISK_VMBUS_SCSI] = "hv_storvsc",
};

static const char *const nic_drivers[] = {
	[VM_NIC_VIRTIO] = "virtio_net",
	[VM_NIC_E1000E] = "e1000e",
	[VM_NIC_E1000] = "e1000",
	[VM_NIC_VMBUS] = "hv_netvsc",
};

/* What QEMU offers, the best first. */
static const enum vm_disk_bus kvm_buses[] = {VM_DISK_VIRTIO_BLK, VM_DISK_VIRTIO_SCSI, VM_DISK_SATA,
					     VM_DISK_IDE};
static const enum vm_nic_model kvm_nics[] = {VM_NIC_VIRTIO, VM_NIC_E1000E, VM_NIC_E1000};

const char *vm_disk_driver(enum vm_disk_bus bus)
{
	return disk_drivers[bus];
}

const char *vm_nic_driver(enum vm_nic_model model)
{
	return nic_drivers[model];
}

char *vm_normalise_mac(const char *text)
{
	char digits[13] = "";
	size_t count = 0;

	for (; *text; text++) {
		if (strchr(":-.", *text))
			continue;
		if (!isxdigit((unsigned char)*text) || count == 12)
			return NULL;
		digits[count++] = tolower((unsigned char)*text);
	}
	/* The lowest bit of the first byte marks group addresses (IEEE 802, 8.2). */
	if (count != 12 || strchr("13579bdf", digits[1]) || !strcmp(digits, "000000000000"))
		return NULL;
	return xasprintf("%.2s:%.2s:%.2s:%.2s:%.2s:%.2s", digits, digits + 2, digits + 4, digits + 6,
			 digits + 8, digits + 10);
}

/* Without control characters, which no host's management shows or takes. */
static char *make_name(const char *name)
{
	char *copy = xstrdup(name && *name ? name : "server");

	for (char *c = copy; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '_';
	return copy;
}

/* Windows forbids more than Linux does ("Naming Files, Paths, and Namespaces"): its rules hold for both. */
static char *make_file_name(const char *name)
{
	char *copy = make_name(name);
	size_t bytes;

	for (char *c = copy; *c; c++)
		if (strchr("<>:\"/\\|?*", *c))
			*c = '_';
	for (bytes = strlen(copy); bytes && strchr(". ", copy[bytes - 1]); bytes--)
		copy[bytes - 1] = '_';
	if (*copy == '.' || *copy == '-')
		*copy = '_';
	return copy;
}

static bool has_esp(const struct machine *machine)
{
	const struct machine_disk *disk = machine->disks;

	for (size_t i = 0; i < disk->partition_count; i++) {
		const char *type = disk->partitions[i].type;

		if (type && (!strcasecmp(type, ESP_TYPE_GPT) || !strcasecmp(type, ESP_TYPE_MBR)))
			return true;
	}
	return false;
}

static void choose_firmware(struct vm *vm, const struct machine *machine, const struct vm_options *options)
{
	vm->firmware = options->firmware ? options->firmware : machine->firmware;
	if (vm->firmware)
		return;
	vm->firmware = has_esp(machine) ? FIRMWARE_UEFI : FIRMWARE_BIOS;
	strv_addf(&vm->notes,
		  "The source did not tell its firmware: %s, because its boot disk has %s EFI system "
		  "partition.",
		  vm->firmware == FIRMWARE_UEFI ? "UEFI" : "BIOS", has_esp(machine) ? "an" : "no");
}

static void choose_secure_boot(struct vm *vm, const struct machine *machine, const struct vm_options *options)
{
	bool is_windows = machine->os.id && !strcmp(machine->os.id, "windows");

	vm->secure_boot = VM_SECURE_BOOT_OFF;
	if (vm->firmware != FIRMWARE_UEFI || !machine->secure_boot)
		return;
	if (!options->has_signed_loader) {
		if (machine->secure_boot > 0)
			strv_add(&vm->notes, "Secure Boot was on at the source and is off here: no signed "
					     "boot loader was found in the guest.");
		return;
	}
	/* Hyper-V has it on by default, the others off. */
	if (machine->secure_boot < 0 && vm->target != TARGET_HYPERV)
		return;
	vm->secure_boot = is_windows ? VM_SECURE_BOOT_WINDOWS : VM_SECURE_BOOT_MICROSOFT_CA;
	if (machine->secure_boot < 0)
		strv_add(&vm->notes,
			 "Whether Secure Boot was on at the source is not known; it is on here, since the "
			 "guest's boot loader is signed. Turn it off if the guest needs unsigned drivers.");
}

static void choose_size(struct vm *vm, const struct machine *machine)
{
	const struct hyperv_limits *limits = &hyperv_limits[vm->firmware];

	vm->processors = machine->processors;
	vm->memory_bytes = machine->memory_bytes;
	if (!vm->processors) {
		vm->processors = DEFAULT_PROCESSORS;
		strv_addf(&vm->notes, "The source did not tell its processors: %u are assumed.",
			  vm->processors);
	}
	if (!vm->memory_bytes) {
		vm->memory_bytes = DEFAULT_MEMORY_BYTES;
		strv_addf(&vm->notes, "The source did not tell its memory: %llu GiB are assumed.",
			  DEFAULT_MEMORY_BYTES / GIB);
	}
	if (vm->target == TARGET_HYPERV && vm->processors > limits->processors) {
		strv_addf(&vm->notes,
			  "The source has %u processors; a machine of this generation can have %u.",
			  vm->processors, limits->processors);
		vm->processors = limits->processors;
	}
	if (vm->target == TARGET_HYPERV && vm->memory_bytes > limits->memory_bytes) {
		strv_addf(&vm->notes,
			  "The source has %llu GiB of memory; a machine of this generation can have %llu.",
			  (unsigned long long)(vm->memory_bytes / GIB),
			  (unsigned long long)(limits->memory_bytes / GIB));
		vm->memory_bytes = limits->memory_bytes;
	}
	if (vm->memory_bytes < MIN_MEMORY_BYTES)
		vm->memory_bytes = MIN_MEMORY_BYTES;
	/* Hyper-V takes multiples of 2 MiB; firmware holes make real machines odd. */
	if (vm->memory_bytes > UINT64_MAX - 2 * MIB)
		vm->memory_bytes = UINT64_MAX - 2 * MIB;
	vm->memory_bytes = (vm->memory_bytes + 2 * MIB - 1) / (2 * MIB) * (2 * MIB);
}

static bool has_driver(const struct vm_options *options, const char *driver)
{
	return !options->drivers || strv_has(options->drivers, driver);
}

static bool has_large_sectors(const struct vm *vm)
{
	for (size_t i = 0; i < vm->disk_count; i++)
		if (vm->disks[i].logical_sector_bytes > 512)
			return true;
	return false;
}

static enum vm_disk_bus choose_kvm_bus(struct vm *vm, const struct vm_options *options)
{
	for (size_t i = 0; i < COUNT(kvm_buses); i++) {
		enum vm_disk_bus bus = kvm_buses[i];
		/* QEMU's ATA disks have sectors of 512 bytes, whatever they are told. */
		bool is_ata = bus == VM_DISK_SATA || bus == VM_DISK_IDE;

		if (!has_driver(options, disk_drivers[bus]) || (is_ata && has_large_sectors(vm)))
			continue;
		if (i)
			strv_addf(&vm->notes, "The guest has no %s driver: its disks are attached for %s.",
				  disk_drivers[kvm_buses[0]], disk_drivers[bus]);
		return bus;
	}
	strv_add(&vm->notes, "No disk driver that QEMU could serve was found in the guest: it may not boot.");
	return kvm_buses[0];
}

static enum vm_nic_model choose_kvm_nic(struct vm *vm, const struct vm_options *options)
{
	for (size_t i = 0; i < COUNT(kvm_nics); i++)
		if (has_driver(options, nic_drivers[kvm_nics[i]]))
			return kvm_nics[i];
	strv_add(&vm->notes, "No network driver that QEMU could serve was found in the guest.");
	return kvm_nics[0];
}

/* p2v cannot yet make a machine boot by UEFI that does not already. */
#define UEFI_ADVICE \
	"choose another target with --to, kvm for example; on Hyper-V only a machine that boots by UEFI can"

/* The boot disk first; its BIOS sees IDE disks alone, so those places are filled before SCSI's. */
static struct err *place_hyperv_bios(struct vm *vm)
{
	const struct vm_disk *boot = vm->disks;
	size_t ide_used = 0, scsi_used = 0;

	if (boot->size_bytes > HYPERV_BIOS_DISK_MAX_BYTES)
		return err_advise(
			err_refused("%s: %llu GiB are too large for the boot disk of a BIOS machine on "
				    "Hyper-V, which boots from at most %llu GiB",
				    boot->file, (unsigned long long)(boot->size_bytes / GIB),
				    (unsigned long long)(HYPERV_BIOS_DISK_MAX_BYTES / GIB)),
			UEFI_ADVICE);
	if (boot->logical_sector_bytes > 512)
		return err_advise(
			err_refused("%s: a BIOS machine on Hyper-V cannot boot from a disk of %u-byte "
				    "sectors",
				    boot->file, boot->logical_sector_bytes),
			UEFI_ADVICE);
	for (size_t i = 0; i < vm->disk_count; i++) {
		struct vm_disk *disk = &vm->disks[i];
		bool fits_ide = disk->size_bytes <= HYPERV_BIOS_DISK_MAX_BYTES &&
				disk->logical_sector_bytes <= 512 && ide_used < COUNT(hyperv_ide_places);

		disk->bus = fits_ide ? VM_DISK_IDE : VM_DISK_VMBUS_SCSI;
		if (fits_ide) {
			disk->controller = hyperv_ide_places[ide_used].controller;
			disk->place = hyperv_ide_places[ide_used++].place;
		} else {
			disk->controller = scsi_used / HYPERV_SCSI_PLACES;
			disk->place = scsi_used++ % HYPERV_SCSI_PLACES;
		}
	}
	return NULL;
}

static struct err *place_disks(struct vm *vm, const struct vm_options *options)
{
	if (vm->target == TARGET_HYPERV) {
		size_t max = HYPERV_SCSI_PLACES * HYPERV_SCSI_CONTROLLERS;

		if (vm->disk_count > max)
			return err_advise(
				err_refused("the machine has %zu disks; a machine on Hyper-V can have %zu",
					    vm->disk_count, max),
				"convert it without the disks that can be reached over the network");
		if (vm->firmware == FIRMWARE_BIOS)
			return place_hyperv_bios(vm);
		for (size_t i = 0; i < vm->disk_count; i++) {
			vm->disks[i].bus = VM_DISK_VMBUS_SCSI;
			vm->disks[i].controller = i / HYPERV_SCSI_PLACES;
			vm->disks[i].place = i % HYPERV_SCSI_PLACES;
		}
		return NULL;
	}
	if (vm->disk_count) {
		enum vm_disk_bus bus = choose_kvm_bus(vm, options);

		for (size_t i = 0; i < vm->disk_count; i++) {
			vm->disks[i].bus = bus;
			vm->disks[i].place = i;
		}
	}
	return NULL;
}

static struct err *check_file(const char *file)
{
	for (; *file; file++)
		if ((unsigned char)*file < 0x20 || *file == 0x7f)
			return err_advise(
				err_refused("the name of a disk's image has a control character in it"),
				"rename the image");
	return NULL;
}

static struct err *copy_disks(struct vm *vm, const struct machine *machine)
{
	vm->disks = xcalloc(machine->disk_count, sizeof *vm->disks);
	vm->disk_count = machine->disk_count;
	for (size_t i = 0; i < machine->disk_count; i++) {
		const struct machine_disk *from = &machine->disks[i];
		struct vm_disk *disk = &vm->disks[i];

		disk->file = from->file ? xstrdup(from->file) : xasprintf("disk%zu.%s", i, vm->image_format);
		disk->size_bytes = from->size_bytes;
		disk->logical_sector_bytes = from->logical_sector_bytes ? from->logical_sector_bytes : 512;
		disk->physical_sector_bytes = from->physical_sector_bytes ? from->physical_sector_bytes
									  : disk->logical_sector_bytes;
		TRY(check_file(disk->file));
	}
	return NULL;
}

static struct err *copy_nics(struct vm *vm, const struct machine *machine, const struct vm_options *options)
{
	enum vm_nic_model model = VM_NIC_VMBUS;

	if (!machine->nic_count)
		return NULL;
	if (vm->target != TARGET_HYPERV)
		model = choose_kvm_nic(vm, options);
	vm->nics = xcalloc(machine->nic_count, sizeof *vm->nics);
	vm->nic_count = machine->nic_count;
	for (size_t i = 0; i < machine->nic_count; i++) {
		const struct machine_nic *from = &machine->nics[i];
		struct vm_nic *nic = &vm->nics[i];

		nic->name = from->name ? make_name(from->name) : NULL;
		nic->model = model;
		if (!from->mac)
			continue;
		nic->mac = vm_normalise_mac(from->mac);
		if (!nic->mac)
			return err_advise(
				err_refused("network card %s: '%s' is no MAC address of a network card",
					    from->name ? from->name : "without a name", from->mac),
				"correct it in machine.json, or take it out there: one is made up then");
		if (from->mac_is_made_up)
			strv_addf(&vm->notes,
				  "The source did not tell the MAC address of %s: %s is made up. Licences or "
				  "DHCP reservations tied to the old one will not find it.",
				  nic->name ? nic->name : "a network card", nic->mac);
	}
	return NULL;
}

static struct err *derive(struct vm *vm, const struct machine *machine, const struct vm_options *options)
{
	if (!machine->disk_count)
		return err_advise(err_refused("the machine has no disk"), "name at least one");
	vm->name = make_name(machine->name);
	vm->file_name = make_file_name(machine->name);
	vm->image_format = xstrdup(options->image_format ? options->image_format : "vhdx");
	vm->image_dir = xstrdup(options->image_dir);
	choose_firmware(vm, machine, options);
	choose_secure_boot(vm, machine, options);
	choose_size(vm, machine);
	TRY(copy_disks(vm, machine));
	TRY(place_disks(vm, options));
	if (vm->target == TARGET_KVM && !strcmp(vm->image_format, "vhdx"))
		strv_add(&vm->notes,
			 "libvirt does not read VHDX: make qcow2 files of the images with qemu-img "
			 "convert, or convert with --format qcow2.");
	return copy_nics(vm, machine, options);
}

struct err *vm_derive(const struct machine *machine, enum target target, const struct vm_options *options,
		      struct vm *ret_vm)
{
	static const struct vm_options no_options;
	struct vm vm = {.target = target};
	struct err *err = derive(&vm, machine, options ? options : &no_options);

	if (err)
		vm_deinit(&vm);
	else
		*ret_vm = vm;
	return err;
}

void vm_deinit(struct vm *vm)
{
	for (size_t i = 0; i < vm->disk_count; i++)
		free(vm->disks[i].file);
	for (size_t i = 0; i < vm->nic_count; i++) {
		free(vm->nics[i].name);
		free(vm->nics[i].mac);
	}
	free(vm->disks);
	free(vm->nics);
	free(vm->name);
	free(vm->file_name);
	free(vm->image_format);
	free(vm->image_dir);
	strv_deinit(&vm->notes);
	*vm = (struct vm){0};
}
