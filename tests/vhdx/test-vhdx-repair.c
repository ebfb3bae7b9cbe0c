// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Repair, for each way of damage: what can be saved is saved, what is lost is told,
 * the result has no findings, and the backup puts every byte back.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "tests/base/lib-must.h"
#include "tests/vhdx/lib-damage.h"
#include "vhdx/device.h"
#include "vhdx/repair.h"

static struct blk *reference(void)
{
	return vhdx_opened(damage_sample(), 0);
}

/* All of the disk reads as the reference, but for what the plan says is lost or in doubt. */
static void assert_saved(struct blk *file, struct blk *expected, const struct vhdx_repair_summary *summary)
{
	CLEANUP_BLK struct blk *vhdx = vhdx_opened(copy_of(file), VHDX_OPEN_WRITE);
	CLEANUP_EXTENTS struct extents whole = {0};

	extents_add(&whole, 0, vhdx->size_bytes);
	for (size_t i = 0; i < summary->loss_count; i++)
		extents_remove(&whole, summary->losses[i].offset,
			       summary->losses[i].offset + summary->losses[i].len_bytes);
	if (whole.count)
		assert_int_equal(vhdx->size_bytes, expected->size_bytes);
	for (size_t i = 0; i < whole.count; i++)
		assert_same_range(vhdx, expected, whole.ranges[i].end - whole.ranges[i].start,
				  whole.ranges[i].start);
}

/* Applies a plan with a backup, looks at the result, and takes it back. */
static void repair_and_undo(struct blk *damaged, const struct vhdx_repair *plan, struct blk *expected)
{
	struct vhdx_repair_summary summary = vhdx_repair_summarize(plan);
	CLEANUP_BLK struct blk *file = copy_of(damaged);
	CLEANUP_BLK struct blk *backup = NULL;

	must(blk_mem_create(0, &backup));
	must(vhdx_repair_back_up(plan, backup));
	must(vhdx_repair_apply(plan, file));
	assert_clean(file);
	assert_saved(file, expected, &summary);
	must(vhdx_repair_undo(file, backup));
	assert_int_equal(file->size_bytes, damaged->size_bytes);
	assert_same_range(file, damaged, damaged->size_bytes, 0);
}

static enum damage_outcome outcome_of(const struct vhdx_repair_summary *summary)
{
	enum damage_outcome outcome = summary->needed ? DAMAGE_SAVED : DAMAGE_NONE;

	for (size_t i = 0; i < summary->loss_count; i++) {
		if (summary->losses[i].kind == VHDX_LOSS_GONE)
			return DAMAGE_LOST;
		outcome = DAMAGE_DOUBT;
	}
	return outcome;
}

static void test_fields(void **state)
{
	CLEANUP_BLK struct blk *expected = reference();

	(void)state;
	for (size_t i = 0; i < damage_case_count; i++) {
		CLEANUP_BLK struct blk *file = damage_sample();
		CLEANUP_BLK struct blk *before = NULL;
		CLEANUP_VHDX_REPAIR struct vhdx_repair *plan = NULL;
		struct vhdx_repair_summary summary = {0};
		enum damage_outcome outcome = DAMAGE_REFUSED;
		struct err *err;

		damage_field(file, &damage_cases[i].field);
		before = copy_of(file);
		err = vhdx_repair_plan(file, 0, &plan);
		if (err)
			must_fail(err, ERR_REFUSED);
		if (!err) {
			summary = vhdx_repair_summarize(plan);
			outcome = outcome_of(&summary);
		}
		if (outcome != damage_cases[i].outcome)
			fail_msg("case %zu: ends as %d, not %d", i, outcome, damage_cases[i].outcome);
		/* Planning changes nothing. */
		assert_int_equal(file->size_bytes, before->size_bytes);
		assert_same_range(file, before, before->size_bytes, 0);
		if (!err)
			repair_and_undo(file, plan, expected);
	}
}

/* Cut off anywhere: what is still there is read, what is not is told. */
static void test_truncation(void **state)
{
	CLEANUP_BLK struct blk *good = damage_sample();
	CLEANUP_BLK struct blk *expected = reference();

	(void)state;
	for (uint64_t end = 0; end < good->size_bytes; end += MIB / 2) {
		CLEANUP_BLK struct blk *file = copy_of(good);
		CLEANUP_VHDX_REPAIR struct vhdx_repair *plan = NULL;
		struct vhdx_repair_summary summary;
		struct err *err;

		must(blk_resize(file, end));
		err = vhdx_repair_plan(file, 0, &plan);
		/* Without all of the BAT region nothing can be saved. */
		assert_int_equal(err != NULL, end < DAMAGE_DATA);
		if (err) {
			must_fail(err, ERR_REFUSED);
			continue;
		}
		summary = vhdx_repair_summarize(plan);
		assert_int_equal(outcome_of(&summary), DAMAGE_LOST);
		repair_and_undo(file, plan, expected);
	}
}

/* Two blocks at one place: each has a place of its own then, and both read as they did. */
static void test_shared_place(void **state)
{
	static const struct damage shared = {IN_BAT, 8, 8, DAMAGE_DATA | VHDX_BLOCK_FULLY_PRESENT};
	CLEANUP_BLK struct blk *file = damage_sample();
	CLEANUP_BLK struct blk *vhdx = NULL;
	CLEANUP_BLK struct blk *expected = reference();
	uint8_t byte;

	(void)state;
	damage_field(file, &shared);
	must(vhdx_repair_on(file, 0));
	assert_clean(file);
	vhdx = vhdx_opened(copy_of(file), VHDX_OPEN_WRITE);
	assert_same_range(vhdx, expected, MIB, 0);
	must(blk_pwrite(vhdx, "x", 1, 1000, 0));
	must(blk_pread(vhdx, &byte, 1, MIB + 1000));
	assert_int_equal(byte, 0xdd);
}

/* The whole log is good: it is replayed, and nothing is in doubt. */
static void test_dirty_log(void **state)
{
	CLEANUP_BLK struct blk *file = damage_dirty_sample();
	CLEANUP_BLK struct blk *expected = vhdx_opened(copy_of(file), 0);
	CLEANUP_VHDX_REPAIR struct vhdx_repair *plan = NULL;
	struct vhdx_repair_summary summary;

	(void)state;
	must(vhdx_repair_plan(file, 0, &plan));
	summary = vhdx_repair_summarize(plan);
	assert_int_equal(outcome_of(&summary), DAMAGE_SAVED);
	repair_and_undo(file, plan, expected);
}

static void test_incomplete(void **state)
{
	const struct vhdx_create_options options = {.size_bytes = 8 * MIB};
	CLEANUP_BLK struct blk *file = NULL;
	struct vhdx_repair *plan;
	struct blk *inner, *vhdx = vhdx_in_memory(&options, &inner);
	uint8_t byte;

	(void)state;
	must(blk_pwrite(vhdx, "x", 1, 3 * MIB, BLK_FUA));
	file = copy_of(inner);
	must(blk_close(vhdx));
	must_fail(vhdx_repair_plan(file, 0, &plan), ERR_REFUSED);
	must(vhdx_repair_on(file, VHDX_REPAIR_COMPLETE));
	assert_clean(file);
	vhdx = vhdx_opened(copy_of(file), 0);
	must(blk_pread(vhdx, &byte, 1, 3 * MIB));
	assert_int_equal(byte, 'x');
	must(blk_close(vhdx));
}

static bool fails(struct err *err)
{
	bool failed = err;

	err_free(err);
	return failed;
}

/* A repair that fails anywhere can be undone; so can one whose last write was torn. */
static void test_interrupted(void **state)
{
	CLEANUP_BLK struct blk *damaged = damage_dirty_sample();
	static const struct damage shared = {IN_BAT, 8, 8, DAMAGE_DATA | VHDX_BLOCK_FULLY_PRESENT};
	CLEANUP_VHDX_REPAIR struct vhdx_repair *plan = NULL;
	CLEANUP_BLK struct blk *backup = NULL;
	bool failed;
	unsigned nth = 1;

	(void)state;
	damage_field(damaged, &shared);
	must(vhdx_repair_plan(damaged, 0, &plan));
	must(blk_mem_create(0, &backup));
	must(vhdx_repair_back_up(plan, backup));
	do {
		const struct blk_fault fault = {
			.op = BLK_OP_WRITE, .start = 0, .end = UINT64_MAX, .nth = nth, .errnum = EIO};
		struct blk *file = copy_of(damaged), *faulty;
		uint8_t sector[512];

		must(blk_fault_create(file, &fault, 1, &faulty));
		failed = fails(vhdx_repair_apply(plan, faulty));
		/* Torn: half of the header is there. */
		must(blk_pread(damaged, sector, sizeof sector, VHDX_HEADER_2_OFFSET));
		must(blk_pwrite(file, sector, sizeof sector, VHDX_HEADER_2_OFFSET, 0));
		must(vhdx_repair_undo(file, backup));
		assert_int_equal(file->size_bytes, damaged->size_bytes);
		assert_same_range(file, damaged, damaged->size_bytes, 0);
		must(blk_close(faulty));
		nth++;
	} while (failed);
	assert_true(nth > 4);
}

/* Undo destroys nothing that came after the repair, and takes nothing for a backup that is none. */
static void test_undo_refused(void **state)
{
	static const struct damage flipped = {IN_HEADER, 100, 0, 0};
	CLEANUP_BLK struct blk *file = damage_sample();
	CLEANUP_BLK struct blk *backup = NULL;
	CLEANUP_BLK struct blk *other = damage_sample();
	CLEANUP_VHDX_REPAIR struct vhdx_repair *plan = NULL;
	struct blk *vhdx, *used;

	(void)state;
	damage_field(file, &flipped);
	must(vhdx_repair_plan(file, 0, &plan));
	must(blk_mem_create(0, &backup));
	must(vhdx_repair_back_up(plan, backup));
	must_fail(vhdx_repair_undo(file, other), ERR_REFUSED);
	must_fail(vhdx_repair_undo(other, backup), ERR_REFUSED);
	must(vhdx_repair_apply(plan, file));
	vhdx = vhdx_opened(copy_of(file), VHDX_OPEN_WRITE);
	must(blk_pwrite(vhdx, "x", 1, 0, 0));
	must(vhdx_finish(vhdx));
	used = copy_of(((struct vhdx *)vhdx)->file);
	must(blk_close(vhdx));
	must_fail(vhdx_repair_undo(used, backup), ERR_REFUSED);
	must(blk_close(used));
	for (uint64_t at = 0; at < backup->size_bytes; at += 1000) {
		CLEANUP_BLK struct blk *broken = copy_of(backup);
		uint8_t byte;

		must(blk_pread(broken, &byte, 1, at));
		byte ^= 1;
		poke(broken, at, &byte, 1);
		/* Only the padding behind the header may be anything. */
		if (at < 40 || at >= 4096)
			must_fail(vhdx_repair_undo(file, broken), ERR_REFUSED);
	}
	must(vhdx_repair_undo(file, backup));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),	     cmocka_unit_test(test_truncation),
		cmocka_unit_test(test_shared_place), cmocka_unit_test(test_dirty_log),
		cmocka_unit_test(test_incomplete),   cmocka_unit_test(test_interrupted),
		cmocka_unit_test(test_undo_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
