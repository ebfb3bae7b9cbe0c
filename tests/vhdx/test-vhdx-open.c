// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Making, opening and closing: what is refused and why, which GUIDs change when,
 * and what of other people's files is left as it was.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "p2v/base/strv.h"
#include "tests/base/lib-must.h"
#include "tests/vhdx/lib-vhdx.h"
#include "vhdx/region.h"

static const struct vhdx_create_options small = {.size_bytes = 10 * MIB, .block_bytes = 1 << 20};

static struct blk *finished(void)
{
	struct blk *file, *copy, *vhdx = vhdx_in_memory(&small, &file);

	must(blk_pwrite(vhdx, "content", 8, 0, 0));
	must(vhdx_finish(vhdx));
	copy = copy_of(file);
	must(blk_close(vhdx));
	return copy;
}

static void test_options(void **state)
{
	static const struct {
		struct vhdx_create_options options;
		const char *message;
	} cases[] = {
		{{.size_bytes = 0}, "size is 0"},
		{{.size_bytes = 64 * TIB + 512}, "larger than 64 TiB"},
		{{.size_bytes = 1000}, "no multiple"},
		{{.size_bytes = 512, .logical_sector_bytes = 4096}, "no multiple"},
		{{.size_bytes = MIB, .block_bytes = 3 << 20}, "block size"},
		{{.size_bytes = MIB, .block_bytes = 1 << 19}, "block size"},
		{{.size_bytes = MIB, .logical_sector_bytes = 520}, "logical sector"},
		{{.size_bytes = MIB, .physical_sector_bytes = 8192}, "physical sector"},
		{{.size_bytes = MIB, .logical_sector_bytes = 4096, .physical_sector_bytes = 512},
		 "smaller than"},
	};
	char *dir = test_dir_make();
	CLEANUP_FREE char *path = test_path(dir, "disk.vhdx");
	struct blk *vhdx;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		must_refuse(vhdx_create(path, &cases[i].options, NULL, &vhdx), cases[i].message);
		assert_int_not_equal(access(path, F_OK), 0);
	}
	must(vhdx_create(path, &small, NULL, &vhdx));
	must(blk_close(vhdx));
	/* What exists is not touched. */
	must_fail(vhdx_create(path, &small, NULL, &vhdx), ERR_FAILED);
	assert_int_equal(access(path, F_OK), 0);
	test_dir_remove(dir);
}

static void test_defaults(void **state)
{
	const struct vhdx_create_options options = {.size_bytes = 5 * GIB};
	struct blk *file, *vhdx = vhdx_in_memory(&options, &file);
	CLEANUP_VHDX_INFO struct vhdx_info info = {0};

	(void)state;
	must(vhdx_get_info(vhdx, &info));
	assert_int_equal(info.disk.type, VHDX_TYPE_DYNAMIC);
	assert_int_equal(info.disk.block_bytes, 2 * MIB);
	assert_int_equal(info.disk.logical_sector_bytes, 512);
	assert_int_equal(info.disk.physical_sector_bytes, 4096);
	assert_int_equal(info.disk.block_count, 2560);
	assert_int_equal(info.disk.blocks_by_state[VHDX_BLOCK_NOT_PRESENT], 2560);
	assert_false(guid_is_zero(&info.disk.id));
	assert_true(info.incomplete);
	/* Windows' own layout. */
	assert_int_equal(info.log.file_offset, MIB);
	assert_int_equal(info.log.length_bytes, MIB);
	assert_int_equal(info.regions[1].file_offset, 2 * MIB);
	assert_int_equal(info.regions[0].file_offset, 3 * MIB);
	assert_true(info.regions[0].required && info.regions[1].required);
	assert_int_equal(info.file_bytes, 4 * MIB);
	must(blk_close(vhdx));
}

static void test_incomplete(void **state)
{
	struct blk *file, *vhdx = vhdx_in_memory(&small, &file), *copy;
	char byte;

	(void)state;
	must(blk_pwrite(vhdx, "x", 1, 5 * MIB, BLK_FUA));
	copy = copy_of(file);
	must(blk_close(vhdx));
	must_refuse(vhdx_open_on(copy, 0, NULL, &vhdx), "is incomplete");
	must_refuse(vhdx_open_on(copy, VHDX_OPEN_WRITE, NULL, &vhdx), "is incomplete");
	assert_has_finding(copy, "incomplete");
	vhdx = vhdx_opened(copy, VHDX_OPEN_WRITE | VHDX_OPEN_INCOMPLETE);
	must(blk_pread(vhdx, &byte, 1, 5 * MIB));
	assert_int_equal(byte, 'x');
	must(vhdx_finish(vhdx));
	copy = copy_of(copy);
	must(blk_close(vhdx));
	assert_clean(copy);
	must(blk_close(vhdx_opened(copy, 0)));
}

static void test_flags(void **state)
{
	CLEANUP_BLK struct blk *file = finished();
	CLEANUP_BLK struct blk *read_only = borrowed(file);
	struct blk *vhdx;

	(void)state;
	must_fail(vhdx_open_on(read_only, VHDX_OPEN_WRITE, NULL, &vhdx), ERR_REFUSED);
	must_fail(vhdx_open_on(file, VHDX_OPEN_WRITE | VHDX_OPEN_INSPECT, NULL, &vhdx), 0);
	must_fail(vhdx_create_on(file, &small, NULL, &vhdx), ERR_REFUSED);
	vhdx = vhdx_opened(borrowed(file), 0);
	must_fail(vhdx_finish(vhdx), ERR_REFUSED);
	must(blk_close(vhdx));
}

/* [MS-VHDX] 2.2.2: both GUIDs are new before the first change of an opening, and only then. */
static void test_guids(void **state)
{
	struct blk *file = finished(), *vhdx;
	uint8_t before[VHDX_HEADER_BYTES], after[VHDX_HEADER_BYTES];
	CLEANUP_BLK struct blk *untouched = copy_of(file);

	(void)state;
	must(blk_pread(file, before, sizeof before, current_header(file)));
	vhdx = vhdx_opened(borrowed(file), 0);
	must(blk_close(vhdx));
	vhdx = vhdx_opened(file, VHDX_OPEN_WRITE);
	must(blk_flush(vhdx));
	must(vhdx_finish(vhdx));
	assert_same_range(file, untouched, untouched->size_bytes, 0);
	must(blk_pwrite(vhdx, "new", 4, 0, 0));
	must(blk_pread(file, after, sizeof after, current_header(file)));
	assert_true(after[8] == before[8] + 1); /* one header update so far */
	assert_memory_not_equal(before + 16, after + 16, 16);
	assert_memory_not_equal(before + 32, after + 32, 16);
	assert_true(blk_is_zero(after + 48, 16));
	/* No new block: the log is not needed, and nothing more changes in the header. */
	must(blk_flush(vhdx));
	must(blk_pread(file, before, sizeof before, current_header(file)));
	assert_memory_equal(before, after, sizeof before);
	/* A new block: the log is in use from the flush on. */
	must(blk_pwrite(vhdx, "new", 4, 5 * MIB, 0));
	must(blk_pread(file, before, sizeof before, current_header(file)));
	assert_true(blk_is_zero(before + 48, 16));
	must(blk_flush(vhdx));
	must(blk_pread(file, before, sizeof before, current_header(file)));
	assert_false(blk_is_zero(before + 48, 16));
	assert_memory_equal(before + 16, after + 16, 32);
	must(vhdx_finish(vhdx));
	must(blk_pread(file, before, sizeof before, VHDX_HEADER_1_OFFSET));
	must(blk_pread(file, after, sizeof after, VHDX_HEADER_2_OFFSET));
	assert_true(blk_is_zero(before + 48, 16) && blk_is_zero(after + 48, 16));
	must(blk_close(vhdx));
}

/* Many new blocks, one flush: one log entry, and few flushes of the file. */
static void test_updates_are_grouped(void **state)
{
	const struct vhdx_create_options options = {.size_bytes = 500 * GIB, .block_bytes = 1 << 20};
	struct blk *file, *vhdx = vhdx_in_memory(&options, &file), *copy;
	struct vhdx_info info;

	(void)state;
	must(vhdx_finish(vhdx));
	/* 100 pages of the BAT. */
	for (uint64_t i = 0; i < 400; i++)
		must(blk_pwrite(vhdx, "x", 1, i * 1024 * MIB + i, 0));
	must(blk_flush(vhdx));
	copy = copy_of(file);
	must(blk_close(vhdx));
	vhdx = vhdx_opened(copy, 0);
	must(vhdx_get_info(vhdx, &info));
	assert_int_equal(info.disk.allocated_blocks, 400);
	assert_int_equal(info.log.replayed_entries, 1);
	vhdx_info_deinit(&info);
	must(blk_close(vhdx));
}

/* A length that is no multiple of 1 MiB, as Disk2vhd leaves it. */
static void test_odd_length(void **state)
{
	struct blk *file = finished(), *vhdx;
	char text[8];

	(void)state;
	must(blk_resize(file, file->size_bytes + 512));
	assert_no_errors_in(file);
	assert_has_finding(file, "no multiple of 1 MiB");
	vhdx = vhdx_opened(file, VHDX_OPEN_WRITE);
	must(blk_pread(vhdx, text, 8, 0));
	assert_string_equal(text, "content");
	must(vhdx_finish(vhdx));
	assert_clean(file);
	must(blk_pwrite(vhdx, "x", 1, 5 * MIB, 0));
	must(vhdx_finish(vhdx));
	assert_clean(file);
	must(blk_close(vhdx));
}

static void collect(void *arg, enum log_level level, const char *message)
{
	text_addf(arg, "%d:%s\n", level, message);
}

static void test_warnings_are_logged(void **state)
{
	CLEANUP_TEXT struct text messages = {0};
	const struct log log = {.write = collect, .arg = &messages, .max_level = LOG_LEVEL_DEBUG};
	struct blk *file = finished(), *vhdx;

	(void)state;
	poke(file, VHDX_REGION_TABLE_1_OFFSET, "junk", 4);
	poke(file, current_header(file), "junk", 4);
	must(vhdx_open_on(file, 0, &log, &vhdx));
	assert_non_null(strstr(messages.data, "0:memory: header"));
	assert_non_null(strstr(messages.data, "0:memory: region table 1 is damaged; region table 2 is used"));
	must(blk_close(vhdx));
}

/* A region and a metadata item that nobody knows, neither required: left alone, and never written over. */
static void test_unknown_parts_stay(void **state)
{
	struct blk *file = finished(), *vhdx, *copy;
	uint64_t at = file->size_bytes;
	struct vhdx_region regions[3] = {
		{VHDX_REGION_BAT, 3 * MIB, MIB, true},
		{VHDX_REGION_METADATA, 2 * MIB, MIB, true},
		{{.data1 = {.raw = 0x12345678}}, at, 2 * MIB, false},
	};
	struct vhdx_disk_metadata_entry item = {
		.item_id = {.data1 = {.raw = 0x87654321}},
		.offset = le32_make(128 << 10),
		.length = le32_make(5),
		.flags = le32_make(VHDX_METADATA_IS_USER),
	};
	CLEANUP_FREE uint8_t *table = xmalloc(VHDX_REGION_TABLE_BYTES);
	CLEANUP_FREE uint8_t *junk = xmalloc(2 * MIB);
	CLEANUP_FREE uint8_t *got = xmalloc(2 * MIB);
	CLEANUP_VHDX_INFO struct vhdx_info info = {0};

	(void)state;
	memset(junk, 0x3c, 2 * MIB);
	must(blk_resize(file, at + 2 * MIB));
	poke(file, at, junk, 2 * MIB);
	vhdx_region_table_encode(regions, 3, table);
	poke(file, VHDX_REGION_TABLE_1_OFFSET, table, VHDX_REGION_TABLE_BYTES);
	poke(file, VHDX_REGION_TABLE_2_OFFSET, table, VHDX_REGION_TABLE_BYTES);
	poke(file, 2 * MIB + 32 + 5 * 32, &item, sizeof item);
	poke_le32(file, 2 * MIB + 8, 6 << 16);
	poke(file, 2 * MIB + (128 << 10), "extra", 5);
	assert_clean(file);
	vhdx = vhdx_opened(file, VHDX_OPEN_WRITE);
	/* All blocks are given up and made anew, twice. */
	for (unsigned i = 0; i < 2; i++) {
		must(blk_discard(vhdx, 10 * MIB, 0));
		must(blk_flush(vhdx));
		for (uint64_t offset = 0; offset < 10 * MIB; offset += 2 * MIB)
			must(blk_pwrite(vhdx, got, 2 * MIB, offset, 0));
	}
	must(vhdx_finish(vhdx));
	must(vhdx_get_info(vhdx, &info));
	assert_int_equal(info.region_count, 3);
	assert_null(info.regions[2].name);
	assert_int_equal(info.item_count, 6);
	assert_null(info.items[5].name);
	copy = copy_of(file);
	must(blk_close(vhdx));
	assert_clean(copy);
	must(blk_pread(copy, got, 2 * MIB, at));
	assert_memory_equal(got, junk, 2 * MIB);
	must(blk_pread(copy, got, 5, 2 * MIB + (128 << 10)));
	assert_memory_equal(got, "extra", 5);
	must(blk_close(copy));
}

/* Blocks that share their place can be read, but nothing may be allocated beside them. */
static void test_shared_blocks(void **state)
{
	struct blk *file = finished(), *vhdx;

	(void)state;
	poke_le64(file, 3 * MIB + 8, 4 * MIB | VHDX_BLOCK_FULLY_PRESENT);
	vhdx = vhdx_opened(file, VHDX_OPEN_WRITE);
	must_refuse(blk_pwrite(vhdx, "x", 1, 5 * MIB, 0), "share their place");
	must_refuse(blk_discard(vhdx, MIB, 0), "share their place");
	must(blk_close(vhdx));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_incomplete),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_guids),
		cmocka_unit_test(test_updates_are_grouped),
		cmocka_unit_test(test_odd_length),
		cmocka_unit_test(test_warnings_are_logged),
		cmocka_unit_test(test_unknown_parts_stay),
		cmocka_unit_test(test_shared_blocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
