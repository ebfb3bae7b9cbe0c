// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Chains of files: where parents are found, and which ones are not taken.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "p2v/base/strv.h"
#include "tests/base/lib-must.h"
#include "tests/vhdx/lib-vhdx.h"
#include "vhdx/locator.h"
#include "vhdx/parent-path.h"

#define DISK_BYTES (3 * MIB)

/* A folder, which is the current one: paths are short, and relative ones are tried. */
struct place {
	char *dir, *before;
};

static struct place enter(void)
{
	struct place place = {.dir = test_dir_make(), .before = realpath(".", NULL)};

	assert_int_equal(chdir(place.dir), 0);
	return place;
}

static void leave(struct place *place)
{
	assert_int_equal(chdir(place->before), 0);
	test_dir_remove(place->dir);
	free(place->before);
}

static void put(const char *path, const char *text, uint64_t offset)
{
	struct blk *vhdx;

	must(vhdx_open(path, VHDX_OPEN_WRITE, NULL, &vhdx));
	must(blk_pwrite(vhdx, text, strlen(text), offset, 0));
	must(blk_close(vhdx));
}

static void make(const char *path, const char *parent)
{
	struct vhdx_create_options options = {.size_bytes = parent ? 0 : DISK_BYTES};
	struct blk *vhdx;

	if (parent)
		must(vhdx_open(parent, 0, NULL, &options.parent));
	must(vhdx_create(path, &options, NULL, &vhdx));
	must(vhdx_finish(vhdx));
	must(blk_close(vhdx));
}

static void assert_holds(const char *path, const char *text, uint64_t offset)
{
	CLEANUP_BLK struct blk *vhdx = NULL;
	char got[32] = "";

	must(vhdx_open(path, 0, NULL, &vhdx));
	must(blk_pread(vhdx, got, strlen(text), offset));
	assert_string_equal(got, text);
}

static void assert_refused(const char *path, unsigned flags, const char *part)
{
	struct blk *vhdx;

	must_refuse(vhdx_open(path, flags, NULL, &vhdx), part);
}

/* Base, and two above it in other folders. */
static void make_chain(void)
{
	assert_int_equal(mkdir("a", 0777), 0);
	assert_int_equal(mkdir("a/b", 0777), 0);
	assert_int_equal(mkdir("c", 0777), 0);
	make("a/base.vhdx", NULL);
	put("a/base.vhdx", "base", 1000);
	make("a/b/mid.vhdx", "a/base.vhdx");
	put("a/b/mid.vhdx", "middle", MIB);
	make("c/top.vhdx", "a/b/mid.vhdx");
	put("c/top.vhdx", "top", 2 * MIB);
}

static void test_found(void **state)
{
	struct place place = enter();

	(void)state;
	make_chain();
	assert_holds("c/top.vhdx", "base", 1000);
	assert_holds("c/top.vhdx", "middle", MIB);
	assert_holds("c/top.vhdx", "top", 2 * MIB);
	/* Moved as it is; then the child alone, whose parent is found by its absolute path, or beside it. */
	assert_int_equal(mkdir("elsewhere", 0777), 0);
	assert_int_equal(rename("a", "elsewhere/a"), 0);
	assert_int_equal(rename("c", "elsewhere/c"), 0);
	assert_holds("elsewhere/c/top.vhdx", "middle", MIB);
	assert_int_equal(rename("elsewhere/a", "a"), 0);
	assert_holds("elsewhere/c/top.vhdx", "middle", MIB);
	assert_int_equal(rename("a/b/mid.vhdx", "elsewhere/c/mid.vhdx"), 0);
	assert_holds("elsewhere/c/top.vhdx", "middle", MIB);
	/* As a file system that does not tell upper from lower case had it. */
	assert_int_equal(rename("a/base.vhdx", "elsewhere/c/BASE.VhdX"), 0);
	assert_holds("elsewhere/c/top.vhdx", "base", 1000);
	leave(&place);
}

static void test_missing(void **state)
{
	struct place place = enter();
	struct blk *vhdx;

	(void)state;
	make_chain();
	assert_int_equal(rename("a/base.vhdx", "a/other.vhdx"), 0);
	/* The message names the child, and each place. */
	assert_refused("a/b/mid.vhdx", 0, "a/b/mid.vhdx: its parent");
	assert_refused("a/b/mid.vhdx", 0, "a/b/../base.vhdx does not exist");
	assert_refused("a/b/mid.vhdx", VHDX_OPEN_WRITE, "a/b/base.vhdx does not exist");
	assert_refused("c/top.vhdx", 0, "a/b/../base.vhdx does not exist");
	/* Looking into it needs no parent. */
	must(vhdx_open("a/b/mid.vhdx", VHDX_OPEN_INSPECT, NULL, &vhdx));
	must(blk_close(vhdx));
	assert_int_equal(mkdir("a/base.vhdx", 0777), 0);
	assert_refused("a/b/mid.vhdx", 0, "a/b/../base.vhdx is no file");
	assert_int_equal(rmdir("a/base.vhdx"), 0);
	fclose(fopen("a/base.vhdx", "w"));
	assert_refused("a/b/mid.vhdx", 0, "a/b/../base.vhdx: is not a VHDX");
	/* A file of that name that is not it does not hide the one that is. */
	assert_int_equal(rename("a/other.vhdx", "a/b/base.vhdx"), 0);
	assert_holds("c/top.vhdx", "base", 1000);
	leave(&place);
}

static void test_changed(void **state)
{
	struct place place = enter();

	(void)state;
	make_chain();
	/* Opened for writing and not written to: no change. */
	put("a/base.vhdx", "", 0);
	assert_holds("c/top.vhdx", "base", 1000);
	put("a/base.vhdx", "BASE", 1000);
	assert_refused("a/b/mid.vhdx", 0, "a/b/../base.vhdx has changed since");
	assert_refused("c/top.vhdx", 0, "a/b/../base.vhdx has changed since");
	leave(&place);
}

/* Gives a file another name for its content. */
static void set_data_write_guid(const char *path, const struct guid *guid)
{
	struct blk *file;

	must(blk_file_open(path, BLK_FILE_WRITE, 0, &file));
	for (uint64_t at = VHDX_HEADER_1_OFFSET; at <= VHDX_HEADER_2_OFFSET; at += VHDX_HEADER_1_OFFSET) {
		poke(file, at + offsetof(struct vhdx_disk_header, data_write_guid), guid, sizeof *guid);
		fix_checksum(file, at, VHDX_HEADER_BYTES);
	}
	must(blk_close(file));
}

static struct guid data_write_guid(const char *path)
{
	CLEANUP_VHDX_INFO struct vhdx_info info = {0};
	CLEANUP_BLK struct blk *vhdx = NULL;

	must(vhdx_open(path, VHDX_OPEN_INSPECT, NULL, &vhdx));
	must(vhdx_get_info(vhdx, &info));
	return info.header.data_write_guid;
}

static void test_loops(void **state)
{
	struct place place = enter();
	struct guid base;

	(void)state;
	make_chain();
	base = data_write_guid("a/base.vhdx");
	/* Its own parent. */
	assert_int_equal(rename("a/b/mid.vhdx", "a/b/base.vhdx"), 0);
	assert_int_equal(rename("a/base.vhdx", "a/old.vhdx"), 0);
	assert_refused("a/b/base.vhdx", 0, "the chain has no end");
	assert_refused("a/b/base.vhdx", VHDX_OPEN_WRITE, "the chain has no end");
	/* top -> mid -> base, which is top. */
	assert_int_equal(rename("a/b/base.vhdx", "a/b/mid.vhdx"), 0);
	set_data_write_guid("c/top.vhdx", &base);
	assert_int_equal(link("c/top.vhdx", "a/base.vhdx"), 0);
	assert_refused("c/top.vhdx", 0, "the chain has no end");
	assert_refused("a/b/mid.vhdx", 0, "the chain has no end");
	leave(&place);
}

static void test_incomplete_parent(void **state)
{
	struct vhdx_create_options options = {.size_bytes = DISK_BYTES};
	struct place place = enter();
	struct guid base;
	struct blk *vhdx;

	(void)state;
	make_chain();
	base = data_write_guid("a/base.vhdx");
	assert_int_equal(remove("a/base.vhdx"), 0);
	must(vhdx_create("a/base.vhdx", &options, NULL, &vhdx));
	must(blk_close(vhdx));
	set_data_write_guid("a/base.vhdx", &base);
	assert_refused("c/top.vhdx", 0, "a/b/../base.vhdx: is incomplete");
	must(vhdx_open("c/top.vhdx", VHDX_OPEN_INCOMPLETE, NULL, &vhdx));
	must(blk_close(vhdx));
	/* Nor can a child be made over it. */
	must(vhdx_open("a/base.vhdx", VHDX_OPEN_INCOMPLETE, NULL, &options.parent));
	must_fail(vhdx_create("no.vhdx", &options, NULL, &vhdx), ERR_REFUSED);
	must(blk_close(options.parent));
	leave(&place);
}

static void test_options(void **state)
{
	static const struct vhdx_create_options bad[] = {
		{.size_bytes = DISK_BYTES + 512},
		{.logical_sector_bytes = 4096},
		{.physical_sector_bytes = 512},
		{.block_bytes = 3 << 20},
		{.flags = VHDX_FIXED},
	};
	struct place place = enter();
	struct blk *vhdx;

	(void)state;
	make("base.vhdx", NULL);
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		struct vhdx_create_options options = bad[i];

		must(vhdx_open("base.vhdx", 0, NULL, &options.parent));
		must_fail(vhdx_create("kid.vhdx", &options, NULL, &vhdx), ERR_REFUSED);
		assert_int_equal(access("kid.vhdx", F_OK), -1);
		must(blk_close(options.parent));
	}
	leave(&place);
}

/* The child's life with a parent that is no VHDX, and shorter or of other sectors. */
static void test_given_parent(void **state)
{
	struct place place = enter();
	struct blk *file, *parent, *vhdx;
	uint8_t got[8192];

	(void)state;
	make("base.vhdx", NULL);
	make("kid.vhdx", "base.vhdx");
	must(blk_file_open("kid.vhdx", BLK_FILE_WRITE, 0, &file));
	must(blk_mem_create(MIB + 4096, &parent));
	must(blk_pwrite(parent, "end", 3, MIB + 4093, 0));
	must(vhdx_open_over(file, parent, VHDX_OPEN_WRITE, NULL, &vhdx));
	memset(got, 1, sizeof got);
	must(blk_pread(vhdx, got, sizeof got, MIB));
	assert_memory_equal(got + 4093, "end", 3);
	assert_true(blk_is_zero(got + 4096, 4096));
	/* A sector that is written in part keeps the rest of what the parent has. */
	must(blk_pwrite(vhdx, "x", 1, MIB + 4092, 0));
	must(blk_pread(vhdx, got, 5, MIB + 4092));
	assert_memory_equal(got, "xend\0", 5);
	must_fail(vhdx_merge(vhdx, NULL), ERR_FAILED);
	must(blk_close(vhdx));
	must(blk_mem_create(MIB, &parent));
	parent->logical_sector_bytes = 4096;
	must(blk_file_open("kid.vhdx", 0, 0, &file));
	must_fail(vhdx_open_over(file, parent, 0, NULL, &vhdx), ERR_REFUSED);
	/* A parent for a file that has none. */
	must(blk_close(file));
	must(blk_file_open("base.vhdx", 0, 0, &file));
	must_fail(vhdx_open_over(file, parent, 0, NULL, &vhdx), ERR_REFUSED);
	must(blk_close(file));
	must(blk_close(parent));
	leave(&place);
}

static void test_merge(void **state)
{
	struct place place = enter();
	struct guid mid, after;
	struct blk *vhdx;

	(void)state;
	make_chain();
	mid = data_write_guid("a/b/mid.vhdx");
	/* The one in the middle goes into the base; who lies over it does not notice. */
	must(vhdx_open("a/b/mid.vhdx", VHDX_OPEN_WRITE | VHDX_OPEN_MERGE, NULL, &vhdx));
	must(vhdx_merge(vhdx, NULL));
	must(vhdx_merge(vhdx, NULL));
	must(blk_close(vhdx));
	after = data_write_guid("a/b/mid.vhdx");
	assert_true(guid_equal(&mid, &after));
	assert_holds("a/base.vhdx", "middle", MIB);
	assert_holds("a/b/mid.vhdx", "middle", MIB);
	assert_holds("c/top.vhdx", "base", 1000);
	assert_holds("c/top.vhdx", "top", 2 * MIB);
	/* Then the top into the middle, down into the base. */
	must(vhdx_open("c/top.vhdx", VHDX_OPEN_WRITE | VHDX_OPEN_MERGE, NULL, &vhdx));
	must(vhdx_merge(vhdx, NULL));
	must(blk_pwrite(vhdx, "more", 4, 5000, 0));
	must(blk_close(vhdx));
	assert_holds("a/b/mid.vhdx", "top", 2 * MIB);
	assert_holds("c/top.vhdx", "more", 5000);
	/* What is no child. */
	must(vhdx_open("a/base.vhdx", VHDX_OPEN_WRITE | VHDX_OPEN_MERGE, NULL, &vhdx));
	must_fail(vhdx_merge(vhdx, NULL), ERR_REFUSED);
	must(blk_close(vhdx));
	/* Without the flag the parent is not written. */
	must(vhdx_open("c/top.vhdx", VHDX_OPEN_WRITE, NULL, &vhdx));
	must_fail(vhdx_merge(vhdx, NULL), ERR_FAILED);
	must(blk_close(vhdx));
	assert_holds("c/top.vhdx", "more", 5000);
	leave(&place);
}

/* Windows paths, and where they are looked for. */
static void test_paths(void **state)
{
	static const struct {
		const char *child, *relative, *volume, *absolute;
		const char *expected; /* joined by '|' */
	} cases[] = {
		{"kid.vhdx", ".\\p.vhdx", NULL, NULL, "p.vhdx"},
		{"/a/kid.vhdx", "..\\b\\p.vhdx", NULL, NULL, "/a/../b/p.vhdx"},
		{"a/kid.vhdx", "p.vhdx", NULL, "C:\\x\\y\\p.vhdx", "a/p.vhdx|a/x/y/p.vhdx|a/y/p.vhdx"},
		{"a/kid.vhdx", NULL, "\\\\?\\Volume{26a21bda-a627-11d7-9931-806e6f6e6963}\\x\\p.vhdx",
		 "\\\\?\\d:\\x\\p.vhdx", "a/x/p.vhdx|a/p.vhdx"},
		{"/kid.vhdx", NULL, NULL, "\\\\server\\share\\p.vhdx",
		 "/server/share/p.vhdx|/share/p.vhdx|/p.vhdx"},
		{"a/kid.vhdx", NULL, NULL, "\\srv\\p.vhdx", "/srv/p.vhdx|a/p.vhdx"},
		{"a/kid.vhdx", "", NULL, "C:\\", ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		CLEANUP_VHDX_LOCATOR struct vhdx_locator locator = {0};
		CLEANUP_VHDX_PATHS struct vhdx_paths paths = {0};
		CLEANUP_TEXT struct text all = {0};

		if (cases[i].relative)
			must(vhdx_locator_set(&locator, VHDX_LOCATOR_RELATIVE, cases[i].relative));
		if (cases[i].volume)
			must(vhdx_locator_set(&locator, VHDX_LOCATOR_VOLUME, cases[i].volume));
		if (cases[i].absolute)
			must(vhdx_locator_set(&locator, VHDX_LOCATOR_ABSOLUTE, cases[i].absolute));
		must(vhdx_parent_paths(cases[i].child, &locator, &paths));
		for (size_t k = 0; k < paths.count; k++)
			text_addf(&all, "%s%s", k ? "|" : "", paths.items[k]);
		assert_string_equal(all.data ? all.data : "", cases[i].expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_found),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_changed),
		cmocka_unit_test(test_loops),
		cmocka_unit_test(test_incomplete_parent),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_given_parent),
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
