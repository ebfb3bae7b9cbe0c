/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Members of software RAID, made by mdadm in libguestfs's appliance, with a file
 * system on each array: what the map of a member leaves out is overwritten, and
 * the file system, taken out of the member, must be sound.  Then superblocks
 * are changed: every doubt must be one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/le.h"
#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/base/strv.h"
#include "tests/base/lib-must.h"
#include "tests/capture/lib-files.h"
#include "tests/capture/lib-fs.h"

#define MIB (1ull << 20)
#define DISK_MIB 64
#define FILL_MIB 20

/* Nobody makes a file system here; its image file is a disk, and one is taken out into it. */
static const struct fs_case disk_case = {"disk", "ext4", DISK_MIB, FILL_MIB, {"true"}, {NULL}, FS_EMPTY, 0};

enum { MIRROR_A, MIRROR_B, VERSION_1_0, VERSION_0_90, DISKS };

struct disks {
	char *images[DISKS];
};

static int make_disks(void **state)
{
	static const char script[] =
		"debug sh \"mdadm --create /dev/md10 --run --level=1 --raid-devices=2 --metadata=1.2 "
		"--assume-clean /dev/disk/guestfs/diska /dev/disk/guestfs/diskb 2>&1\"\n"
		"debug sh \"mdadm --create /dev/md11 --run --level=1 --raid-devices=2 --metadata=1.0 "
		"--assume-clean /dev/disk/guestfs/diskc missing 2>&1\"\n"
		"debug sh \"mdadm --create /dev/md12 --run --level=1 --raid-devices=2 --metadata=0.90 "
		"--assume-clean /dev/disk/guestfs/diskd missing 2>&1\"\n";
	struct disks *disks = xcalloc(1, sizeof *disks);
	CLEANUP_TEXT struct text input = {0};
	CLEANUP_FREE char *tree = NULL;
	const char *argv[] = {"guestfish", NULL};

	for (int i = 0; i < DISKS; i++) {
		disks->images[i] = fs_make(&disk_case);
		text_addf(&input, "add %s format:raw label:disk%c\n", disks->images[i], 'a' + i);
	}
	tree = xasprintf("%s.tree", disks->images[0]);
	must_run((const char *const[]){"mkdir", tree, NULL});
	files_make(tree, FILL_MIB);
	text_addf(&input, "run\n%s", script);
	for (int i = 10; i < 13; i++)
		text_addf(&input, "mkfs ext4 /dev/md%d\nmount /dev/md%d /\ncopy-in %s /\numount /\n", i, i,
			  tree);
	text_addf(&input, "debug sh \"mdadm --stop /dev/md10 /dev/md11 /dev/md12 2>&1\"\n");
	must(run_argv(argv, &(struct run_options){.input = input.data, .input_bytes = input.bytes}, NULL));
	*state = disks;
	return 0;
}

static int remove_disks(void **state)
{
	struct disks *disks = *state;

	for (int i = 0; disks && i < DISKS; i++) {
		fs_remove(disks->images[i]);
		free(disks->images[i]);
	}
	free(disks);
	return 0;
}

static uint64_t get64(const char *image, uint64_t offset)
{
	CLEANUP_BLK struct blk *blk = NULL;
	le64 value;

	must(blk_file_open(image, 0, 0, &blk));
	must(blk_pread(blk, &value, sizeof value, offset));
	return le64_get(value);
}

static void copy(const char *from_image, uint64_t start, const char *to_image)
{
	CLEANUP_FREE uint8_t *data = xmalloc(MIB);
	CLEANUP_BLK struct blk *from = NULL;
	CLEANUP_BLK struct blk *to = NULL;

	must(blk_file_open(from_image, 0, 0, &from));
	must(blk_file_open(to_image, BLK_FILE_WRITE, 0, &to));
	for (uint64_t at = 0; at + start < from->size_bytes; at += MIB) {
		uint64_t bytes = from->size_bytes - start - at < MIB ? from->size_bytes - start - at : MIB;

		must(blk_pread(from, data, bytes, start + at));
		must(blk_pwrite(to, data, bytes, at, 0));
	}
}

/* The files are in a folder named like the tree that went in. */
static bool has_files(const char *image, const char *tree)
{
	CLEANUP_FREE char *folder = xasprintf("%s.mnt", image);
	CLEANUP_FREE char *inside = xasprintf("%s/%s", folder, tree);
	bool right;

	must_run((const char *const[]){"mkdir", folder, NULL});
	must_run((const char *const[]){"mount", "-t", "ext4", "-o", "loop,ro", image, folder, NULL});
	right = files_are_there(inside, FILL_MIB);
	must_run((const char *const[]){"umount", folder, NULL});
	return right;
}

static void test_rest_may_be_anything(void **state)
{
	struct disks *disks = *state;

	for (int i = 0; i < DISKS; i++) {
		CLEANUP_FREE char *scratch = fs_make(&disk_case);
		CLEANUP_FREE char *content = fs_make(&disk_case);
		CLEANUP_USEDMAP struct usedmap map = {0};
		uint64_t start = i <= MIRROR_B ? get64(disks->images[i], 4096 + 128) * 512 : 0;

		copy(disks->images[i], 0, scratch);
		fs_map(scratch, NULL, &map);
		for (size_t k = 0; k < map.piece_count; k++)
			print_message("%d: %s: %s, %llu of %llu\n", i,
				      map.pieces[k].label ? map.pieces[k].label : "disk",
				      map.pieces[k].doubt ? map.pieces[k].doubt : "trusted",
				      (unsigned long long)map.pieces[k].used_bytes,
				      (unsigned long long)map.pieces[k].size_bytes);
		assert_int_equal(map.piece_count, 2);
		assert_string_equal(map.pieces[0].kind, "linux_raid_member");
		assert_null(map.pieces[0].doubt);
		assert_string_equal(map.pieces[1].kind, "ext4");
		assert_null(map.pieces[1].doubt);
		assert_true(map.pieces[0].used_bytes < (FILL_MIB + 15) * MIB);
		fs_overwrite_rest(scratch, &map.used);
		copy(scratch, start, content);
		must_run((const char *const[]){"e2fsck", "-f", "-n", content, NULL});
		assert_true(has_files(content, "image.tree"));
		fs_remove(scratch);
		fs_remove(content);
	}
}

static const struct {
	int disk;
	uint32_t offset; /* in the superblock */
	uint32_t value; /* of 32 bits */
	bool sum_is_mended;
	const char *doubt;
} changes[] = {
	{MIRROR_A, 72, 5, true, "part of a RAID"},
	{MIRROR_A, 72, 5, false, "checksum of its RAID superblock"},
	{MIRROR_A, 8, 4, true, "being rebuilt"},
	{MIRROR_A, 208, 0, true, "not in sync"},
	{MIRROR_A, 256, 0xfffeffff, true, "no active member"},
	{MIRROR_A, 160, 7777, true, "no active member"},
	{MIRROR_A, 220, 0x7fffffff, true, "checksum of its RAID superblock"},
	{MIRROR_A, 128, 0xf0000000, true, "larger than the device"},
	{VERSION_1_0, 72, 10, true, "part of a RAID"},
	{VERSION_0_90, 28, 0, true, "part of a RAID"},
	{VERSION_0_90, 28, 0, false, "checksum of its RAID superblock"},
	{VERSION_0_90, 8, 91, true, "being reshaped"},
	{VERSION_0_90, 132, 0, true, "not in sync"},
	{VERSION_0_90, 3984, 1, true, "no active member"},
	{VERSION_0_90, 32, 1024, true, "something else"},
};

static uint64_t super_offset(int disk)
{
	uint64_t bytes = DISK_MIB * MIB;

	return disk == VERSION_0_90 ? bytes - 65536 : disk == VERSION_1_0 ? bytes - 8192 : 4096;
}

static void put32(uint8_t *at, uint32_t value)
{
	le32 raw = le32_make(value);

	memcpy(at, &raw, sizeof raw);
}

static uint32_t get32(const uint8_t *at)
{
	le32 raw;

	memcpy(&raw, at, sizeof raw);
	return le32_get(raw);
}

static void mend_sum(int disk, uint8_t *super)
{
	uint32_t at_sum = disk == VERSION_0_90 ? 152 : 216;
	uint32_t bytes = disk == VERSION_0_90 ? 4096 : 256 + 2 * get32(super + 220);
	uint64_t sum = 0;

	for (uint32_t at = 0; at + 4 <= bytes && at + 4 <= 4096; at += 4)
		sum += at == at_sum ? 0 : get32(super + at);
	put32(super + at_sum, (uint32_t)sum + (uint32_t)(sum >> 32));
}

static void test_doubts(void **state)
{
	struct disks *disks = *state;

	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
		const char *image = disks->images[changes[i].disk];
		uint64_t offset = super_offset(changes[i].disk);
		uint8_t before[4096], after[4096];
		CLEANUP_USEDMAP struct usedmap map = {0};
		CLEANUP_BLK struct blk *blk = NULL;

		must(blk_file_open(image, BLK_FILE_WRITE, 0, &blk));
		must(blk_pread(blk, before, sizeof before, offset));
		memcpy(after, before, sizeof after);
		put32(after + changes[i].offset, changes[i].value);
		if (changes[i].sum_is_mended)
			mend_sum(changes[i].disk, after);
		must(blk_pwrite(blk, after, sizeof after, offset, 0));
		usedmap_take(blk, NULL, &map);
		must(blk_pwrite(blk, before, sizeof before, offset, 0));
		print_message("%s\n", map.pieces[0].doubt ? map.pieces[0].doubt : "trusted");
		assert_non_null(map.pieces[0].doubt);
		assert_non_null(strstr(map.pieces[0].doubt, changes[i].doubt));
		assert_int_equal(extents_total_bytes(&map.used), DISK_MIB * MIB);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rest_may_be_anything),
		cmocka_unit_test(test_doubts),
	};

	setenv("LIBGUESTFS_BACKEND", "direct", 1);
	setenv("LIBGUESTFS_BACKEND_SETTINGS", "force_tcg", 1);
	return cmocka_run_group_tests(tests, make_disks, remove_disks);
}
