// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * VHDX files that others made (Windows, QEMU), read to their oracles:
 * corpora/MANIFEST.md has the sums and where the files come from.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "tests/base/lib-must.h"
#include "tests/vhdx/lib-vhdx.h"

#define EXIT_SKIPPED 77

struct known_file {
	const char *name;
	uint64_t hashed_bytes;
	const char *sha256;
	const char *creator;
	enum vhdx_type type;
	uint64_t size_bytes;
	uint32_t block_bytes, physical_sector_bytes;
	uint64_t allocated_blocks, replayed_entries;
};

static const struct known_file files[] = {
	{"vhdx/ext2.vhdx.xz", 4194304, "a6c2f0e39afe6c6ab432ca5465349fcefe8dc944398e97b2d957d3f89dbb5d80",
	 "QEMU v5.2.0", VHDX_TYPE_DYNAMIC, 4194304, 8 << 20, 512, 1, 0},
	{"vhdx/fat-parent.vhdx.xz", 4194304,
	 "2d1954fec68faefe81dd3687282a9b387bf8417f6d2cf0da3825fa1445b64cfb", "Microsoft Windows 10.0.19041.0",
	 VHDX_TYPE_FIXED, 4194304, 2 << 20, 4096, 2, 0},
	{"vhdx/ntfs-dynamic.vhdx.xz", 4194304,
	 "b92731f8e4bf3532418444d22a9086823a8122569500acd09cd8d2ce20eb98e9", "Microsoft Windows 10.0.19041.0",
	 VHDX_TYPE_DYNAMIC, 4194304, 32 << 20, 4096, 1, 0},
	{"vhdx/iotest-dirtylog-10G-4M.vhdx.bz2", 67108864,
	 "59a5188c491e735c949232d3f473bc0efe44457cf4e9790b9a08870485dc310d", "QEMU v1.6.50",
	 VHDX_TYPE_DYNAMIC, 10 * GIB, 1 << 20, 512, 18, 1},
};

static void check_info(struct blk *vhdx, const struct known_file *known)
{
	CLEANUP_VHDX_INFO struct vhdx_info info = {0};

	must(vhdx_get_info(vhdx, &info));
	assert_string_equal(info.creator, known->creator);
	assert_int_equal(info.header.version, 1);
	assert_true(info.header.other_is_valid);
	assert_int_equal(info.disk.type, known->type);
	assert_int_equal(info.disk.size_bytes, known->size_bytes);
	assert_int_equal(info.disk.block_bytes, known->block_bytes);
	assert_int_equal(info.disk.logical_sector_bytes, 512);
	assert_int_equal(info.disk.physical_sector_bytes, known->physical_sector_bytes);
	assert_int_equal(info.disk.allocated_blocks, known->allocated_blocks);
	assert_int_equal(info.log.replayed_entries, known->replayed_entries);
	assert_int_equal(guid_is_zero(&info.log.guid), !known->replayed_entries);
	assert_int_equal(info.region_count, 2);
	assert_false(info.incomplete);
	for (size_t i = 0; i < info.item_count; i++)
		assert_non_null(info.items[i].name);
}

static void check_content(struct blk *vhdx, const struct known_file *known)
{
	CLEANUP_FREE char *sum = sha256_of(vhdx, known->hashed_bytes);

	assert_string_equal(sum, known->sha256);
}

/* Read-only, which must not change the file; then for writing, which empties its log. */
static void check_file(const char *dir, const struct known_file *known)
{
	CLEANUP_FREE char *path = corpus_file(dir, known->name);
	CLEANUP_FREE char *before = NULL;
	CLEANUP_FREE char *after = NULL;
	struct vhdx_check_result result;
	struct blk *vhdx;

	print_message("  %s\n", known->name);
	before = RUN("sha256sum", path);
	must(vhdx_check(path, NULL, NULL, &result));
	assert_int_equal(result.errors, 0);
	assert_int_equal(result.warnings, known->replayed_entries ? 1 : 0);
	must(vhdx_open(path, 0, NULL, &vhdx));
	check_info(vhdx, known);
	check_content(vhdx, known);
	must(blk_close(vhdx));
	after = RUN("sha256sum", path);
	assert_string_equal(before, after);
	must(vhdx_open(path, VHDX_OPEN_WRITE, NULL, &vhdx));
	check_content(vhdx, known);
	must(blk_pwrite(vhdx, "changed", 7, known->size_bytes - 7, 0));
	must(vhdx_finish(vhdx));
	must(blk_close(vhdx));
	must(vhdx_check(path, NULL, NULL, &result));
	assert_int_equal(result.errors + result.warnings, 0);
	if (known->hashed_bytes != known->size_bytes) {
		must(vhdx_open(path, 0, NULL, &vhdx));
		check_content(vhdx, known);
		must(blk_close(vhdx));
	}
	free(RUN("qemu-img", "check", "-q", path));
}

static void test_files(void **state)
{
	char *dir = test_dir_make();

	(void)state;
	for (size_t i = 0; i < COUNT_OF(files); i++)
		check_file(dir, &files[i]);
	test_dir_remove(dir);
}

static const char *find_pair(const struct vhdx_info *info, const char *key)
{
	for (size_t i = 0; i < info->locator_count; i++)
		if (!strcmp(info->locator[i].key, key))
			return info->locator[i].value;
	return "";
}

#define DIFFERENCING_SHA256 "a538161f34bc44c12bf9a542ce9218741c62728723ea18d0e4f6ea92e9f32e93"

static void check_child_info(const char *path)
{
	CLEANUP_VHDX_INFO struct vhdx_info info = {0};
	CLEANUP_BLK struct blk *vhdx = NULL;
	uint8_t byte;

	must(vhdx_open(path, VHDX_OPEN_INSPECT, NULL, &vhdx));
	must_fail(blk_pread(vhdx, &byte, 1, 0), ERR_REFUSED);
	must(vhdx_get_info(vhdx, &info));
	assert_int_equal(info.disk.type, VHDX_TYPE_DIFFERENCING);
	assert_int_equal(info.disk.blocks_by_state[VHDX_BLOCK_PARTIALLY_PRESENT], 1);
	assert_int_equal(info.disk.blocks_by_state[VHDX_BLOCK_NOT_PRESENT], 1);
	assert_string_equal(find_pair(&info, "relative_path"), ".\\fat-parent.vhdx");
	assert_string_equal(find_pair(&info, "parent_linkage"), "{f88d4d92-6fcc-408d-9bef-9b7c89f15c89}");
}

static void check_child_content(const char *path)
{
	CLEANUP_BLK struct blk *vhdx = NULL;
	CLEANUP_FREE char *sum = NULL;

	must(vhdx_open(path, 0, NULL, &vhdx));
	sum = sha256_of(vhdx, vhdx->size_bytes);
	assert_string_equal(sum, DIFFERENCING_SHA256);
}

/* What Windows made over a parent of its own; libvhdi reads the same. */
static void test_differencing(void **state)
{
	char *dir = test_dir_make();
	CLEANUP_FREE char *path = corpus_file(dir, "vhdx/fat-differential.vhdx.xz");
	struct vhdx_check_result result;
	CLEANUP_FREE char *parent = NULL;
	CLEANUP_FREE char *before = NULL;
	CLEANUP_FREE char *after = NULL;
	struct blk *vhdx;

	(void)state;
	must(vhdx_check(path, NULL, NULL, &result));
	assert_int_equal(result.errors + result.warnings, 0);
	check_child_info(path);
	must_fail(vhdx_open(path, 0, NULL, &vhdx), ERR_REFUSED);
	must_fail(vhdx_open(path, VHDX_OPEN_WRITE, NULL, &vhdx), ERR_REFUSED);
	parent = corpus_file(dir, "vhdx/fat-parent.vhdx.xz");
	before = RUN("sha256sum", parent);
	check_child_content(path);
	/* Written, as only its parent is not. */
	must(vhdx_open(path, VHDX_OPEN_WRITE, NULL, &vhdx));
	must(blk_pwrite(vhdx, "changed", 7, 3 << 20, 0));
	must(blk_close(vhdx));
	must(vhdx_check(path, NULL, NULL, &result));
	assert_int_equal(result.errors + result.warnings, 0);
	after = RUN("sha256sum", parent);
	assert_string_equal(before, after);
	test_dir_remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_differencing),
	};
	char *dir = test_dir_make();
	CLEANUP_FREE char *path = corpus_file(dir, files[0].name);

	test_dir_remove(dir);
	if (!path) {
		print_message("there is no folder of corpora: set P2V_CORPORA\n");
		return EXIT_SKIPPED;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
