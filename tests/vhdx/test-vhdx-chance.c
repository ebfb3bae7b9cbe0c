// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Damage by chance: junk in the structures, files cut off anywhere, devices that
 * fail.  What is asked for: no crash, no more than an error, nothing lost that was
 * flushed.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "tests/base/lib-must.h"
#include "tests/base/lib-rng.h"
#include "tests/vhdx/lib-damage.h"
#include "vhdx/repair.h"

#define METADATA DAMAGE_METADATA
#define ITEMS (METADATA + VHDX_METADATA_TABLE_BYTES)
#define BAT DAMAGE_BAT

/* Reads all of it, in whatever way; errors are fine. */
static void use_all(struct blk *vhdx)
{
	CLEANUP_FREE uint8_t *buf = xmalloc(MIB);
	struct vhdx_info info;
	struct err *err;

	for (uint64_t offset = 0; offset < vhdx->size_bytes && offset < 32 * MIB; offset += MIB) {
		uint64_t left = vhdx->size_bytes - offset;

		err_free(blk_pread(vhdx, buf, left < MIB ? left : MIB, offset));
	}
	err = vhdx_get_info(vhdx, &info);
	if (!err)
		vhdx_info_deinit(&info);
	err_free(err);
}

/* Opens in each way, reads, checks: nothing may crash, and no more than an error may come of it. */
static void try_all(struct blk *file)
{
	static const unsigned ways[] = {0, VHDX_OPEN_INSPECT, VHDX_OPEN_INCOMPLETE,
					VHDX_OPEN_WRITE | VHDX_OPEN_INCOMPLETE};
	struct vhdx_check_result result;

	err_free(vhdx_check_on(file, NULL, NULL, &result));
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		bool writes = ways[i] & VHDX_OPEN_WRITE;
		struct blk *opened = writes ? copy_of(file) : borrowed(file), *vhdx;
		struct err *err = vhdx_open_on(opened, ways[i], NULL, &vhdx);

		if (err) {
			assert_non_null(err_message(err));
			err_free(err);
			must(blk_close(opened));
			continue;
		}
		use_all(vhdx);
		if (writes) {
			err_free(blk_pwrite(vhdx, "x", 1, vhdx->size_bytes / 2, 0));
			err_free(blk_discard(vhdx, vhdx->size_bytes / 2, 0));
		}
		err_free(blk_close(vhdx));
	}
}

/* A plan that can be made leads to a file without errors, which opens; and it can be taken back. */
static void try_repair(struct blk *file)
{
	CLEANUP_BLK struct blk *repaired = copy_of(file);
	CLEANUP_BLK struct blk *backup = NULL;
	CLEANUP_VHDX_REPAIR struct vhdx_repair *plan = NULL;
	struct err *err = vhdx_repair_plan(file, VHDX_REPAIR_COMPLETE, &plan);

	if (err) {
		assert_non_null(err_advice(err));
		must_fail(err, ERR_REFUSED);
		return;
	}
	must(blk_mem_create(0, &backup));
	must(vhdx_repair_back_up(plan, backup));
	must(vhdx_repair_apply(plan, repaired));
	assert_clean(repaired);
	must(blk_close(vhdx_opened(copy_of(repaired), VHDX_OPEN_WRITE)));
	must(vhdx_repair_undo(repaired, backup));
	assert_int_equal(repaired->size_bytes, file->size_bytes);
	assert_same_range(repaired, file, file->size_bytes, 0);
}

static void test_random_damage(void **state)
{
	static const struct {
		uint64_t offset, bytes, structure_bytes;
	} targets[] = {
		{0, 520, 0},
		{VHDX_HEADER_1_OFFSET, 80, VHDX_HEADER_BYTES},
		{VHDX_HEADER_2_OFFSET, 80, VHDX_HEADER_BYTES},
		{VHDX_REGION_TABLE_1_OFFSET, 80, VHDX_REGION_TABLE_BYTES},
		{VHDX_REGION_TABLE_2_OFFSET, 80, VHDX_REGION_TABLE_BYTES},
		{MIB, 160, 8192},
		{MIB + 8192, 160, 8192},
		{METADATA, 192, 0},
		{ITEMS, 40, 0},
		{BAT, 160, 0},
	};
	struct blk *samples[] = {damage_sample(), damage_dirty_sample()};
	struct rng rng = {42};

	(void)state;
	for (unsigned n = 0; n < 160; n++) {
		CLEANUP_BLK struct blk *file = copy_of(samples[n % 2]);
		unsigned changes = 1 + (unsigned)rng_below(&rng, 3);

		for (unsigned i = 0; i < changes; i++) {
			size_t t = rng_below(&rng, COUNT_OF(targets));
			uint8_t junk[8];

			rng_fill(&rng, junk, sizeof junk);
			if (rng_below(&rng, 2))
				memset(junk, rng_below(&rng, 2) ? 0xff : 0, sizeof junk);
			poke(file, targets[t].offset + rng_below(&rng, targets[t].bytes), junk,
			     1 + rng_below(&rng, sizeof junk));
			if (targets[t].structure_bytes)
				fix_checksum(file, targets[t].offset, targets[t].structure_bytes);
		}
		try_all(file);
		try_repair(file);
	}
	must(blk_close(samples[0]));
	must(blk_close(samples[1]));
}

/* The places that a format without checksums there cannot speak for: the disk's size may be another valid
 * one, and a BAT entry may point to another place where nothing is. */
static bool is_beyond_proof(uint64_t offset)
{
	return (offset >= ITEMS + 8 && offset < ITEMS + 16) || (offset >= BAT && offset < BAT + 6 * 8);
}

static uint64_t damage_count(void)
{
	const char *text = getenv("P2V_DAMAGES");

	return text ? strtoull(text, NULL, 10) : 200;
}

/* One byte anywhere before the payload is another one: the check finds that, or the content is as it was. */
static void test_every_place(void **state)
{
	static const struct {
		uint64_t start, bytes;
	} zones[] = {
		{0, 4 * MIB},
		{0, 520},
		{VHDX_HEADER_1_OFFSET, VHDX_HEADER_BYTES},
		{VHDX_HEADER_2_OFFSET, VHDX_HEADER_BYTES},
		{VHDX_REGION_TABLE_1_OFFSET, 80},
		{VHDX_REGION_TABLE_2_OFFSET, 80},
		{METADATA, 32 + 5 * 32},
		{ITEMS, 40},
		{BAT, 6 * 8},
	};
	CLEANUP_BLK struct blk *good = damage_sample();
	CLEANUP_BLK struct blk *expected = vhdx_opened(copy_of(good), 0);
	struct rng rng = {7};

	(void)state;
	for (uint64_t n = 0; n < damage_count(); n++) {
		size_t zone = rng_below(&rng, COUNT_OF(zones));
		uint64_t at = zones[zone].start + rng_below(&rng, zones[zone].bytes);
		uint8_t old, new = (uint8_t)rng_below(&rng, 256);
		struct vhdx_check_result result;
		struct blk *vhdx;

		must(blk_pread(good, &old, 1, at));
		poke(good, at, &new, 1);
		must(vhdx_check_on(good, NULL, NULL, &result));
		if (!result.errors && !result.warnings && !is_beyond_proof(at)) {
			vhdx = vhdx_opened(borrowed(good), 0);
			assert_int_equal(vhdx->size_bytes, expected->size_bytes);
			assert_same_range(vhdx, expected, DAMAGE_DISK_BYTES, 0);
			must(blk_close(vhdx));
		}
		poke(good, at, &old, 1);
	}
}

/* Cut off anywhere, a file is refused, or holds what it held. */
static void test_truncation(void **state)
{
	CLEANUP_BLK struct blk *good = damage_sample();
	CLEANUP_BLK struct blk *reference = vhdx_opened(copy_of(good), 0);
	uint64_t refused = 0;

	(void)state;
	for (uint64_t mib = 0; mib <= good->size_bytes / MIB; mib++) {
		for (uint64_t less = 0; less < 2; less++) {
			struct blk *file = borrowed(good), *vhdx;
			struct vhdx_check_result result;
			struct err *err;

			/* As far as anyone can see, it ends there. */
			file->size_bytes = mib * MIB - (mib ? less * 100 : 0);
			must(vhdx_check_on(file, NULL, NULL, &result));
			err = vhdx_open_on(file, 0, NULL, &vhdx);
			if (!err) {
				assert_same_range(vhdx, reference, DAMAGE_DISK_BYTES, 0);
				assert_int_equal(result.errors, 0);
				must(blk_close(vhdx));
				continue;
			}
			refused++;
			assert_true(result.errors > 0);
			must_fail(err, ERR_REFUSED);
			must(blk_close(file));
		}
	}
	/* All lengths but the full one: the last block is in use. */
	assert_int_equal(refused, 2 * good->size_bytes / MIB + 1);
}

/* A device that fails at its nth request of a kind: errors come through, and what was flushed before stays.
 */
static void fail_at(struct blk *good, struct blk *reference, enum blk_op op, unsigned nth)
{
	const struct blk_fault fault = {
		.op = op, .start = 0, .end = UINT64_MAX, .nth = nth, .times = 1, .errnum = EIO};
	struct blk *inner = copy_of(good), *faulty, *vhdx, *left;
	unsigned failed = 0;
	uint8_t data[3000];
	struct err *err;

	memset(data, 0xee, sizeof data);
	must(blk_fault_create(inner, &fault, 1, &faulty));
	err = vhdx_open_on(faulty, VHDX_OPEN_WRITE, NULL, &vhdx);
	if (err) {
		must_fail(err, ERR_FAILED);
		must(blk_close(faulty));
		return;
	}
	for (unsigned i = 0; i < 3; i++) {
		err = blk_pwrite(vhdx, data, sizeof data, (2 * i + 1) * MIB + 5, 0);
		failed += err != NULL;
		err_free(err);
		err = blk_flush(vhdx);
		failed += err != NULL;
		err_free(err);
	}
	left = copy_of(inner);
	err_free(blk_close(vhdx));
	/* Whatever failed, the file is sound, and the blocks that nobody wrote to are as they were. */
	assert_no_errors_in(left);
	vhdx = vhdx_opened(left, VHDX_OPEN_WRITE);
	for (uint64_t offset = 0; offset < DAMAGE_DISK_BYTES; offset += 2 * MIB)
		assert_same_range(vhdx, reference, MIB, offset);
	must(blk_pread(vhdx, data, 1, MIB + 5));
	assert_true(failed || data[0] == 0xee);
	must(blk_close(vhdx));
}

static void test_failing_device(void **state)
{
	CLEANUP_BLK struct blk *good = damage_sample();
	CLEANUP_BLK struct blk *reference = vhdx_opened(copy_of(good), 0);

	(void)state;
	for (unsigned nth = 1; nth <= 16; nth++) {
		fail_at(good, reference, BLK_OP_READ, nth);
		fail_at(good, reference, BLK_OP_WRITE, nth);
		fail_at(good, reference, BLK_OP_FLUSH, nth);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_damage),
		cmocka_unit_test(test_every_place),
		cmocka_unit_test(test_truncation),
		cmocka_unit_test(test_failing_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
