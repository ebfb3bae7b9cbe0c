// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * VHD files: the conformance suite over every shape, what is on disk against the
 * specification, and the same disks as others (QEMU, libvhdi, real Hyper-V and
 * Disk2vhd) see and make them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "tests/base/lib-blk-conformance.h"
#include "tests/base/lib-must.h"
#include "tests/base/lib-rng.h"
#include "tests/vhdx/lib-vhdx.h"
#include "vhdx/compare.h"
#include "vhdx/vhd-format.h"
#include "vhdx/vhd.h"

static const struct {
	const char *name;
	struct vhd_create_options options;
} shapes[] = {
	{"512 KiB blocks", {.size_bytes = 6 * MIB + 512, .block_bytes = 512 << 10}},
	{"2 MiB blocks", {.size_bytes = 9 * MIB + 1536}},
	{"256 MiB blocks", {.size_bytes = 5 * MIB, .block_bytes = 256 << 20}},
	{"fixed", {.size_bytes = 7 * MIB + 512, .flags = VHD_CREATE_FIXED}},
};

static void expect_content(struct blk *file, const uint8_t *content)
{
	struct blk *vhd = NULL;

	must(vhd_open_on(file, 0, NULL, &vhd));
	blk_conformance_read_only(vhd, content);
	must(blk_close(vhd));
}

static void test_conformance(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(shapes); i++) {
		CLEANUP_FREE uint8_t *content = NULL;
		struct blk *file, *copy, *vhd;

		must(blk_mem_create(0, &file));
		must(vhd_create_on(file, &shapes[i].options, NULL, &vhd));
		assert_string_equal(vhd->ops->kind, "vhd");
		assert_int_equal(vhd->size_bytes, shapes[i].options.size_bytes);
		content = blk_conformance_run(vhd, shapes[i].name);
		copy = copy_of(file);
		expect_content(copy_of(copy), content);
		must(blk_close(vhd));
		/* The same file again, by another opening. */
		must(vhd_open_on(copy, VHD_OPEN_WRITE, NULL, &vhd));
		free(take_ptr(content));
		content = blk_conformance_run(vhd, shapes[i].name);
		expect_content(copy_of(copy), content);
		must(blk_close(vhd));
	}
}

static void assert_qemu_reads(const char *vhd_path, const char *raw_path)
{
	CLEANUP_FREE char *out = RUN("qemu-img", "compare", "-f", "vpc", "-F", "raw", vhd_path, raw_path);

	/* It says so, and goes on, if one is longer and the rest zeros. */
	assert_null(strstr(out, "size mismatch"));
}

static void assert_libvhdi_reads(const char *path, const char *type, uint64_t size_bytes)
{
	CLEANUP_FREE char *size = xasprintf("(%llu bytes)", (unsigned long long)size_bytes);
	CLEANUP_FREE char *out = RUN("vhdiinfo", path);

	if (!strstr(out, type))
		fail_msg("no \"%s\" in:\n%s", type, out);
	/* Small sizes are not repeated in brackets. */
	if (!strstr(out, size) && !strstr(out, size + 1))
		fail_msg("no \"%s\" in:\n%s", size, out);
}

/* Data at both ends, at block borders, and inside; the rest is zeros. */
static void write_pattern(struct blk *blk)
{
	CLEANUP_FREE uint8_t *buf = xmalloc(70000);
	struct rng rng = {blk->size_bytes};

	for (uint64_t offset = 0; offset + 70000 <= blk->size_bytes; offset += 3 * MIB - 4096) {
		rng_fill(&rng, buf, 70000);
		must(blk_pwrite(blk, buf, 70000, offset, 0));
	}
	rng_fill(&rng, buf, 512);
	must(blk_pwrite(blk, buf, 512, blk->size_bytes - 512, 0));
}

/* Sizes that geometry cannot express among them: QEMU must take the footer's size all the same. */
static void test_others_read_ours(void **state)
{
	static const uint64_t sizes[] = {512, 10 * MIB, 17 * MIB + 512, 33 * MIB + 1536, 600 * MIB};
	static const unsigned flags[] = {0, VHD_CREATE_FIXED};
	char *dir = test_dir_make();
	CLEANUP_FREE char *path = test_path(dir, "ours.vhd");
	CLEANUP_FREE char *raw_path = test_path(dir, "expected.raw");

	(void)state;
	for (size_t i = 0; i < COUNT_OF(sizes) * COUNT_OF(flags); i++) {
		struct vhd_create_options options = {.size_bytes = sizes[i / 2], .flags = flags[i % 2]};
		struct blk *vhd, *raw;

		must(vhd_create(path, &options, NULL, &vhd));
		must(blk_file_open(raw_path, BLK_FILE_CREATE, options.size_bytes, &raw));
		write_pattern(vhd);
		write_pattern(raw);
		must(blk_close(vhd));
		must(blk_close(raw));
		assert_qemu_reads(path, raw_path);
		assert_libvhdi_reads(path, options.flags ? "Fixed" : "Dynamic", options.size_bytes);
		unlink(path);
		unlink(raw_path);
	}
	test_dir_remove(dir);
}

static void assert_same_disk(const char *vhd_path, const char *raw_path)
{
	CLEANUP_BLK struct blk *vhd = NULL;
	CLEANUP_BLK struct blk *raw = NULL;
	struct image_difference difference;

	must(vhd_open(vhd_path, 0, NULL, &vhd));
	must(blk_file_open(raw_path, 0, 0, &raw));
	assert_int_equal(vhd->size_bytes, raw->size_bytes);
	must(image_compare(vhd, raw, NULL, &difference));
	assert_false(difference.found);
}

/* QEMU's own, in each subformat; without force_size it rounds up to what geometry can express. */
static void test_we_read_qemus(void **state)
{
	static const char *const options[] = {"subformat=dynamic", "subformat=fixed",
					      "subformat=dynamic,force_size=on",
					      "subformat=fixed,force_size=on"};
	char *dir = test_dir_make();
	CLEANUP_FREE char *raw_path = test_path(dir, "source.raw");
	CLEANUP_FREE char *path = test_path(dir, "qemu.vhd");
	CLEANUP_FREE char *back_path = test_path(dir, "back.raw");
	struct blk *raw;

	(void)state;
	must(blk_file_open(raw_path, BLK_FILE_CREATE, 21 * MIB + 512, &raw));
	write_pattern(raw);
	must(blk_close(raw));
	for (size_t i = 0; i < COUNT_OF(options); i++) {
		free(RUN("qemu-img", "convert", "-f", "raw", "-O", "vpc", "-o", options[i], raw_path, path));
		free(RUN("qemu-img", "convert", "-f", "vpc", "-O", "raw", path, back_path));
		assert_same_disk(path, back_path);
	}
	test_dir_remove(dir);
}

/* QEMU continues what we began, and we what QEMU began. */
static void test_taking_turns(void **state)
{
	const struct vhd_create_options options = {.size_bytes = 20 * MIB};
	char *dir = test_dir_make();
	CLEANUP_FREE char *path = test_path(dir, "disk.vhd");
	CLEANUP_FREE char *raw_path = test_path(dir, "disk.raw");
	struct blk *vhd, *raw;

	(void)state;
	must(vhd_create(path, &options, NULL, &vhd));
	must(blk_file_open(raw_path, BLK_FILE_CREATE, options.size_bytes, &raw));
	for (unsigned round = 1; round <= 3; round++) {
		CLEANUP_FREE char *command = xasprintf("write -P 0x%x %uM 64k", round, 5 * round);
		uint8_t data[1000];

		memset(data, 0xa0 + round, sizeof data);
		must(blk_pwrite(vhd, data, sizeof data, round * MIB + 100, 0));
		must(blk_pwrite(raw, data, sizeof data, round * MIB + 100, 0));
		must(blk_close(vhd));
		must(blk_close(raw));
		free(RUN("qemu-io", "-f", "vpc", "-c", command, path));
		free(RUN("qemu-io", "-f", "raw", "-c", command, raw_path));
		assert_qemu_reads(path, raw_path);
		assert_same_disk(path, raw_path);
		must(vhd_open(path, VHD_OPEN_WRITE, NULL, &vhd));
		must(blk_file_open(raw_path, BLK_FILE_WRITE, 0, &raw));
	}
	must(blk_close(vhd));
	must(blk_close(raw));
	test_dir_remove(dir);
}

/* What Disk2vhd and Hyper-V wrote: sizes as the specification's "current size" has them. */
static void test_corpora(void **state)
{
	static const struct {
		const char *name;
		enum vhd_type type;
		uint64_t size_bytes;
		uint64_t allocated_blocks;
		const char *creator;
	} cases[] = {
		{"vhd/d2v-zerofilled.vhd.bz2", VHD_DYNAMIC, 263454720, 126, "d2v"},
		{"vhd/hyperv2012r2-dynamic.vhd.bz2", VHD_DYNAMIC, 136365211648, 0, "win "},
		{"vhd/fat-parent.vhd.xz", VHD_FIXED, 4194304, 0, "win "},
	};
	char *dir = test_dir_make();

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		CLEANUP_FREE char *path = corpus_file(dir, cases[i].name);
		CLEANUP_FREE char *raw_path = test_path(dir, "qemu.raw");
		CLEANUP_BLK struct blk *vhd = NULL;
		struct vhd_info info;

		if (!path)
			break;
		must(vhd_open(path, 0, NULL, &vhd));
		vhd_get_info(vhd, &info);
		assert_int_equal(info.type, cases[i].type);
		assert_int_equal(info.size_bytes, cases[i].size_bytes);
		assert_int_equal(vhd->size_bytes, cases[i].size_bytes);
		assert_int_equal(info.allocated_blocks, cases[i].allocated_blocks);
		assert_string_equal(info.creator, cases[i].creator);
		free(RUN("qemu-img", "convert", "-f", "vpc", "-O", "raw", path, raw_path));
		assert_same_disk(path, raw_path);
	}
	test_dir_remove(dir);
}

static void test_differencing_is_refused(void **state)
{
	char *dir = test_dir_make();
	CLEANUP_FREE char *path = corpus_file(dir, "vhd/fat-differential.vhd.xz");
	struct blk *vhd = NULL;
	struct vhd_info info;
	char byte;

	(void)state;
	if (path) {
		must_fail(vhd_open(path, 0, NULL, &vhd), ERR_REFUSED);
		assert_null(vhd);
		must(vhd_open(path, VHD_OPEN_INSPECT, NULL, &vhd));
		vhd_get_info(vhd, &info);
		assert_int_equal(info.type, VHD_DIFFERENCING);
		assert_int_equal(info.size_bytes, 4194304);
		must_fail(blk_pread(vhd, &byte, 1, 0), ERR_REFUSED);
		must_fail(blk_pwrite(vhd, &byte, 1, 0, 0), ERR_REFUSED);
		must(blk_close(vhd));
	}
	test_dir_remove(dir);
}

/* The specification's numbers, and where new blocks lie. */
static void test_on_disk(void **state)
{
	const struct vhd_create_options options = {.size_bytes = 5 * MIB};
	struct vhd_disk_footer first, last;
	struct vhd_disk_header header;
	struct blk *file, *vhd;
	be32 bat[3];

	(void)state;
	must(blk_mem_create(0, &file));
	must(vhd_create_on(file, &options, NULL, &vhd));
	assert_int_equal(file->size_bytes, 512 + 1024 + 512 + 512);
	must(blk_pwrite(vhd, "x", 1, 3 * MIB, 0));
	must(blk_flush(vhd));
	must(blk_pread(file, &first, sizeof first, 0));
	must(blk_pread(file, &last, sizeof last, file->size_bytes - sizeof last));
	assert_memory_equal(&first, &last, sizeof first);
	assert_memory_equal(first.cookie, "conectix", 8);
	assert_int_equal(be64_get(first.header_offset), 512);
	assert_int_equal(be64_get(first.current_bytes), options.size_bytes);
	assert_int_equal(be32_get(first.type), 3);
	must(blk_pread(file, &header, sizeof header, 512));
	assert_memory_equal(header.cookie, "cxsparse", 8);
	assert_int_equal(be64_get(header.bat_offset), 1536);
	assert_int_equal(be32_get(header.bat_entries), 3);
	assert_int_equal(be32_get(header.block_bytes), 2 << 20);
	must(blk_pread(file, bat, sizeof bat, 1536));
	assert_int_equal(be32_get(bat[0]), UINT32_MAX);
	assert_int_equal((be32_get(bat[1]) * 512ull + 512) % 4096, 0);
	assert_int_equal(be32_get(bat[2]), UINT32_MAX);
	must(blk_close(vhd));
}

/* "CHS Calculation": values that the specification's algorithm gives. */
static void test_geometry(void **state)
{
	static const struct {
		uint64_t size_bytes;
		uint16_t cylinders;
		uint8_t heads, sectors;
	} cases[] = {
		{4194304, 120, 4, 17}, /* as in the real fat-parent.vhd */
		{10485760, 301, 4, 17}, /* as qemu-img has it */
		{136365211648, 65278, 16, 255}, /* as in the real hyperv2012r2-dynamic.vhd */
		{2040ull << 30, 65535, 16, 255},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct vhd_footer footer = {.type = VHD_FIXED, .size_bytes = cases[i].size_bytes};
		struct vhd_disk_footer disk;

		vhd_footer_encode(&footer, VHD_EPOCH_UNIX, &disk);
		assert_int_equal(be16_get(disk.cylinders), cases[i].cylinders);
		assert_int_equal(disk.heads, cases[i].heads);
		assert_int_equal(disk.sectors, cases[i].sectors);
	}
}

static void test_create_refusals(void **state)
{
	static const struct vhd_create_options cases[] = {
		{.size_bytes = 0},
		{.size_bytes = 1000},
		{.size_bytes = VHD_MAX_DISK_BYTES + 512},
		{.size_bytes = UINT64_MAX - 511},
		{.size_bytes = MIB, .block_bytes = 256 << 10},
		{.size_bytes = MIB, .block_bytes = 3 << 20},
		{.size_bytes = MIB, .block_bytes = 512u << 20},
	};
	char *dir = test_dir_make();
	CLEANUP_FREE char *path = test_path(dir, "disk.vhd");
	struct vhd_create_options fine = {.size_bytes = MIB};
	struct blk *vhd = NULL;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		must_fail(vhd_create(path, &cases[i], NULL, &vhd), ERR_REFUSED);
		assert_null(vhd);
		assert_int_equal(access(path, F_OK), -1);
	}
	must(vhd_create(path, &fine, NULL, &vhd));
	must(blk_close(vhd));
	must_fail(vhd_create(path, &fine, NULL, &vhd), 0);
	assert_int_equal(access(path, F_OK), 0);
	test_dir_remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conformance),	cmocka_unit_test(test_others_read_ours),
		cmocka_unit_test(test_we_read_qemus),	cmocka_unit_test(test_taking_turns),
		cmocka_unit_test(test_corpora),		cmocka_unit_test(test_differencing_is_refused),
		cmocka_unit_test(test_on_disk),		cmocka_unit_test(test_geometry),
		cmocka_unit_test(test_create_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
