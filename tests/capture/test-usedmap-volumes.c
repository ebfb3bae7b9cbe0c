/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * File systems inside partitions and logical volumes: a disk is put together
 * from file systems that were made alone, all that its map leaves out is
 * overwritten, and each file system, taken out again, must be sound.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "capture/view.h"
#include "p2v/base/le.h"
#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/base/strv.h"
#include "tests/base/lib-must.h"
#include "tests/capture/lib-fs.h"

#define MIB (1ull << 20)

static const struct fs_case ext4_100 = {
	"ext4", "ext4", 100, 40, {"mke2fs", "-q", "-F", "-t", "ext4"}, {"e2fsck", "-f", "-n"}, FS_MOUNT, 1};
static const struct fs_case fat_32 = {"FAT16",	 "vfat", 32, 10, {"mkfs.fat", "-F", "16"}, {"fsck.fat", "-n"},
				      FS_MTOOLS, 1};

/* A folder with an empty disk in it; the same as a file system that nobody made. */
static const struct fs_case empty = {"empty", "", 400, 0, {"true"}, {NULL}, FS_EMPTY, 0};

static void copy(struct blk *from, struct blk *to, const struct view_run *runs, size_t count, bool out)
{
	CLEANUP_FREE uint8_t *piece = xmalloc(MIB);
	uint64_t at = 0;

	for (size_t i = 0; i < count; i++)
		for (uint64_t in = 0; in < runs[i].bytes; in += MIB, at += MIB) {
			must(blk_pread(from, piece, MIB, out ? runs[i].start + in : at));
			must(blk_pwrite(to, piece, MIB, out ? at : runs[i].start + in, 0));
		}
}

static void put_in(const char *image, const char *disk, const struct view_run *runs, size_t count)
{
	CLEANUP_BLK struct blk *from = NULL;
	CLEANUP_BLK struct blk *to = NULL;

	must(blk_file_open(image, 0, 0, &from));
	must(blk_file_open(disk, BLK_FILE_WRITE, 0, &to));
	copy(from, to, runs, count, false);
}

static void take_out(const char *disk, const char *image, const struct view_run *runs, size_t count)
{
	CLEANUP_BLK struct blk *from = NULL;
	CLEANUP_BLK struct blk *to = NULL;

	must(blk_file_open(disk, 0, 0, &from));
	must(blk_file_open(image, BLK_FILE_WRITE, 0, &to));
	copy(from, to, runs, count, true);
}

static void partition(const char *disk, const char *script)
{
	const char *argv[] = {"sfdisk", "-q", disk, NULL};
	struct run_options options = {.input = script, .input_bytes = strlen(script)};

	must(run_argv(argv, &options, NULL));
}

static const struct usedmap_piece *find_piece(const struct usedmap *map, const char *label)
{
	for (size_t i = 0; i < map->piece_count; i++)
		if (map->pieces[i].label && !strcmp(map->pieces[i].label, label))
			return &map->pieces[i];
	fail_msg("no piece %s", label);
	return NULL;
}

static void expect_trusted(const struct usedmap *map, const char *label, const char *kind)
{
	const struct usedmap_piece *piece = find_piece(map, label);

	if (piece->doubt)
		fail_msg("%s: %s", label, piece->doubt);
	assert_string_equal(piece->kind, kind);
	assert_true(piece->used_bytes < piece->size_bytes);
}

/* Partitions 1 (FAT) at 1 MiB and, behind a gap, 5 or 2 (unknown) at 100; the map must keep the unknown
 * whole. */
static void check_table(const char *script, const char *kind, const char *unknown, bool gap_is_kept)
{
	CLEANUP_USEDMAP struct usedmap map = {0};
	CLEANUP_FREE char *disk = fs_make(&empty);
	CLEANUP_FREE char *image = fs_make(&fat_32);
	const struct view_run run = {MIB, 32 * MIB};

	partition(disk, script);
	put_in(image, disk, &run, 1);
	fs_map(disk, NULL, &map);
	assert_null(map.pieces[0].doubt);
	assert_string_equal(map.pieces[0].kind, kind);
	expect_trusted(&map, "partition 1", "vfat");
	assert_non_null(find_piece(&map, unknown)->doubt);
	assert_true(extents_contain(&map.used, 0, MIB));
	assert_true(extents_contain(&map.used, 101 * MIB, 111 * MIB));
	assert_true(extents_contain(&map.used, 399 * MIB, 400 * MIB));
	assert_int_equal(extents_contain(&map.used, 120 * MIB, 390 * MIB), gap_is_kept);
	fs_overwrite_rest(disk, &map.used);
	take_out(disk, image, &run, 1);
	assert_true(fs_is_sound(&fat_32, image));
	fs_remove(disk);
	fs_remove(image);
}

static void test_tables(void **state)
{
	(void)state;
	check_table("label: gpt\nstart=1MiB, size=32MiB\nstart=101MiB, size=10MiB\n", "gpt", "partition 2",
		    false);
	check_table("label: dos\nstart=1MiB, size=32MiB, type=6\nstart=100MiB, size=20MiB, type=f\n"
		    "start=101MiB, size=10MiB, type=83\n",
		    "dos", "partition 5", true);
}

static void damage(const char *disk, uint64_t offset)
{
	CLEANUP_BLK struct blk *blk = NULL;
	uint8_t byte;

	must(blk_file_open(disk, BLK_FILE_WRITE, 0, &blk));
	must(blk_pread(blk, &byte, 1, offset));
	byte ^= 0x55;
	must(blk_pwrite(blk, &byte, 1, offset, 0));
}

/* A table that is damaged is none; and what is in use is never looked into. */
static void test_doubts(void **state)
{
	CLEANUP_USEDMAP struct usedmap map = {0};
	CLEANUP_FREE char *disk = fs_make(&empty);
	CLEANUP_FREE char *image = fs_make(&fat_32);
	CLEANUP_EXTENTS struct extents in_use = {0};
	struct usedmap_options options = {.in_use = &in_use};
	const struct view_run run = {MIB, 32 * MIB};

	(void)state;
	partition(disk, "label: gpt\nstart=1MiB, size=32MiB\n");
	put_in(image, disk, &run, 1);
	extents_add(&in_use, MIB, 33 * MIB);
	fs_map(disk, &options, &map);
	assert_true(extents_contain(&map.used, MIB, 33 * MIB));
	assert_non_null(strstr(find_piece(&map, "partition 1")->doubt, "in use"));
	usedmap_deinit(&map);
	damage(disk, 1024 + 56);
	fs_map(disk, NULL, &map);
	assert_non_null(map.pieces[0].doubt);
	assert_int_equal(map.piece_count, 1);
	assert_true(extents_contain(&map.used, 0, 400 * MIB));
	fs_remove(disk);
	fs_remove(image);
}

static char *attach(const char *disk, unsigned start_mib, unsigned size_mib)
{
	CLEANUP_FREE char *start = xasprintf("%llu", (unsigned long long)start_mib << 20);
	CLEANUP_FREE char *size = xasprintf("%llu", (unsigned long long)size_mib << 20);
	const char *argv[] = {"losetup", "-f", "--show", "-o", start, "--sizelimit", size, disk, NULL};
	CLEANUP_RUN_RESULT struct run_result result = {0};

	must(run_argv(argv, &(struct run_options){0}, &result));
	return xstrndup(result.out, strcspn(result.out, "\n"));
}

static void detach(const char *device)
{
	const char *argv[] = {"losetup", "-d", device, NULL};

	must_run(argv);
}

/* LVM's own tools write the metadata, on these devices (with spaces) alone; they need no device-mapper. */
static void run_lvm(const char *devices, const char *words)
{
	CLEANUP_STRV struct strv argv = {0};
	CLEANUP_STRV struct strv list = {0};
	CLEANUP_TEXT struct text config = {0};

	text_addf(&config, "devices{use_devicesfile=0 filter=[");
	strv_split(&list, devices, " ");
	for (size_t i = 0; i < list.count; i++)
		text_addf(&config, "\"a|^%s$|\",", list.items[i]);
	text_addf(&config, "\"r|.*|\"]} activation{udev_sync=0 udev_rules=0 monitoring=0} "
			   "backup{backup=0 archive=0}");
	strv_add(&argv, "lvm");
	strv_split(&argv, words, " ");
	strv_add(&argv, "--config");
	strv_add(&argv, config.data);
	strv_add(&argv, "--driverloaded");
	strv_add(&argv, "n");
	must_run((const char *const *)argv.items);
}

/* words with %s for the group's name, as often as it comes. */
static void run_lvm_on(const char *devices, const char *words, const char *vg)
{
	CLEANUP_TEXT struct text all = {0};

	for (const char *at = words; *at; at++) {
		if (!strncmp(at, "%s", 2)) {
			text_addf(&all, "%s", vg);
			at++;
		} else {
			text_add(&all, at, 1);
		}
	}
	run_lvm(devices, all.data);
}

static char *group_name(void)
{
	return xasprintf("p2vtest%u", (unsigned)getpid());
}

static void make_volumes(const char *disk, const char *vg)
{
	static const char *const requests[] = {
		"lvcreate -q -an -Zn -Wn -L 60M -n a %s",
		"lvcreate -q -an -Zn -Wn -L 32M -n b %s",
		"lvextend -q -l +10 %s/a",
		"lvcreate -q -an -Zn -Wn -L 20M -n c %s",
	};
	CLEANUP_FREE char *device = attach(disk, 10, 380);
	CLEANUP_FREE char *volume = xasprintf("pvcreate -q %s", device);
	CLEANUP_FREE char *group = xasprintf("vgcreate -q %s %s", vg, device);

	run_lvm(device, volume);
	run_lvm(device, group);
	for (size_t i = 0; i < sizeof requests / sizeof *requests; i++)
		run_lvm_on(device, requests[i], vg);
	detach(device);
}

/* Extents of 4 MiB from 1 MiB into the partition on: a has 0–14 and 23–32, b has 15–22, c has 33–37. */
static void test_lvm(void **state)
{
	static const struct view_run a[] = {{11 * MIB, 60 * MIB}, {(11 + 23 * 4) * MIB, 40 * MIB}};
	static const struct view_run b[] = {{(11 + 15 * 4) * MIB, 32 * MIB}};
	CLEANUP_USEDMAP struct usedmap map = {0};
	CLEANUP_FREE char *disk = NULL;
	CLEANUP_FREE char *ext4 = NULL;
	CLEANUP_FREE char *fat = NULL;
	CLEANUP_FREE char *vg = group_name();

	(void)state;
	if (!fs_can_make(&ext4_100))
		return;
	disk = fs_make(&empty);
	ext4 = fs_make(&ext4_100);
	fat = fs_make(&fat_32);
	partition(disk, "label: gpt\nstart=10MiB, size=380MiB\n");
	make_volumes(disk, vg);
	put_in(ext4, disk, a, 2);
	put_in(fat, disk, b, 1);
	fs_map(disk, NULL, &map);
	for (size_t i = 0; i < map.piece_count; i++)
		print_message("%s: %s\n", map.pieces[i].label ? map.pieces[i].label : "disk",
			      map.pieces[i].doubt ? map.pieces[i].doubt : "trusted");
	assert_int_equal(map.piece_count, 5);
	assert_null(map.pieces[1].doubt);
	assert_null(map.pieces[2].doubt);
	assert_string_equal(map.pieces[2].kind, "ext4");
	assert_string_equal(map.pieces[3].kind, "vfat");
	assert_non_null(map.pieces[4].doubt);
	assert_true(extents_contain(&map.used, (11 + 33 * 4) * MIB, (11 + 38 * 4) * MIB));
	assert_false(extents_contain(&map.used, 200 * MIB, 300 * MIB));
	fs_overwrite_rest(disk, &map.used);
	take_out(disk, ext4, a, 2);
	take_out(disk, fat, b, 1);
	assert_true(fs_is_sound(&ext4_100, ext4));
	assert_true(fs_is_sound(&fat_32, fat));
	fs_remove(disk);
	fs_remove(ext4);
	fs_remove(fat);
}

/* Reads all of a file's text, and writes it. */
static char *read_text(const char *path)
{
	CLEANUP_BLK struct blk *blk = NULL;
	char *text;

	must(blk_file_open(path, 0, 0, &blk));
	text = xcalloc(1, blk->size_bytes + 1);
	must(blk_pread(blk, text, blk->size_bytes, 0));
	return text;
}

static void write_text(const char *path, const char *text)
{
	CLEANUP_FCLOSE FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
}

/* A snapshot that nobody could make without device-mapper: `cow` holds what `origin` had before. */
static void make_snapshot(const char *folder, const char *devices, const char *vg)
{
	static const char snapshot[] =
		"snapshot0 {\nid = \"aaaaaa-bbbb-cccc-dddd-eeee-ffff-gggggg\"\n"
		"status = [\"READ\", \"WRITE\", \"VISIBLE\"]\nflags = []\nsegment_count = 1\n"
		"segment1 {\nstart_extent = 0\nextent_count = 8\ntype = \"snapshot\"\nchunk_size = 8\n"
		"origin = \"origin\"\ncow_store = \"cow\"\n}\n}\n";
	CLEANUP_FREE char *path = xasprintf("%s.vg", folder);
	CLEANUP_FREE char *backup = xasprintf("vgcfgbackup -q -f %s %s", path, vg);
	CLEANUP_FREE char *restore = xasprintf("vgcfgrestore -q -f %s %s", path, vg);
	CLEANUP_FREE char *before = NULL;
	CLEANUP_FREE char *after = NULL;
	char *place;

	run_lvm(devices, backup);
	before = read_text(path);
	place = strstr(before, "logical_volumes {\n");
	assert_non_null(place);
	place += strlen("logical_volumes {\n");
	after = xasprintf("%.*s%s%s", (int)(place - before), before, snapshot, place);
	write_text(path, after);
	run_lvm(devices, restore);
}

/*
 * Two physical volumes: what is on both is taken whole, and so are the origin of a snapshot and what holds
 * the snapshot; nobody looks into these.
 */
static void test_lvm_kinds(void **state)
{
	static const char *const requests[] = {
		"lvcreate -q -an -Zn -Wn -i 2 -L 32M -n striped %s",
		"lvcreate -q -an -Zn -Wn -L 32M -n origin %s",
		"lvcreate -q -an -Zn -Wn -L 32M -n cow %s",
		"lvcreate -q -an -Zn -Wn -L 32M -n plain %s",
	};
	static const char *const whole[] = {"striped", "origin", "cow"};
	CLEANUP_USEDMAP struct usedmap map = {0};
	CLEANUP_FREE char *disk = fs_make(&empty);
	CLEANUP_FREE char *vg = group_name();
	CLEANUP_FREE char *first = NULL;
	CLEANUP_FREE char *second = NULL;
	CLEANUP_FREE char *devices = NULL;
	CLEANUP_FREE char *group = NULL;
	CLEANUP_FREE char *plain = NULL;

	(void)state;
	if (geteuid()) {
		print_message("skipped: loop devices want root\n");
		return;
	}
	partition(disk, "label: gpt\nstart=1MiB, size=200MiB\nstart=201MiB, size=190MiB\n");
	first = attach(disk, 1, 200);
	second = attach(disk, 201, 190);
	devices = xasprintf("%s %s", first, second);
	group = xasprintf("vgcreate -q %s %s", vg, devices);
	run_lvm(devices, group);
	for (size_t i = 0; i < sizeof requests / sizeof *requests; i++)
		run_lvm_on(devices, requests[i], vg);
	make_snapshot(disk, devices, vg);
	detach(first);
	detach(second);
	fs_map(disk, NULL, &map);
	for (size_t i = 0; i < map.piece_count; i++)
		print_message("%s: %s\n", map.pieces[i].label ? map.pieces[i].label : "disk",
			      map.pieces[i].doubt ? map.pieces[i].doubt : "trusted");
	assert_null(find_piece(&map, "partition 1")->doubt);
	assert_null(find_piece(&map, "partition 2")->doubt);
	for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
		CLEANUP_FREE char *label = xasprintf("volume %s/%s", vg, whole[i]);

		assert_non_null(strstr(find_piece(&map, label)->doubt, "part of something larger"));
	}
	plain = xasprintf("volume %s/plain", vg);
	assert_non_null(strstr(find_piece(&map, plain)->doubt, "not known"));
	fs_remove(disk);
}

/* Where the text of the metadata is, as the header of the first area says. */
static uint64_t find_lvm_text(const char *disk, uint64_t volume_start)
{
	CLEANUP_BLK struct blk *blk = NULL;
	le64 offset;

	must(blk_file_open(disk, 0, 0, &blk));
	must(blk_pread(blk, &offset, sizeof offset, volume_start + 4096 + 40));
	return 4096 + le64_get(offset);
}

#define TEXT 0

/* Any damage to the metadata makes the physical volume one of which nothing is known. */
static void test_lvm_damage(void **state)
{
	static const struct {
		uint64_t offset; /* in the physical volume */
		const char *why;
	} damages[] = {
		{512 + 16, "label"},
		{512 + 32, "label"},
		{4096 + 41, "area"},
		{TEXT, "checksum of its LVM metadata"},
	};
	CLEANUP_FREE char *disk = NULL;
	CLEANUP_FREE char *vg = group_name();

	(void)state;
	if (geteuid())
		return;
	disk = fs_make(&empty);
	make_volumes(disk, vg);
	for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
		CLEANUP_USEDMAP struct usedmap map = {0};
		CLEANUP_BLK struct blk *blk = NULL;
		const struct view_run run = {10 * MIB, 380 * MIB};
		uint64_t offset = damages[i].offset;
		CLEANUP_BLK struct blk *view = NULL;

		if (offset == TEXT)
			offset = find_lvm_text(disk, run.start) + 20;
		damage(disk, run.start + offset);
		must(blk_file_open(disk, 0, 0, &blk));
		must(view_create(blk, &run, 1, "volume", &view));
		usedmap_take(view, NULL, &map);
		print_message("%s\n", map.pieces[0].doubt ? map.pieces[0].doubt : "trusted");
		assert_non_null(map.pieces[0].doubt);
		assert_non_null(strstr(map.pieces[0].doubt, damages[i].why));
		assert_int_equal(extents_total_bytes(&map.used), 380 * MIB);
		damage(disk, run.start + offset);
	}
	fs_remove(disk);
}

/* A file system that is mounted, or was not unmounted, is taken whole. */
static void test_dirty(void **state)
{
	CLEANUP_FREE char *image = NULL;
	CLEANUP_USEDMAP struct usedmap map = {0};

	(void)state;
	if (!fs_can_make(&ext4_100))
		return;
	image = fs_make(&ext4_100);
	damage(image, 1024 + 0x3a); /* s_state */
	fs_map(image, NULL, &map);
	assert_non_null(map.pieces[0].doubt);
	assert_int_equal(extents_total_bytes(&map.used), 100 * MIB);
	fs_remove(image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables),	   cmocka_unit_test(test_doubts),
		cmocka_unit_test(test_lvm),	   cmocka_unit_test(test_lvm_kinds),
		cmocka_unit_test(test_lvm_damage), cmocka_unit_test(test_dirty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
