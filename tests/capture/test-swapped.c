/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where on disks is swapped to: in recordings, and in files of real file systems,
 * whose pages are then looked for on the disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture/mounted.h"
#include "capture/swapped.h"
#include "p2v/base/mem.h"
#include "tests/base/lib-must.h"
#include "tests/capture/lib-live-fs.h"
#include "tests/capture/lib-recorded.h"

#define MIB (1ull << 20)
#define CELL_BYTES (64u << 10)
#define NO_UNIT (-1)
#define FILE_UNITS 20000
#define PIECE_UNITS 1000 /* something else is written behind each */
#define HEADER_UNITS 4 /* a page, which mkswap(8) writes */
#define KEPT_UNITS 64

static struct recorded_machine *record_server(const char *swaps)
{
	struct recorded_machine *machine = recorded_create();

	record_disk(machine, &(struct recorded_disk){"sda", "8:0", "pci0000:00/ata1", 200, "DISK", "A"});
	record_disk(machine, &(struct recorded_disk){"sdb", "8:16", "pci0000:00/ata2", 200, "DISK", "B"});
	record_disk(machine, &(struct recorded_disk){.name = "zram0", .number = "252:0", .mib = 64});
	record_part(machine, &(struct recorded_part){"sda", 1, "sda1", "8:1", "swap", 5, 16});
	record_part(machine, &(struct recorded_part){"sdb", 1, "sdb1", "8:17", "LVM2_member", 1, 100});
	record_volume(machine, &(struct recorded_volume){.name = "dm-0",
							 .device_number = "253:0",
							 .dm_name = "vg-swap",
							 .dm_uuid = "LVM-x",
							 .on = "sdb1",
							 .content = "swap",
							 .mib = 64});
	record(machine, "/proc/swaps", swaps);
	return machine;
}

static void find(const struct recorded_machine *machine, uint64_t cell_bytes, struct swapped *ret_swapped)
{
	CLEANUP_STRV struct strv disks = {0};

	strv_add(&disks, "8:16");
	strv_add(&disks, "8:0");
	swapped_find(machine->root, &disks, cell_bytes, ret_swapped);
	assert_int_equal(ret_swapped->disk_count, 2);
}

static void assert_range(const struct extents *set, uint64_t start, uint64_t end)
{
	assert_int_equal(set->count, 1);
	assert_int_equal(set->ranges[0].start, start);
	assert_int_equal(set->ranges[0].end, end);
}

/* The header is kept, and so are cells that are shared with something else. */
static void test_partition(void **state)
{
	struct recorded_machine *machine =
		record_server("Filename Type Size Used Priority\n/dev/sda1  partition\t16380\t0 -2\n");
	struct swapped swapped;

	(void)state;
	find(machine, CELL_BYTES, &swapped);
	assert_int_equal(swapped.content[0].count + swapped.touched[0].count + swapped.unknown.count, 0);
	assert_range(&swapped.content[1], 5 * MIB + CELL_BYTES, 21 * MIB);
	assert_range(&swapped.touched[1], 5 * MIB, 21 * MIB);
	swapped_deinit(&swapped);
	find(machine, 4 * MIB, &swapped);
	assert_range(&swapped.content[1], 8 * MIB, 20 * MIB);
	assert_range(&swapped.touched[1], 4 * MIB, 24 * MIB);
	swapped_deinit(&swapped);
	recorded_destroy(machine);
}

/* Recordings have no tables of volumes, and no files. */
static void test_unknown(void **state)
{
	struct recorded_machine *machine = record_server("Filename Type Size Used Priority\n"
							 "/dev/zram0 partition 1000 0 100\n"
							 "/dev/dm-0 partition 65532 0 -2\n"
							 "/swap\\040file file 1000 0 -3\n"
							 "/dev/gone partition 1000 0 -4\n");
	struct swapped swapped;

	(void)state;
	find(machine, CELL_BYTES, &swapped);
	assert_int_equal(swapped.content[0].count + swapped.content[1].count, 0);
	assert_int_equal(swapped.touched[0].count + swapped.touched[1].count, 0);
	assert_int_equal(swapped.unknown.count, 3);
	assert_string_equal(swapped.unknown.items[0], "/dev/dm-0");
	assert_string_equal(swapped.unknown.items[1], "/swap file");
	assert_string_equal(swapped.unknown.items[2], "/dev/gone");
	swapped_deinit(&swapped);
	recorded_destroy(machine);
}

static void test_nonsense(void **state)
{
	static const char *const lines[] = {
		"",
		"Filename",
		"Filename\n/dev/sda1\n",
		"Filename\n/dev/sda1 partition\n",
		"Filename\n/dev/sda1 partition x\n",
		"Filename\n/dev/sda1 partition 0\n",
		"Filename\n/dev/sda1 partition 18446744073709551615\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		struct recorded_machine *machine = record_server(lines[i]);
		struct swapped swapped;

		find(machine, CELL_BYTES, &swapped);
		assert_int_equal(swapped.touched[0].count + swapped.touched[1].count + swapped.unknown.count,
				 0);
		swapped_deinit(&swapped);
		recorded_destroy(machine);
	}
}

/* The smallest block of the file systems: a page of the file may lie in several places. */
struct unit {
	uint64_t magic, number;
	uint8_t rest[1008];
};
static const uint64_t unit_magic = 0x54494e5550415753;

/* In pieces, so that it does not lie in one. */
static void write_swap(const char *path, const char *other_path)
{
	CLEANUP_FD int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	CLEANUP_FD int other = open(other_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	struct unit unit = {.magic = unit_magic};
	int flags = FS_NOCOW_FL;

	assert_true(fd >= 0 && other >= 0);
	/* Of btrfs alone. */
	(void)!ioctl(fd, FS_IOC_SETFLAGS, &flags);
	for (; unit.number < FILE_UNITS; unit.number++) {
		assert_int_equal(write(fd, &unit, sizeof unit), sizeof unit);
		if (unit.number % PIECE_UNITS)
			continue;
		assert_int_equal(fsync(fd), 0);
		assert_int_equal(write(other, unit.rest, sizeof unit.rest), sizeof unit.rest);
		assert_int_equal(fsync(other), 0);
	}
	assert_int_equal(fsync(fd), 0);
}

/* The number of the unit of swap that is there on the disk. */
static int64_t unit_at(const struct track_rig *rig, uint64_t at)
{
	const struct unit *unit = (const void *)(rig->copy + at);

	if (!memcmp((const uint8_t *)(unit + 1) - 10, "SWAPSPACE2", 10))
		return HEADER_UNITS - 1;
	return unit->magic == unit_magic ? (int64_t)unit->number : NO_UNIT;
}

/* All and nothing but what was swapped to: by the units on the disk, which are as they were written, for it
 * is from before anything was swapped out. */
static void assert_places(const struct track_rig *rig, const struct swapped *swapped)
{
	uint64_t units = 0, header_cells = 0;

	for (uint64_t cell = 0; cell < rig->size_bytes; cell += CELL_BYTES) {
		bool is_content = extents_contain(&swapped->content[0], cell, cell + CELL_BYTES);
		bool is_touched = extents_contain(&swapped->touched[0], cell, cell + CELL_BYTES);
		unsigned here = 0, counts_not = 0;

		for (uint64_t at = cell; at < cell + CELL_BYTES; at += sizeof(struct unit)) {
			here += unit_at(rig, at) != NO_UNIT;
			counts_not += unit_at(rig, at) >= KEPT_UNITS;
		}
		assert_int_equal(is_content, counts_not == CELL_BYTES / sizeof(struct unit));
		assert_true(is_touched || !here);
		header_cells += is_touched && !here;
		units += here;
	}
	/* All but the last unit of the header look like nothing. */
	assert_int_equal(units, FILE_UNITS - (HEADER_UNITS - 1));
	assert_true(header_cells < HEADER_UNITS);
	assert_true(extents_total_bytes(&swapped->content[0]) > FILE_UNITS / 2 * sizeof(struct unit));
}

/* Another file is where the name leads to: nothing of it may be left out. */
static void assert_not_taken(const struct strv *disks, const char *path, const char *other_path)
{
	struct swapped swapped;

	assert_int_equal(mount(other_path, path, NULL, MS_BIND, NULL), 0);
	swapped_find("", disks, CELL_BYTES, &swapped);
	assert_int_equal(umount(path), 0);
	assert_int_equal(swapped.touched[0].count, 0);
	assert_true(strv_has(&swapped.unknown, path));
	swapped_deinit(&swapped);
}

static void try_file(const struct track_rig *rig, const char *folder)
{
	CLEANUP_FREE char *path = xasprintf("%s/swap file", folder);
	CLEANUP_FREE char *other_path = xasprintf("%s/other", folder);
	CLEANUP_FREE char *number = mounted_device_number(rig->device);
	CLEANUP_STRV struct strv disks = {0};
	struct swapped swapped;

	strv_add(&disks, number);
	write_swap(path, other_path);
	must_run((const char *[]){"mkswap", "-q", path, NULL});
	sync();
	rig_read(rig, rig->copy, 0, rig->size_bytes);
	assert_int_equal(swapon(path, SWAP_FLAG_PREFER), 0);
	swapped_find("", &disks, CELL_BYTES, &swapped);
	assert_not_taken(&disks, path, other_path);
	assert_int_equal(swapoff(path), 0);
	assert_false(strv_has(&swapped.unknown, path));
	assert_places(rig, &swapped);
	swapped_deinit(&swapped);
	swapped_find("", &disks, CELL_BYTES, &swapped);
	assert_int_equal(swapped.touched[0].count, 0);
	swapped_deinit(&swapped);
}

static void test_files(void **state)
{
	(void)state;
	for (size_t kind = 0; kind < LIVE_FS_KINDS; kind++) {
		struct track_rig *rig = rig_make_blank(LIVE_FS_DISK_BYTES);
		CLEANUP_FREE char *folder = NULL;

		if (!rig)
			skip();
		print_message("%s\n", live_fs_kinds[kind].name);
		folder = xasprintf("%s/mnt", rig->dir);
		live_fs_make(rig, kind);
		assert_int_equal(mkdir(folder, 0700), 0);
		assert_int_equal(mount(rig->device, folder, live_fs_kinds[kind].name, 0, ""), 0);
		try_file(rig, folder);
		assert_int_equal(umount(folder), 0);
		assert_int_equal(rmdir(folder), 0);
		rig_remove(rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_partition),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests_name("swapped", tests, NULL, NULL);
}
