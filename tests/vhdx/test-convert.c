// SPDX-License-Identifier: GPL-3.0-or-later
/* Copying and comparing devices: what is read and written, and what happens when that fails. */
#include <errno.h>
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
#include "vhdx/convert.h"
#include "vhdx/image.h"
#include "vhdx/vhd.h"

#define DISK_BYTES (37 * MIB + 512)

/* Data that ends and begins anywhere, zeros that are stored, holes, and a last sector. */
static uint8_t *make_content(void)
{
	uint8_t *content = xcalloc(1, DISK_BYTES);
	struct rng rng = {42};

	rng_fill(&rng, content, 3 * MIB + 17);
	rng_fill(&rng, content + 9 * MIB + 4097, 100000);
	rng_fill(&rng, content + 20 * MIB, 512);
	memset(content + 20 * MIB + 100, 0, 300);
	rng_fill(&rng, content + 25 * MIB - 1, 5 * MIB + 2);
	content[DISK_BYTES - 1] = 0x5a;
	return content;
}

/* Only what is not zero is written, but for one stretch of zeros. */
static void write_content(struct blk *blk, const uint8_t *content)
{
	for (uint64_t offset = 0; offset < DISK_BYTES; offset += 4096) {
		uint64_t left = DISK_BYTES - offset;
		size_t bytes = left < 4096 ? left : 4096;

		if (!blk_is_zero(content + offset, bytes) || (offset >= 13 * MIB && offset < 16 * MIB + 4096))
			must(blk_pwrite(blk, content + offset, bytes, offset, 0));
	}
	must(blk_flush(blk));
}

/* Each format from each format, made and read through files. */
static void test_matrix(void **state)
{
	static const struct image_create_options kinds[] = {
		{.format = IMAGE_RAW, .size_bytes = DISK_BYTES},
		{.format = IMAGE_VHD, .size_bytes = DISK_BYTES},
		{.format = IMAGE_VHD, .size_bytes = DISK_BYTES, .fixed = true},
		{.format = IMAGE_VHDX, .size_bytes = DISK_BYTES},
		{.format = IMAGE_VHDX, .size_bytes = DISK_BYTES, .fixed = true, .block_bytes = 8 << 20},
	};
	char *dir = test_dir_make();
	CLEANUP_FREE char *from_path = test_path(dir, "from");
	CLEANUP_FREE char *to_path = test_path(dir, "to");
	CLEANUP_FREE uint8_t *content = make_content();

	(void)state;
	for (size_t i = 0; i < COUNT_OF(kinds) * COUNT_OF(kinds); i++) {
		const struct image_create_options *from = &kinds[i / COUNT_OF(kinds)];
		const struct image_create_options *to = &kinds[i % COUNT_OF(kinds)];
		struct image_convert_options options = {.threads = 1 + i % 4};
		struct image_difference difference;
		struct blk *source, *target;

		must(image_create(from_path, from, NULL, &source));
		write_content(source, content);
		must(image_finish(source, from->format));
		must(blk_close(source));
		must(image_open(from_path, NULL, NULL, &source));
		must(image_create(to_path, to, NULL, &target));
		must(image_convert(source, target, &options));
		must(image_finish(target, to->format));
		must(blk_close(target));
		must(image_open(to_path, NULL, NULL, &target));
		assert_int_equal(target->size_bytes, DISK_BYTES);
		blk_conformance_read_only(target, content);
		must(image_compare(source, target, NULL, &difference));
		assert_false(difference.found);
		must(blk_close(source));
		must(blk_close(target));
		unlink(from_path);
		unlink(to_path);
	}
	test_dir_remove(dir);
}

static void assert_allocated(struct blk *vhd, uint64_t blocks)
{
	struct vhd_info info;

	vhd_get_info(vhd, &info);
	assert_int_equal(info.allocated_blocks, blocks);
}

/* Blocks of zeros get no space, whether the source knows that they are zeros or not. */
static void test_sparse(void **state)
{
	const struct vhd_create_options options = {.size_bytes = DISK_BYTES};
	CLEANUP_FREE uint8_t *content = make_content();
	struct blk *source, *file, *vhd;

	(void)state;
	must(blk_mem_create(DISK_BYTES, &source)); /* calls everything data */
	write_content(source, content);
	must(blk_mem_create(0, &file));
	must(vhd_create_on(file, &options, NULL, &vhd));
	must(image_convert(source, vhd, NULL));
	/* MiB 0–3, 9, 20, 24–30 and the last byte, in blocks of 2 MiB. */
	assert_allocated(vhd, 2 + 1 + 1 + 4 + 1);
	blk_conformance_expect(vhd, content);
	must(blk_close(vhd));
	must(blk_close(source));
}

/* Nothing outside the given data is read or written, and progress counts just that. */
static void test_given_data(void **state)
{
	CLEANUP_FREE uint8_t *content = make_content();
	CLEANUP_EXTENTS struct extents data = {0};
	char *dir = test_dir_make();
	CLEANUP_FREE char *path = test_path(dir, "progress");
	CLEANUP_FCLOSE FILE *stream = fopen(path, "w+e");
	struct image_convert_options options = {.data = &data};
	struct blk *source, *target;
	char line[4096];
	unsigned long long done = 0, total = 1;

	(void)state;
	must(blk_mem_create(DISK_BYTES, &source));
	must(blk_mem_create(DISK_BYTES, &target));
	write_content(source, content);
	extents_add(&data, (64 << 10) + 5, MIB - 7);
	extents_add(&data, 20 * MIB, DISK_BYTES);
	options.progress = progress_create(stream, PROGRESS_JSON, "copy", extents_total_bytes(&data));
	must(image_convert(source, target, &options));
	progress_destroy(options.progress);
	/* Whole units of 64 KiB are read where there is some data in them. */
	memset(content, 0, 64 << 10);
	memset(content + MIB, 0, 19 * MIB);
	blk_conformance_expect(target, content);
	rewind(stream);
	while (fgets(line, sizeof line, stream))
		;
	assert_int_equal(sscanf(strstr(line, "\"done_bytes\""), "\"done_bytes\":%llu,\"total_bytes\":%llu",
				&done, &total),
			 2);
	assert_int_equal(done, total);
	must(blk_close(source));
	must(blk_close(target));
	test_dir_remove(dir);
}

static void test_sizes(void **state)
{
	CLEANUP_FREE uint8_t *content = make_content();
	struct blk *source, *target;

	(void)state;
	must(blk_mem_create(DISK_BYTES, &source));
	write_content(source, content);
	must(blk_mem_create(DISK_BYTES - 1, &target));
	must_fail(image_convert(source, target, NULL), ERR_REFUSED);
	must(blk_close(target));
	must(blk_mem_create(DISK_BYTES + MIB, &target));
	must(image_convert(source, target, NULL));
	must(blk_resize(target, DISK_BYTES));
	blk_conformance_expect(target, content);
	must(blk_close(source));
	must(blk_close(target));
	must(blk_mem_create(0, &source));
	must(blk_mem_create(0, &target));
	must(image_convert(source, target, NULL));
	must(blk_close(source));
	must(blk_close(target));
}

/* An error of either side ends it, comes back, and names the side. */
static void test_faults(void **state)
{
	static const struct {
		struct blk_fault fault;
		bool in_target;
	} cases[] = {
		{{BLK_OP_READ, 28 * MIB, 28 * MIB + 1, 1, 0, EIO}, false},
		{{BLK_OP_READ, 0, UINT64_MAX, 3, 0, EIO}, false},
		{{BLK_OP_EXTENTS, 0, UINT64_MAX, 1, 0, EIO}, false},
		{{BLK_OP_WRITE, 0, UINT64_MAX, 2, 0, ENOSPC}, true},
		{{BLK_OP_WRITE, DISK_BYTES - 1, DISK_BYTES, 1, 0, ENOSPC}, true},
	};
	CLEANUP_FREE uint8_t *content = make_content();

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases) * 2; i++) {
		struct image_convert_options options = {.threads = 1 + 3 * (i % 2)};
		bool in_target = cases[i / 2].in_target;
		struct blk *source, *target;
		struct err *err;

		must(blk_mem_create(DISK_BYTES, &source));
		write_content(source, content);
		must(blk_mem_create(DISK_BYTES, &target));
		must(blk_fault_create(in_target ? target : source, &cases[i / 2].fault, 1,
				      in_target ? &target : &source));
		err = image_convert(source, target, &options);
		assert_non_null(err);
		assert_int_equal(err_errno(err), cases[i / 2].fault.errnum);
		err_free(err);
		must(blk_close(source));
		must(blk_close(target));
	}
}

/* The first difference is found, however many follow and however many threads look. */
static void test_first_difference(void **state)
{
	static const uint64_t offsets[] = {0, 1, 4095, MIB - 1, MIB, 17 * MIB + 3, DISK_BYTES - 1};
	CLEANUP_FREE uint8_t *content = make_content();
	struct image_difference difference = {0};
	struct rng rng = {5};
	struct blk *a, *b;

	(void)state;
	must(blk_mem_create(DISK_BYTES, &a));
	write_content(a, content);
	for (size_t i = 0; i < COUNT_OF(offsets) * 4; i++) {
		struct image_compare_options options = {.threads = 1 + i % 4};
		uint64_t first = offsets[i / 4];
		uint8_t byte;

		b = copy_of(a);
		for (unsigned n = 0; n < 20; n++) {
			uint64_t at = n ? first + rng_below(&rng, DISK_BYTES - first) : first;

			byte = content[at] + 1;
			must(blk_pwrite(b, &byte, 1, at, 0));
		}
		must(image_compare(a, b, &options, &difference));
		assert_true(difference.found);
		assert_int_equal(difference.offset, first);
		must(image_compare(b, a, &options, &difference));
		assert_int_equal(difference.offset, first);
		must(blk_close(b));
	}
	must(blk_close(a));
}

static void test_compare_sizes(void **state)
{
	struct image_difference difference = {.found = true};
	struct blk *a, *b;

	(void)state;
	must(blk_mem_create(5 * MIB, &a));
	must(blk_mem_create(7 * MIB + 1, &b));
	must(image_compare(a, b, NULL, &difference));
	assert_false(difference.found);
	must(blk_pwrite(b, "x", 1, 7 * MIB, 0));
	must(image_compare(a, b, NULL, &difference));
	assert_true(difference.found);
	assert_int_equal(difference.offset, 7 * MIB);
	must(image_compare(b, a, NULL, &difference));
	assert_int_equal(difference.offset, 7 * MIB);
	must(blk_close(a));
	must(blk_close(b));
}

static void test_compare_faults(void **state)
{
	static const struct blk_fault fault = {BLK_OP_READ, 3 * MIB, 3 * MIB + 1, 1, 0, EIO};
	struct image_difference difference;
	struct blk *a, *b;

	(void)state;
	must(blk_mem_create(5 * MIB, &a));
	must(blk_mem_create(5 * MIB, &b));
	must(blk_fault_create(b, &fault, 1, &b));
	must_fail(image_compare(a, b, NULL, &difference), ERR_FAILED);
	must(blk_close(a));
	must(blk_close(b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_matrix),	      cmocka_unit_test(test_sparse),
		cmocka_unit_test(test_given_data),    cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_faults),	      cmocka_unit_test(test_first_difference),
		cmocka_unit_test(test_compare_sizes), cmocka_unit_test(test_compare_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
