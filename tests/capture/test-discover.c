/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Machines of seven shapes, recorded: what discovery says of them, which disks
 * a capture takes, and what is found before it starts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "capture/discover.h"
#include "capture/layout.h"
#include "capture/stack.h"
#include "p2v/base/mem.h"
#include "tests/base/lib-must.h"
#include "tests/capture/lib-recorded.h"

#define GIB 1024ull

static void record_bios_sata(struct recorded_machine *r)
{
	record(r, "/sys/class/scsi_host/host0/proc_name", "ahci");
	record_disk(r, &(struct recorded_disk){"sda", "8:0",
					       "pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0",
					       500 * GIB, "ST500DM002", "Z3T1"});
	record_disk(r, &(struct recorded_disk){"sdb", "8:16", "pci0000:00/usb1/1-1/host6/target6:0:0/6:0:0:0",
					       16 * GIB, "Ultra Fit", "4C53", .flags = RECORDED_REMOVABLE});
	record_disk(r, &(struct recorded_disk){"sr0", "11:0",
					       "pci0000:00/0000:00:1f.2/ata2/host1/target1:0:0/1:0:0:0", 700,
					       "DVD", .flags = RECORDED_REMOVABLE});
	record_disk(r, &(struct recorded_disk){"loop0", "7:0", NULL, 64});
	record_disk(r, &(struct recorded_disk){"zram0", "252:0", NULL, 512});
	record_part(r, &(struct recorded_part){"sda", 1, "sda1", "8:1", "ext4", 1, 400 * GIB});
	record_part(r, &(struct recorded_part){"sda", 5, "sda5", "8:5", "swap", 401 * GIB, 8 * GIB});
	record_mount(r, "8:1", "/dev/sda1", "/", "rw");
	record_swap(r, "/dev/sda5");
	record_nic(r, "eth0", "00:1b:21:00:00:01", "pci0000:00/0000:00:19.0", "e1000e", NULL);
	record(r, "/addresses", "eth0 192.0.2.7/24\neth0 2001:db8::7/64");
	record(r, "/proc/net/route",
	       "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n"
	       "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\n"
	       "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF");
	record(r, "/etc/resolv.conf", "search example.org\nnameserver 192.0.2.53");
	record(r, "/etc/os-release", "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian GNU/Linux 12\"");
	record(r, "/proc/sys/kernel/hostname", "old box.example.org");
	record(r, "/sys/class/dmi/id/sys_vendor", "Dell Inc.");
	record(r, "/sys/class/dmi/id/product_serial", "To Be Filled By O.E.M.");
	record(r, "/proc/meminfo", "MemTotal:        8000000 kB");
}

static void record_nvme_multipath(struct recorded_machine *r)
{
	record(r, "/sys/firmware/efi/", NULL);
	record(r, "/sys/class/tpm/tpm0/tpm_version_major", "2");
	record_disk(r, &(struct recorded_disk){"nvme0n1", "259:1", "virtual/nvme-subsystem/nvme-subsys0",
					       1024 * GIB, "PM9A3", "S64"});
	record_disk(r, &(struct recorded_disk){"nvme0c0n1", "259:0", "pci0000:20/nvme/nvme0", 1024 * GIB,
					       "PM9A3", "S64", .flags = RECORDED_HIDDEN});
	record_disk(r, &(struct recorded_disk){"nvme0c1n1", "259:2", "pci0000:40/nvme/nvme1", 1024 * GIB,
					       "PM9A3", "S64", .flags = RECORDED_HIDDEN});
	record_part(r, &(struct recorded_part){"nvme0n1", 1, "nvme0n1p1", "259:3", "vfat", 1, 512});
	record_part(r, &(struct recorded_part){"nvme0n1", 2, "nvme0n1p2", "259:4", "xfs", 513, 900 * GIB});
	record_mount(r, "259:3", "/dev/nvme0n1p1", "/boot/efi", "rw");
	record_mount(r, "259:4", "/dev/nvme0n1p2", "/", "rw");
	record(r, "/proc/cpuinfo",
	       "processor\t: 0\nmodel name\t: Xeon\nphysical id\t: 0\ncore id\t\t: 0\nflags\t\t: fpu vmx "
	       "avx2\n\n"
	       "processor\t: 1\nmodel name\t: Xeon\nphysical id\t: 0\ncore id\t\t: 0\nflags\t\t: fpu vmx "
	       "avx2\n\n"
	       "processor\t: 2\nmodel name\t: Xeon\nphysical id\t: 1\ncore id\t\t: 0\nflags\t\t: fpu vmx "
	       "avx2\n");
}

static void record_sas_multipath(struct recorded_machine *r)
{
	record(r, "/sys/class/scsi_host/host0/proc_name", "mpt3sas");
	for (int i = 0; i < 2; i++)
		record_disk(r, &(struct recorded_disk){
				       i ? "sdb" : "sda", i ? "8:16" : "8:0",
				       i ? "pci0000:00/host0/port-0:1/end_device-0:1/target0:0:1/0:0:1:0"
					 : "pci0000:00/host0/port-0:0/end_device-0:0/target0:0:0/0:0:0:0",
				       3000 * GIB, "MSA2050"});
	record_part(r, &(struct recorded_part){"sda", 1, "sda1", "8:1", "LVM2_member", 1, 2999 * GIB});
	record_part(r, &(struct recorded_part){"sdb", 1, "sdb1", "8:17", "LVM2_member", 1, 2999 * GIB});
	record_volume(r, &(struct recorded_volume){"dm-0", "253:0", "mpatha", "mpath-3600c0ff", NULL,
						   "sda sdb", NULL, 3000 * GIB});
	record_volume(r, &(struct recorded_volume){"dm-1", "253:1", "mpatha1", "part1-mpath-3600c0ff", NULL,
						   "dm-0", "LVM2_member", 2999 * GIB});
	record_volume(r, &(struct recorded_volume){"dm-2", "253:2", "vg-root", "LVM-abc", NULL, "dm-1",
						   "ext4", 100 * GIB});
	record_mount(r, "253:2", "/dev/mapper/vg-root", "/", "rw");
}

static void record_cciss(struct recorded_machine *r)
{
	record_disk(r, &(struct recorded_disk){"cciss!c0d0", "104:0", "pci0000:00/0000:06:00.0/cciss0/c0d0",
					       136 * GIB});
	record_part(r,
		    &(struct recorded_part){"cciss!c0d0", 1, "cciss!c0d0p1", "104:1", "ext3", 1, 130 * GIB});
	record(r, "/sys/class/scsi_host/host0/proc_name", "hpsa");
	record_disk(r, &(struct recorded_disk){
			       "sda", "8:0", "pci0000:00/host0/scsi_host/end_device-0:0/target0:1:0/0:1:0:0",
			       70000 * GIB, "LOGICAL VOLUME"});
	record_mount(r, "104:1", "/dev/cciss/c0d0p1", "/", "ro");
}

static void record_md_luks_lvm(struct recorded_machine *r)
{
	record(r, "/sys/class/scsi_host/host0/proc_name", "ahci");
	for (int i = 0; i < 2; i++) {
		record_disk(r, &(struct recorded_disk){i ? "sdb" : "sda", i ? "8:16" : "8:0",
						       i ? "pci0000:00/ata2/host0/target0:0:1/0:0:1:0"
							 : "pci0000:00/ata1/host0/target0:0:0/0:0:0:0",
						       2000 * GIB, "WD2000", .sector_bytes = i ? 4096 : 512});
		record_part(r,
			    &(struct recorded_part){i ? "sdb" : "sda", 1, i ? "sdb1" : "sda1",
						    i ? "8:17" : "8:1", "linux_raid_member", 1, 1999 * GIB});
	}
	record_volume(r, &(struct recorded_volume){"md0", "9:0", NULL, NULL, "raid1", "sda1 sdb1",
						   "crypto_LUKS", 1999 * GIB});
	record_volume(r, &(struct recorded_volume){"dm-0", "253:0", "luks-0", "CRYPT-LUKS2-x", NULL, "md0",
						   "LVM2_member", 1999 * GIB});
	record_volume(r, &(struct recorded_volume){"dm-1", "253:1", "vg-root", "LVM-x", NULL, "dm-0", "ext4",
						   100 * GIB});
	record_volume(r, &(struct recorded_volume){"dm-2", "253:2", "vg-swap", "LVM-y", NULL, "dm-0", "swap",
						   8 * GIB});
	record_mount(r, "253:1", "/dev/mapper/vg-root", "/", "rw");
	record(r, "/dev/dm-2", "");
	record_swap(r, "/dev/dm-2");
	record_nic(r, "eno1", "aa:00:00:00:00:01", "pci0000:00/0000:01:00.0", "ixgbe", NULL);
	record_nic(r, "eno2", "aa:00:00:00:00:01", "pci0000:00/0000:01:00.1", "ixgbe", NULL);
	record_nic(r, "bond0", "aa:00:00:00:00:01", NULL, NULL, "bond");
	record_nic(r, "bond0.30", "aa:00:00:00:00:01", NULL, NULL, "vlan");
	record_nic(r, "docker0x", "02:00:00:00:00:01", NULL, NULL, NULL);
	record(r, "/sys/class/net/eno2/bonding_slave/perm_hwaddr", "aa:00:00:00:00:02");
	record(r, "/sys/class/net/eno1/master", "->../bond0");
	record(r, "/sys/class/net/eno2/master", "->../bond0");
	record(r, "/proc/net/vlan/config",
	       "VLAN Dev name    | VLAN ID\nName-Type: VLAN_NAME_TYPE_RAW\nbond0.30        | 30  | bond0");
	record(r, "/addresses", "bond0.30 198.51.100.9/26");
}

static void record_virtio(struct recorded_machine *r)
{
	record_disk(r, &(struct recorded_disk){"vda", "254:0", "pci0000:00/0000:00:04.0/virtio1", 40 * GIB});
	record_part(r, &(struct recorded_part){"vda", 1, "vda1", "254:1", "ext4", 1, 39 * GIB});
	record_mount(r, "254:1", "/dev/vda1", "/", "rw");
	record(r, "/sys/class/dmi/id/sys_vendor", "QEMU");
	record(r, "/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu hypervisor");
}

static void record_emmc(struct recorded_machine *r)
{
	record(r, "/sys/firmware/efi/", NULL);
	record_disk(r, &(struct recorded_disk){"mmcblk0", "179:0", "platform/mmc0/mmc0:0001", 32 * GIB});
	record_disk(r, &(struct recorded_disk){"mmcblk0boot0", "179:8", "platform/mmc0/mmc0:0001x", 4,
					       .flags = RECORDED_READ_ONLY});
	record_disk(r, &(struct recorded_disk){"sda", "8:0", "pci0000:00/usb1/1-1/host0/target0:0:0/0:0:0:0",
					       4 * GIB, "Stick", .flags = RECORDED_REMOVABLE});
	record_part(r, &(struct recorded_part){"sda", 1, "sda1", "8:1", "iso9660", 0, 900});
	record_mount(r, "8:1", "/dev/sda1", "/run/live/medium", "ro");
	record_disk(r, &(struct recorded_disk){"sdb", "8:16", "platform/host3/session1/target3:0:0/3:0:0:0",
					       400 * GIB});
}

static const struct shape {
	const char *name;
	void (*record)(struct recorded_machine *recording);
	const char *taken; /* sources with spaces; the boot disk first */
	const char *left_out; /* source and a word of the reason, with spaces */
	const char *found; /* what findings say, with '|' between */
	const char *not_found;
	const char *transport; /* of the first disk */
	const char *in_use; /* of the first disk: MiB from and to */
} shapes[] = {
	{"BIOS, SATA, USB stick", record_bios_sata, "/dev/sda",
	 "/dev/sdb removable /dev/sr0 optical /dev/loop0 file /dev/zram0 memory",
	 "/dev/sda is mounted for writing (/)", "cannot be read: none|hypervisor", "sata", "1 409601"},
	{"UEFI, NVMe multipath", record_nvme_multipath, "/dev/nvme0n1", "", "(/boot/efi, /)", "2 TiB", "nvme",
	 "1 922113"},
	{"SAS, dm-multipath, LVM", record_sas_multipath, "/dev/mapper/mpatha", "",
	 "/dev/mapper/mpatha is mounted for writing (/)|larger than 2 TiB", "RAID controller", "sas",
	 "1 3070977"},
	{"cciss and hpsa", record_cciss, "/dev/cciss/c0d0 /dev/sda", "",
	 "/dev/cciss/c0d0 is what a RAID controller|/dev/sda is larger than 64 TiB", "mounted for writing",
	 "raid", ""},
	{"md, LUKS, LVM", record_md_luks_lvm, "/dev/sda /dev/sdb", "",
	 "/dev/md0 is encrypted (LUKS)|/dev/sdb is mounted for writing (/)|/dev/sdb has sectors of 4096",
	 "not taken", "sata", "1 2046977"},
	{"virtio machine", record_virtio, "/dev/vda", "", "virtual machine already (kvm)", "RAID", "virtio",
	 "1 39937"},
	{"eMMC, started from a stick, iSCSI", record_emmc, "/dev/mmcblk0",
	 "/dev/mmcblk0boot0 eMMC /dev/sda started /dev/sdb iSCSI", "", "mounted", "mmc", ""},
};

static void check_taken(const struct shape *shape, const struct layout *layout)
{
	CLEANUP_TEXT struct text taken = {0};
	CLEANUP_STRV struct strv out = {0};
	size_t left_out = 0;

	strv_split(&out, shape->left_out, " ");
	for (size_t i = 0; i < layout->disk_count; i++) {
		if (layout->disks[i].is_taken)
			text_addf(&taken, "%s%s", taken.bytes ? " " : "", layout->disks[i].source);
		else
			left_out++;
		for (size_t k = 0; k < out.count; k += 2)
			if (!strcmp(out.items[k], layout->disks[i].source)) {
				assert_non_null(layout->disks[i].why_not);
				assert_non_null(strstr(layout->disks[i].why_not, out.items[k + 1]));
			}
	}
	assert_string_equal(taken.data, shape->taken);
	assert_int_equal(left_out, out.count / 2);
}

static void check_findings(const struct shape *shape, const struct layout *layout)
{
	CLEANUP_TEXT struct text all = {0};
	CLEANUP_STRV struct strv found = {0};
	CLEANUP_STRV struct strv not_found = {0};

	text_addf(&all, " ");
	for (size_t i = 0; i < layout->finding_count; i++)
		text_addf(&all, "%s\n", layout->findings[i].text);
	strv_split(&found, shape->found, "|");
	strv_split(&not_found, shape->not_found, "|");
	for (size_t i = 0; i < found.count; i++)
		if (!strstr(all.data, found.items[i]))
			fail_msg("%s: no finding '%s' in: %s", shape->name, found.items[i], all.data);
	for (size_t i = 0; i < not_found.count; i++)
		if (strstr(all.data, not_found.items[i]))
			fail_msg("%s: finding '%s' in: %s", shape->name, not_found.items[i], all.data);
}

static void check_in_use(const struct shape *shape, const struct machine *machine)
{
	CLEANUP_EXTENTS struct extents in_use = {0};
	CLEANUP_FREE char *text = NULL;

	stack_in_use(machine, machine->disks, &in_use);
	text = in_use.count ? xasprintf("%llu %llu", (unsigned long long)in_use.ranges[0].start >> 20,
					(unsigned long long)in_use.ranges[0].end >> 20)
			    : xstrdup("");
	assert_string_equal(text, shape->in_use);
}

/* What a machine says of itself is the same after a round through its JSON. */
static void check_json(const struct machine *machine)
{
	CLEANUP_JSON json_t *json = machine_to_json(machine);
	CLEANUP_MACHINE struct machine again = {0};
	CLEANUP_JSON json_t *json_again = NULL;

	must(machine_from_json(json, &again));
	json_again = machine_to_json(&again);
	assert_true(json_equal(json, json_again));
}

static void discover(void (*record_shape)(struct recorded_machine *), struct machine *ret_machine)
{
	struct recorded_machine *recording = recorded_create();

	record_shape(recording);
	must(discover_machine(recording->root, ret_machine));
	recorded_destroy(recording);
}

static void test_shapes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
		CLEANUP_MACHINE struct machine machine = {0};
		CLEANUP_LAYOUT struct layout layout = {0};

		print_message("%s\n", shapes[i].name);
		discover(shapes[i].record, &machine);
		must(layout_choose(&machine, NULL, &layout));
		check_taken(&shapes[i], &layout);
		check_findings(&shapes[i], &layout);
		assert_string_equal(machine.disks[0].transport, shapes[i].transport);
		check_in_use(&shapes[i], &machine);
		check_json(&machine);
	}
}

static void test_plain_machine(void **state)
{
	CLEANUP_MACHINE struct machine machine = {0};

	(void)state;
	discover(record_bios_sata, &machine);
	assert_int_equal(machine.firmware, FIRMWARE_BIOS);
	assert_string_equal(machine.name, "old-box");
	assert_string_equal(machine.os.id, "debian");
	assert_string_equal(machine.hardware.vendor, "Dell Inc.");
	assert_null(machine.hardware.serial);
	assert_int_equal(machine.memory_bytes, 8000000ull << 10);
	assert_string_equal(machine.disks[0].serial, "Z3T1");
	assert_string_equal(machine.disks[0].model, "ST500DM002");
	assert_int_equal(machine.disks[0].partition_count, 2);
	assert_int_equal(machine.disks[0].partitions[1].number, 5);
	assert_string_equal(machine.disks[0].partitions[0].content, "ext4");
	assert_string_equal(machine.disks[0].partitions[1].uses.items[0], "swap");
	assert_int_equal(machine.nic_count, 1);
	assert_string_equal(machine.nics[0].driver, "e1000e");
	assert_string_equal(machine.nics[0].addresses.items[1], "2001:db8::7/64");
	assert_string_equal(machine.routes[0].destination, "0.0.0.0/0");
	assert_string_equal(machine.routes[0].gateway, "192.0.2.1");
	assert_string_equal(machine.routes[1].destination, "192.0.2.0/24");
	assert_null(machine.routes[1].gateway);
	assert_string_equal(machine.dns.items[0], "192.0.2.53");
}

static void test_multipath_is_one_disk(void **state)
{
	CLEANUP_MACHINE struct machine nvme = {0};
	CLEANUP_MACHINE struct machine sas = {0};

	(void)state;
	discover(record_nvme_multipath, &nvme);
	assert_int_equal(nvme.disk_count, 1);
	assert_int_equal(nvme.disks[0].paths.count, 2);
	assert_string_equal(nvme.hardware.tpm, "2.0");
	assert_int_equal(nvme.firmware, FIRMWARE_UEFI);
	assert_int_equal(nvme.secure_boot, -1);
	assert_int_equal(nvme.cpu.sockets, 2);
	assert_int_equal(nvme.cpu.cores, 2);
	assert_int_equal(nvme.cpu.threads, 3);
	assert_int_equal(nvme.cpu.flags.count, 2);
	discover(record_sas_multipath, &sas);
	assert_int_equal(sas.disk_count, 1);
	assert_string_equal(sas.disks[0].paths.items[1], "/dev/sdb");
	assert_string_equal(sas.disks[0].partitions[0].device, "/dev/mapper/mpatha1");
	assert_int_equal(sas.volume_count, 1);
}

static void test_stack_and_bond(void **state)
{
	CLEANUP_MACHINE struct machine machine = {0};

	(void)state;
	discover(record_md_luks_lvm, &machine);
	assert_int_equal(machine.volume_count, 4);
	assert_string_equal(machine.volumes[3].kind, "md raid1");
	assert_string_equal(machine.volumes[0].kind, "crypt");
	assert_string_equal(machine.volumes[0].on.items[0], "/dev/md0");
	assert_string_equal(machine.volumes[2].uses.items[0], "swap");
	assert_int_equal(machine.nic_count, 4);
	assert_string_equal(machine.nics[0].kind, "bond");
	assert_int_equal(machine.nics[1].vlan, 30);
	assert_string_equal(machine.nics[1].lower, "bond0");
	assert_string_equal(machine.nics[1].addresses.items[0], "198.51.100.9/26");
	assert_string_equal(machine.nics[3].mac, "aa:00:00:00:00:02");
	assert_string_equal(machine.nics[3].master, "bond0");
}

/* Bind mounts, also one that is in front of what it shows, a container's, and btrfs with two subvolumes. */
static void record_binds(struct recorded_machine *r)
{
	record_disk(r, &(struct recorded_disk){"sda", "8:0", "pci0000:00/ata1/host0/target0:0:0/0:0:0:0",
					       40 * GIB});
	for (unsigned i = 1; i <= 4; i++) {
		CLEANUP_FREE char *name = xasprintf("sda%u", i);
		CLEANUP_FREE char *number = xasprintf("8:%u", i);

		record_part(r, &(struct recorded_part){"sda", i, name, number, "ext4", 1 + i * GIB, GIB});
	}
	record_part_mount(r, "8:1", "/dev/sda1", "/export", "/srv/export", NULL);
	record_mount(r, "8:1", "/dev/sda1", "/data", "rw");
	record_mount(r, "8:1", "/dev/sda1", "/mnt/again", "rw");
	record_part_mount(r, "8:1", "/dev/sda1", "/www", "/var/www", NULL);
	record_part_mount(r, "8:2", "/dev/sda2", "/containers/7/hosts", "/etc/hosts", NULL);
	record_part_mount(r, "8:2", "/dev/sda2", "/containers/7/name", "/etc/hostname", NULL);
	record_part_mount(r, "0:30", "/dev/sda3", "/@", "/btrfs", "/@");
	record_part_mount(r, "0:30", "/dev/sda3", "/@home", "/home", "/@home");
	record_part_mount(r, "0:30", "/dev/sda3", "/@home/ann", "/srv/ann", "/@home");
	record_mount(r, "8:4", "/dev/sda4", "/sysroot", "rw");
	record_part_mount(r, "8:4", "/dev/sda4", "/ostree/deploy", "/", NULL);
	record_part_mount(r, "8:4", "/dev/sda4", "/ostree/var", "/var", NULL);
}

static void test_bind_mounts(void **state)
{
	static const char *const expected[] = {"/data", "/etc/hosts", "/btrfs /home", "/sysroot /"};
	CLEANUP_MACHINE struct machine machine = {0};

	(void)state;
	discover(record_binds, &machine);
	for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
		const struct strv *uses = &machine.disks[0].partitions[i].uses;
		CLEANUP_TEXT struct text all = {0};

		for (size_t k = 0; k < uses->count; k++)
			text_addf(&all, "%s%s", k ? " " : "", uses->items[k]);
		assert_string_equal(all.data, expected[i]);
	}
}

static void test_chosen(void **state)
{
	CLEANUP_MACHINE struct machine machine = {0};
	CLEANUP_LAYOUT struct layout layout = {0};
	CLEANUP_STRV struct strv chosen = {0};
	struct layout_options options = {.chosen = &chosen};

	(void)state;
	discover(record_bios_sata, &machine);
	strv_add(&chosen, "/dev/sdb");
	must(layout_choose(&machine, &options, &layout));
	assert_true(layout_takes(&layout, "/dev/sdb"));
	assert_false(layout_takes(&layout, "/dev/sda"));
	layout_deinit(&layout);
	strv_add(&chosen, "/dev/sdz");
	must_fail_as(layout_choose(&machine, &options, &layout), ERR_USAGE, "/dev/sdz");
}

static void test_no_sysfs(void **state)
{
	CLEANUP_MACHINE struct machine machine = {0};

	(void)state;
	must_fail(discover_machine("/nonexistent", &machine), ERR_REFUSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_plain_machine),
		cmocka_unit_test(test_multipath_is_one_disk),
		cmocka_unit_test(test_stack_and_bond),
		cmocka_unit_test(test_bind_mounts),
		cmocka_unit_test(test_chosen),
		cmocka_unit_test(test_no_sysfs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
