// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The conformance suite of p2v/base over VHDX files of many shapes: under
 * construction and finished, in memory and in a real file, then again on the
 * same file opened anew.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/base/lib-blk-conformance.h"
#include "tests/base/lib-must.h"
#include "tests/vhdx/lib-vhdx.h"

struct shape {
	const char *name;
	struct vhdx_create_options options;
};

static const struct shape shapes[] = {
	{"1 MiB blocks", {.size_bytes = 12 * MIB, .block_bytes = 1 << 20}},
	{"2 MiB blocks, odd size", {.size_bytes = 9 * MIB + 1536}},
	{"32 MiB blocks",
	 {.size_bytes = 7 * MIB + 512, .block_bytes = 32 << 20, .physical_sector_bytes = 512}},
	{"256 MiB blocks", {.size_bytes = 6 * MIB, .block_bytes = 256 << 20}},
	{"4096-byte sectors", {.size_bytes = 11 * MIB + 4096, .logical_sector_bytes = 4096}},
	{"fixed", {.size_bytes = 8 * MIB + 512, .flags = VHDX_FIXED}},
	{"fixed, 4096-byte sectors",
	 {.size_bytes = 8 * MIB, .block_bytes = 8 << 20, .logical_sector_bytes = 4096, .flags = VHDX_FIXED}},
};

static void expect_content(struct blk *file, unsigned flags, const uint8_t *content)
{
	CLEANUP_BLK struct blk *vhdx = vhdx_opened(file, flags);

	blk_conformance_read_only(vhdx, content);
}

/* Runs the suite; what was flushed must be in a copy of the file taken at that moment, log and all. */
static void run_suite(struct blk *vhdx, struct blk *file, const char *name, bool finish)
{
	CLEANUP_FREE uint8_t *content = NULL;
	unsigned flags = finish ? 0 : VHDX_OPEN_INCOMPLETE;

	content = blk_conformance_run(vhdx, name);
	expect_content(copy_of(file), flags, content);
	if (finish)
		must(vhdx_finish(vhdx));
	expect_content(copy_of(file), flags, content);
	if (finish) {
		assert_clean(file);
		assert_int_equal(file->size_bytes % MIB, 0);
	}
}

static void check_in_memory(const struct shape *shape)
{
	struct blk *file, *copy, *vhdx = vhdx_in_memory(&shape->options, &file);

	run_suite(vhdx, file, shape->name, false);
	must(vhdx_finish(vhdx));
	/* From here on changes go through the log. */
	run_suite(vhdx, file, shape->name, true);
	copy = copy_of(file);
	must(blk_close(vhdx));
	vhdx = vhdx_opened(copy, VHDX_OPEN_WRITE);
	run_suite(vhdx, copy, shape->name, true);
	must(blk_close(vhdx));
}

static void test_in_memory(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(shapes); i++)
		check_in_memory(&shapes[i]);
}

/* Over a parent with content, which the child has made zeros: with them the suite begins. */
static void test_child(void **state)
{
	struct vhdx_create_options options = {.size_bytes = 9 * MIB + 512, .block_bytes = 1 << 20};
	CLEANUP_FREE uint8_t *content = NULL;
	struct blk *file, *vhdx;

	(void)state;
	options.parent = vhdx_in_memory(&options, &file);
	must(blk_pwrite(options.parent, "parent", 6, 5 * MIB, 0));
	must(vhdx_finish(options.parent));
	options.block_bytes = 2 << 20;
	vhdx = vhdx_in_memory(&options, &file);
	must(vhdx_finish(vhdx));
	must(blk_zero(vhdx, 6, 5 * MIB, 0));
	content = blk_conformance_run(vhdx, "child");
	must(vhdx_finish(vhdx));
	assert_clean(file);
	blk_conformance_expect(vhdx, content);
	must(blk_close(vhdx));
}

static void test_in_a_file(void **state)
{
	const struct vhdx_create_options options = {.size_bytes = 9 * MIB + 512};
	char *dir = test_dir_make();
	CLEANUP_FREE char *path = test_path(dir, "disk.vhdx");
	CLEANUP_FREE uint8_t *content = NULL;
	struct vhdx_check_result result;
	struct blk *vhdx;

	(void)state;
	must(vhdx_create(path, &options, NULL, &vhdx));
	must(vhdx_finish(vhdx));
	content = blk_conformance_run(vhdx, "file");
	must(blk_close(vhdx));
	must(vhdx_check(path, NULL, NULL, &result));
	assert_int_equal(result.errors + result.warnings, 0);
	assert_int_equal(result.blocks_checked, 5);
	must(vhdx_open(path, 0, NULL, &vhdx));
	blk_conformance_read_only(vhdx, content);
	must(blk_close(vhdx));
	test_dir_remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_memory),
		cmocka_unit_test(test_child),
		cmocka_unit_test(test_in_a_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
