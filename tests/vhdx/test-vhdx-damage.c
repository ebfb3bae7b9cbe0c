// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Damaged files: each field with each kind of wrong value, checksums set right
 * again so that the field itself is what is judged.  What is asked for: one clear
 * error or a warning, the same finding from a check, and nothing written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/base/lib-must.h"
#include "tests/vhdx/lib-damage.h"
#include "vhdx/repair.h"

/* Two headers that differ in more than their number, which is equal: neither is current. */
static void test_equal_numbers(void **state)
{
	static const struct damage number = {IN_BOTH_HEADERS, 8, 8, 77}, guid = {IN_HEADER, 16, 8, 1};
	CLEANUP_BLK struct blk *file = damage_sample();
	struct blk *vhdx;

	(void)state;
	damage_field(file, &number);
	damage_field(file, &guid);
	assert_has_finding(file, "same sequence number 77");
	must_fail(vhdx_open_on(file, 0, NULL, &vhdx), ERR_REFUSED);
}

static void expect_error(struct err *err, const char *part, size_t i)
{
	if (!err)
		fail_msg("case %zu: opens, without \"%s\"", i, part);
	if (err_kind(err) != ERR_REFUSED || !strstr(err_message(err), part) || !err_advice(err))
		fail_msg("case %zu: \"%s\" (kind %d, advice: %s) instead of \"%s\"", i, err_message(err),
			 err_kind(err), err_advice(err), part);
	err_free(err);
}

static void check_opening(struct blk *file, struct blk *reference, size_t i)
{
	CLEANUP_BLK struct blk *before = copy_of(file);
	struct blk *vhdx;

	for (unsigned flags = 0; flags <= VHDX_OPEN_WRITE; flags += VHDX_OPEN_WRITE) {
		struct blk *opened = flags ? file : borrowed(file);
		struct err *err = vhdx_open_on(opened, flags, NULL, &vhdx);

		if (damage_cases[i].error)
			expect_error(err, damage_cases[i].error, i);
		else if (err)
			fail_msg("case %zu: %s", i, err_message(err));
		else if (damage_cases[i].field.place != IN_BAT)
			assert_same_range(vhdx, reference, DAMAGE_DISK_BYTES, 0);
		/* Opening alone changes nothing. */
		assert_same_range(file, before, before->size_bytes, 0);
		must(blk_close(damage_cases[i].error ? opened : vhdx));
	}
}

static void test_fields(void **state)
{
	CLEANUP_BLK struct blk *good = damage_sample();
	CLEANUP_BLK struct blk *reference = vhdx_opened(copy_of(good), 0);

	(void)state;
	assert_clean(good);
	for (size_t i = 0; i < damage_case_count; i++) {
		struct blk *file = copy_of(good);

		damage_field(file, &damage_cases[i].field);
		if (!strcmp(damage_cases[i].finding, ""))
			assert_clean(file);
		else
			assert_has_finding(file, damage_cases[i].finding);
		check_opening(file, reference, i);
	}
}

/* Without a log a file can be read, but not changed; a repair sets one up. */
static void test_no_log(void **state)
{
	static const struct damage length = {IN_HEADER, 68, 4, 0};
	CLEANUP_BLK struct blk *file = damage_sample();
	CLEANUP_BLK struct blk *reference = vhdx_opened(copy_of(file), 0);
	struct blk *vhdx;

	(void)state;
	damage_field(file, &length);
	assert_no_errors_in(file);
	assert_has_finding(file, "there is no log");
	expect_error(vhdx_open_on(file, VHDX_OPEN_WRITE, NULL, &vhdx), "has no log", 0);
	vhdx = vhdx_opened(borrowed(file), 0);
	assert_same_range(vhdx, reference, DAMAGE_DISK_BYTES, 0);
	must(blk_close(vhdx));
	must(vhdx_repair_on(file, 0));
	assert_clean(file);
	vhdx = vhdx_opened(lent(file), VHDX_OPEN_WRITE);
	assert_same_range(vhdx, reference, DAMAGE_DISK_BYTES, 0);
	must(blk_close(vhdx));
}

/* Cut off at each half MiB: a check finds it, and so does opening, or nothing of the disk is missing. */
static void cut_everywhere(struct blk *good, struct blk *reference)
{
	for (uint64_t end = 0; end < good->size_bytes; end += MIB / 2) {
		CLEANUP_BLK struct blk *file = copy_of(good);
		struct vhdx_check_result result;
		struct blk *lent_file, *vhdx;
		struct err *err;

		must(blk_resize(file, end));
		must(vhdx_check_on(file, NULL, NULL, &result));
		lent_file = borrowed(file);
		err = vhdx_open_on(lent_file, 0, NULL, &vhdx);
		if (!err) {
			assert_same_range(vhdx, reference, reference->size_bytes, 0);
			must(blk_close(vhdx));
			continue;
		}
		if (!result.errors)
			fail_msg("cut off at %llu: \"%s\", but no finding", (unsigned long long)end,
				 err_message(err));
		must_fail(err, ERR_REFUSED);
		must(blk_close(lent_file));
	}
}

static void test_truncation(void **state)
{
	static const struct vhdx_create_options options[] = {
		{.size_bytes = 20 * MIB, .block_bytes = 1 << 20},
		{.size_bytes = 20 * MIB + 512, .block_bytes = 4 << 20},
		{.size_bytes = 12 * MIB, .block_bytes = 2 << 20, .flags = VHDX_FIXED},
	};
	CLEANUP_BLK struct blk *dirty = damage_dirty_sample();
	CLEANUP_BLK struct blk *dirty_disk = vhdx_opened(borrowed(dirty), 0);

	(void)state;
	cut_everywhere(dirty, dirty_disk);
	for (size_t i = 0; i < COUNT_OF(options); i++) {
		struct blk *file, *vhdx = vhdx_in_memory(&options[i], &file);
		CLEANUP_BLK struct blk *copy = NULL;

		for (uint64_t at = 0; at < options[i].size_bytes; at += 3 * MIB)
			must(blk_pwrite(vhdx, "data", 4, at, 0));
		must(vhdx_finish(vhdx));
		copy = copy_of(file);
		cut_everywhere(copy, vhdx);
		must(blk_close(vhdx));
	}
}

static void test_no_vhdx(void **state)
{
	static const char text[] = "this is a text, and not a disk image of any kind";
	CLEANUP_BLK struct blk *file = NULL;
	struct blk *vhdx;

	(void)state;
	must(blk_mem_create(0, &file));
	must_fail(vhdx_open_on(file, 0, NULL, &vhdx), ERR_REFUSED);
	assert_has_finding(file, "not a VHDX");
	must(blk_resize(file, sizeof text));
	poke(file, 0, text, sizeof text);
	must_fail(vhdx_open_on(file, 0, NULL, &vhdx), ERR_REFUSED);
	assert_has_finding(file, "not a VHDX");
	poke(file, 0, "vhdxfile", 8);
	must_fail(vhdx_open_on(file, 0, NULL, &vhdx), ERR_REFUSED);
	assert_has_finding(file, "truncated");
	must(blk_resize(file, 2 * MIB));
	assert_has_finding(file, "both headers");
	must_fail(vhdx_open("/nonexistent/disk.vhdx", 0, NULL, &vhdx), ERR_FAILED);
	must_fail(vhdx_finish(file), ERR_FAILED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),	cmocka_unit_test(test_equal_numbers),
		cmocka_unit_test(test_no_log),	cmocka_unit_test(test_truncation),
		cmocka_unit_test(test_no_vhdx),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
