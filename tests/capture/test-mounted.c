// SPDX-License-Identifier: GPL-3.0-or-later
/* Which mounts are on which disks, and in what order they are frozen, on recorded machines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "capture/mounted.h"
#include "p2v/base/mem.h"
#include "tests/capture/lib-recorded.h"

/* Two disks: partitions on the one, a volume group over both, a RAID of the other's partition, btrfs on two.
 */
static struct recorded_machine *make_server(void)
{
	static const struct recorded_disk disks[] = {
		{.name = "sda", .number = "8:0", .place = "pci0/ata1/host0", .mib = 1000},
		{.name = "sdb", .number = "8:16", .place = "pci0/ata2/host1", .mib = 1000},
		{.name = "sdc", .number = "8:32", .place = "pci0/ata3/host2", .mib = 1000},
	};
	static const struct recorded_part parts[] = {
		{"sda", 1, "sda1", "8:1", "ext4", 1, 100},
		{"sda", 2, "sda2", "8:2", "LVM2_member", 101, 500},
		{"sdb", 1, "sdb1", "8:17", "LVM2_member", 1, 9},
		{"sdb", 2, "sdb2", "8:18", "btrfs", 10, 90},
		{"sdc", 1, "sdc1", "8:33", "btrfs", 1, 90},
		{"sdc", 2, "sdc2", "8:34", "vfat", 91, 90},
	};
	static const struct recorded_volume volumes[] = {
		{.name = "dm-0", .device_number = "253:0", .dm_name = "vg-root", .on = "sda2", .mib = 10},
		{.name = "dm-1",
		 .device_number = "253:1",
		 .dm_name = "vg-data",
		 .on = "sda2 sdb1",
		 .mib = 10},
		{.name = "md0", .device_number = "9:0", .md_level = "raid1", .on = "dm-1", .mib = 10},
	};
	struct recorded_machine *machine = recorded_create();

	for (size_t i = 0; i < sizeof disks / sizeof *disks; i++)
		record_disk(machine, &disks[i]);
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		record_part(machine, &parts[i]);
	for (size_t i = 0; i < sizeof volumes / sizeof *volumes; i++)
		record_volume(machine, &volumes[i]);
	/* One file system on two devices, named by the second. */
	record(machine, "/sys/fs/btrfs/uuid/devices/sdb2/", NULL);
	record(machine, "/sys/fs/btrfs/uuid/devices/sdc1/", NULL);
	record_mount(machine, "0:22", "proc", "/proc", "rw");
	record_mount(machine, "253:0", "/dev/mapper/vg-root", "/", "rw");
	record_mount(machine, "8:1", "/dev/sda1", "/boot", "rw");
	record_mount(machine, "9:0", "/dev/md0", "/srv/my\\040data", "rw");
	record_part_mount(machine, "0:44", "/dev/sdc1", "/@", "/pool", "/@");
	record_part_mount(machine, "0:45", "/dev/sdc1", "/@home", "/home", "/@home");
	record_mount(machine, "8:1", "/dev/sda1", "/mnt/again", "rw");
	record_mount(machine, "8:34", "/dev/sdc2", "/mnt/still", "ro");
	return machine;
}

static void test_order(void **state)
{
	static const struct {
		const char *disks, *points;
	} cases[] = {
		{"8:0", "/srv/my data|/boot|/"},
		{"8:16", "/pool|/srv/my data"},
		{"8:32", "/pool"},
		{"8:0 8:32", "/pool|/srv/my data|/boot|/"},
		{"253:1", "/srv/my data"},
		{"8:48", ""},
	};
	struct recorded_machine *machine = make_server();

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CLEANUP_STRV struct strv disks = {0};
		CLEANUP_STRV struct strv points = {0};
		CLEANUP_STRV struct strv wanted = {0};

		strv_split(&disks, cases[i].disks, " ");
		strv_split(&wanted, cases[i].points, "|");
		mounted_on(machine->root, &disks, &points);
		assert_int_equal(points.count, wanted.count);
		for (size_t k = 0; k < wanted.count; k++)
			assert_string_equal(points.items[k], wanted.items[k]);
	}
	recorded_destroy(machine);
}

static void test_below(void **state)
{
	static const struct {
		const char *folder, *points;
	} cases[] = {
		{"/mnt", "/mnt/still|/mnt/again"},
		{"/mnt/again", "/mnt/again"},
		{"/mn", ""},
		{"/srv", "/srv/my data"},
	};
	struct recorded_machine *machine = make_server();

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CLEANUP_STRV struct strv points = {0};
		CLEANUP_STRV struct strv wanted = {0};

		strv_split(&wanted, cases[i].points, "|");
		mounted_below(machine->root, cases[i].folder, &points);
		assert_int_equal(points.count, wanted.count);
		for (size_t k = 0; k < wanted.count; k++)
			assert_string_equal(points.items[k], wanted.items[k]);
	}
	recorded_destroy(machine);
}

static void test_no_device(void **state)
{
	(void)state;
	assert_null(mounted_device_number("/proc"));
	assert_null(mounted_device_number("/nothing/there"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_below),
		cmocka_unit_test(test_no_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
