/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The property of a used map: what is outside of it can be anything.  Every
 * file system is made, filled and partly emptied; all that the map leaves out
 * is overwritten; then its own checker must be content and every file equal.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "tests/base/lib-must.h"
#include "tests/capture/lib-fs.h"

#define EXT4_CHECK                   \
	{                            \
		"e2fsck", "-f", "-n" \
	}
/* A scrub reads every copy; it mends what it finds wrong, and then says so. */
#define BTRFS_CHECK                                                                               \
	"btrfs check \"$0\" && folder=$(mktemp -d) && mount -o loop \"$0\" \"$folder\" || exit; " \
	"btrfs scrub start -B \"$folder\" | grep 'no errors found'; status=$?; "                  \
	"umount \"$folder\"; rmdir \"$folder\"; exit $status"
static const struct fs_case cases[] = {
	{"ext4", "ext4", 96, 40, {"mke2fs", "-q", "-F", "-t", "ext4"}, EXT4_CHECK, FS_MOUNT, 1},
	{"ext4, 1 KiB blocks, 64bit",
	 "ext4",
	 64,
	 20,
	 {"mke2fs", "-q", "-F", "-t", "ext4", "-b", "1024", "-O", "64bit"},
	 EXT4_CHECK,
	 FS_MOUNT,
	 3},
	{"ext4, bigalloc",
	 "ext4",
	 128,
	 30,
	 {"mke2fs", "-q", "-F", "-t", "ext4", "-O", "bigalloc", "-C", "65536"},
	 EXT4_CHECK,
	 FS_MOUNT,
	 3},
	{"ext4, meta_bg without resize_inode",
	 "ext4",
	 80,
	 20,
	 {"mke2fs", "-q", "-F", "-t", "ext4", "-b", "1024", "-O", "meta_bg,^resize_inode"},
	 EXT4_CHECK,
	 FS_MOUNT,
	 3},
	{"ext4, uninit_bg without metadata_csum",
	 "ext4",
	 300,
	 30,
	 {"mke2fs", "-q", "-F", "-t", "ext4", "-O", "^metadata_csum,uninit_bg"},
	 EXT4_CHECK,
	 FS_MOUNT,
	 3},
	{"ext4, sparse_super2, no flex_bg",
	 "ext4",
	 200,
	 30,
	 {"mke2fs", "-q", "-F", "-t", "ext4", "-b", "1024", "-O", "sparse_super2,^flex_bg,^resize_inode"},
	 EXT4_CHECK,
	 FS_MOUNT,
	 3},
	{"ext2", "ext4", 64, 20, {"mke2fs", "-q", "-F", "-t", "ext2"}, EXT4_CHECK, FS_MOUNT, 1},
	{"ext3, revision 0 features",
	 "ext4",
	 64,
	 20,
	 {"mke2fs", "-q", "-F", "-t", "ext3", "-O", "none,has_journal"},
	 EXT4_CHECK,
	 FS_MOUNT,
	 3},
	{"XFS", "xfs", 400, 40, {"mkfs.xfs", "-q", "-f"}, {"xfs_repair", "-n"}, FS_MOUNT, 1},
	{"XFS, version 4",
	 "xfs",
	 320,
	 0,
	 {"mkfs.xfs", "-q", "-f", "-m", "crc=0"},
	 {"xfs_repair", "-n"},
	 FS_EMPTY,
	 22},
	{"XFS, 1 KiB blocks, log stripes",
	 "xfs",
	 320,
	 20,
	 {"mkfs.xfs", "-q", "-f", "-b", "size=1024", "-l", "su=65536", "-m", "rmapbt=1,reflink=1"},
	 {"xfs_repair", "-n"},
	 FS_MOUNT,
	 9},
	{"NTFS", "ntfs", 100, 30, {"mkntfs", "-q", "-F", "-f"}, {"ntfsresize", "-i", "-f"}, FS_NTFS, 1},
	{"NTFS, 64 KiB clusters",
	 "ntfs",
	 100,
	 10,
	 {"mkntfs", "-q", "-F", "-f", "-c", "65536"},
	 {"ntfsresize", "-i", "-f"},
	 FS_NTFS,
	 1},
	{"FAT12", "vfat", 4, 2, {"mkfs.fat", "-F", "12"}, {"fsck.fat", "-n"}, FS_MTOOLS, 3},
	{"FAT16", "vfat", 40, 12, {"mkfs.fat", "-F", "16"}, {"fsck.fat", "-n"}, FS_MTOOLS, 3},
	{"FAT32", "vfat", 80, 20, {"mkfs.fat", "-F", "32", "-s", "1"}, {"fsck.fat", "-n"}, FS_MTOOLS, 3},
	{"FAT32, sectors of 4096",
	 "vfat",
	 300,
	 20,
	 {"mkfs.fat", "-F", "32", "-s", "1", "-S", "4096"},
	 {"fsck.fat", "-n"},
	 FS_MTOOLS,
	 3},
	{"btrfs, DUP metadata",
	 "btrfs",
	 500,
	 60,
	 {"mkfs.btrfs", "-q", "-f", "-m", "dup"},
	 {"sh", "-c", BTRFS_CHECK},
	 FS_MOUNT,
	 3},
	{"btrfs, without DUP, 4 KiB nodes",
	 "btrfs",
	 300,
	 30,
	 {"mkfs.btrfs", "-q", "-f", "-m", "single", "-n", "4096", "-R", "free-space-tree"},
	 {"btrfs", "check", "-p"},
	 FS_MOUNT,
	 3},
	{"btrfs, mixed",
	 "btrfs",
	 150,
	 30,
	 {"mkfs.btrfs", "-q", "-f", "--mixed", "-O", "^no-holes"},
	 {"btrfs", "check", "-p"},
	 FS_MOUNT,
	 3},
	{"swap", "swap", 64, 0, {"mkswap", "-q"}, {"swaplabel"}, FS_EMPTY, 1},
};

static void check_case(const struct fs_case *fs)
{
	CLEANUP_USEDMAP struct usedmap map = {0};
	CLEANUP_FREE char *image = NULL;
	uint64_t used, spare = ((uint64_t)fs->size_mib << 20) * fs->spare_percent / 100 + (1 << 20);

	if (!fs_can_make(fs))
		return;
	image = fs_make(fs);
	fs_map(image, NULL, &map);
	if (map.pieces[0].doubt)
		fail_msg("%s: %s", fs->name, map.pieces[0].doubt);
	assert_int_equal(map.piece_count, 1);
	assert_string_equal(map.pieces[0].kind, fs->kind);
	used = fs_used_bytes(fs, image) ? fs_used_bytes(fs, image) : (uint64_t)fs->fill_mib << 20;
	print_message("%s: used %llu, map %llu of %u MiB\n", fs->name, (unsigned long long)used,
		      (unsigned long long)map.pieces[0].used_bytes, fs->size_mib);
	if (map.pieces[0].used_bytes > used + spare)
		fail_msg("%s: the map has %llu bytes, used are %llu", fs->name,
			 (unsigned long long)map.pieces[0].used_bytes, (unsigned long long)used);
	fs_overwrite_rest(image, &map.used);
	if (!fs_is_sound(fs, image))
		fail_msg("%s: the map lacks something", fs->name);
	fs_remove(image);
}

static void test_rest_may_be_anything(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		check_case(&cases[i]);
}

/* The check must be able to fail: without its largest range the map is wrong, and that is seen. */
static void test_lack_is_seen(void **state)
{
	const struct fs_case *fs = &cases[0];
	CLEANUP_USEDMAP struct usedmap map = {0};
	CLEANUP_FREE char *image = NULL;
	size_t largest = 0;

	(void)state;
	if (!fs_can_make(fs))
		return;
	image = fs_make(fs);
	fs_map(image, NULL, &map);
	for (size_t i = 0; i < map.used.count; i++)
		if (map.used.ranges[i].end - map.used.ranges[i].start >
		    map.used.ranges[largest].end - map.used.ranges[largest].start)
			largest = i;
	extents_remove(&map.used, map.used.ranges[largest].start, map.used.ranges[largest].end);
	fs_overwrite_rest(image, &map.used);
	assert_false(fs_is_sound(fs, image));
	fs_remove(image);
}

static const struct fs_case *find_case(const char *name)
{
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		if (!strcmp(cases[i].name, name))
			return &cases[i];
	fail_msg("no case %s", name);
	return NULL;
}

static void expect_doubt(const char *image, const char *why)
{
	CLEANUP_USEDMAP struct usedmap map = {0};

	fs_map(image, NULL, &map);
	assert_non_null(map.pieces[0].doubt);
	if (!strstr(map.pieces[0].doubt, why))
		fail_msg("doubt '%s', not '%s'", map.pieces[0].doubt, why);
	assert_int_equal(extents_total_bytes(&map.used), map.pieces[0].size_bytes);
}

/* A copy of the image, taken while it is mounted and right after an fsync, has a log. */
static void test_btrfs_log(void **state)
{
	static const char script[] =
		"folder=$(mktemp -d) && mount -o loop \"$0\" \"$folder\" || exit; sync -f \"$folder\"; "
		"dd if=/dev/zero of=\"$folder/new\" bs=64k count=1 conv=fsync status=none; "
		"cp --sparse=always \"$0\" \"$0.crashed\"; umount \"$folder\"; rmdir \"$folder\"";
	const struct fs_case *fs = find_case("btrfs, mixed");
	CLEANUP_FREE char *image = NULL;
	CLEANUP_FREE char *crashed = NULL;

	(void)state;
	if (!fs_can_make(fs))
		return;
	image = fs_make(fs);
	crashed = xasprintf("%s.crashed", image);
	must_run((const char *const[]){"sh", "-c", script, image, NULL});
	expect_doubt(crashed, "its log is not empty");
	fs_remove(image);
}

static void damage(const char *image, uint64_t start, uint64_t end, uint64_t step)
{
	CLEANUP_BLK struct blk *blk = NULL;

	must(blk_file_open(image, BLK_FILE_WRITE, 0, &blk));
	for (uint64_t at = start; at < end; at += step) {
		uint8_t byte;

		must(blk_pread(blk, &byte, 1, at));
		byte ^= 0x55;
		must(blk_pwrite(blk, &byte, 1, at, 0));
	}
}

static void test_btrfs_damage(void **state)
{
	const struct fs_case *fs = find_case("btrfs, without DUP, 4 KiB nodes");
	CLEANUP_FREE char *image = NULL;

	(void)state;
	if (!fs_can_make(fs))
		return;
	image = fs_make(fs);
	damage(image, (1 << 20) + 200, (uint64_t)fs->size_mib << 20, 4096);
	expect_doubt(image, "the checksum of its block");
	damage(image, 65536 + 100, 65536 + 101, 1);
	expect_doubt(image, "the checksum of its superblock");
	fs_remove(image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rest_may_be_anything),
		cmocka_unit_test(test_lack_is_seen),
		cmocka_unit_test(test_btrfs_log),
		cmocka_unit_test(test_btrfs_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
