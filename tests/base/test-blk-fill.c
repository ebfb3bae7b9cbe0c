// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The fill device beyond the conformance suite: what it reads and writes below,
 * what a failed fill leaves, and many threads that fill and write the same
 * units at once.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "tests/base/lib-blk-conformance.h"
#include "tests/base/lib-must.h"
#include "tests/base/lib-rng.h"

#define UNIT_BYTES (64u << 10)
#define UNITS 64u
#define DISK_BYTES ((UNITS * UNIT_BYTES) - 12345)

/* A device that counts, for each unit, how often it was read and written. */
struct counter {
	struct blk blk;
	struct blk *inner;
	unsigned reads[UNITS];
	unsigned writes[UNITS];
	bool has_extents;
};

static void count(unsigned *counts, size_t len_bytes, uint64_t offset)
{
	for (uint64_t u = offset / UNIT_BYTES; u <= (offset + len_bytes - 1) / UNIT_BYTES; u++)
		__atomic_add_fetch(&counts[u], 1, __ATOMIC_RELAXED);
}

static struct err *counter_pread(struct blk *blk, void *buf, size_t len_bytes, uint64_t offset)
{
	struct counter *c = (struct counter *)blk;

	count(c->reads, len_bytes, offset);
	return blk_pread(c->inner, buf, len_bytes, offset);
}

static struct err *counter_pwrite(struct blk *blk, const void *buf, size_t len_bytes, uint64_t offset,
				  unsigned flags)
{
	struct counter *c = (struct counter *)blk;

	count(c->writes, len_bytes, offset);
	return blk_pwrite(c->inner, buf, len_bytes, offset, flags);
}

/* Units 3, 7, 11, … are holes. */
static struct err *counter_extents(struct blk *blk, uint64_t len_bytes, uint64_t offset, blk_extent_fn fn,
				   void *arg)
{
	struct counter *c = (struct counter *)blk;
	uint64_t end = offset + len_bytes;

	if (!c->has_extents)
		return fn(arg, offset, len_bytes, 0);
	while (offset < end) {
		uint64_t unit = offset / UNIT_BYTES;
		uint64_t stop = (unit + 1) * UNIT_BYTES < end ? (unit + 1) * UNIT_BYTES : end;

		TRY(fn(arg, offset, stop - offset, unit % 4 == 3 ? BLK_EXTENT_HOLE | BLK_EXTENT_ZERO : 0));
		offset = stop;
	}
	return NULL;
}

static struct err *counter_close(struct blk *blk)
{
	return blk_close(((struct counter *)blk)->inner);
}

static const struct blk_ops counter_ops = {
	.kind = "counter",
	.pread = counter_pread,
	.pwrite = counter_pwrite,
	.extents = counter_extents,
	.close = counter_close,
};

static void counter_init(struct counter *c)
{
	memset(c, 0, sizeof *c);
	must(blk_mem_create(DISK_BYTES, &c->inner));
	c->blk = *c->inner;
	c->blk.ops = &counter_ops;
}

/* In every four units: data, data in the middle alone, zeros that are stored, a hole. */
static void fill_source(struct counter *source, uint8_t *model)
{
	struct rng rng = {3};

	memset(model, 0, DISK_BYTES);
	for (uint64_t u = 0; u < UNITS; u++) {
		uint64_t start = u * UNIT_BYTES + (u % 4 == 1 ? 20000 : 0);
		uint64_t end = u % 4 == 1 ? start + 10 : start + UNIT_BYTES;

		if (u % 4 < 2)
			rng_fill(&rng, model + start, (end < DISK_BYTES ? end : DISK_BYTES) - start);
	}
	source->has_extents = true;
	must(blk_pwrite(source->inner, model, DISK_BYTES, 0, 0));
}

struct fixture {
	struct counter source;
	struct counter target;
	uint8_t *model;
	struct blk *fill;
};

static void setup(struct fixture *f)
{
	counter_init(&f->source);
	counter_init(&f->target);
	f->model = xmalloc(DISK_BYTES);
	fill_source(&f->source, f->model);
	must(blk_fill_create(&f->target.blk, &f->source.blk, UNIT_BYTES, &f->fill));
}

static void teardown(struct fixture *f)
{
	must(blk_close(f->fill));
	free(f->model);
}

/* Reading fills nothing; filling reads each unit with data once, and writes what is not zero. */
static void test_what_is_copied(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	blk_conformance_expect(f.fill, f.model);
	for (unsigned u = 0; u < UNITS; u++)
		assert_int_equal(f.target.writes[u], 0);
	memset(f.source.reads, 0, sizeof f.source.reads);
	must(blk_fill_range(f.fill, UNIT_BYTES, 5 * UNIT_BYTES + 1)); /* units 5 and 6 */
	must(blk_fill_range(f.fill, DISK_BYTES, 0));
	must(blk_fill_range(f.fill, DISK_BYTES, 0));
	for (unsigned u = 0; u < UNITS; u++) {
		assert_int_equal(f.source.reads[u], u % 4 == 3 ? 0 : 1);
		assert_int_equal(f.target.writes[u], u % 4 < 2 ? 1 : 0);
	}
	blk_conformance_expect(f.target.inner, f.model);
	blk_conformance_expect(f.fill, f.model);
	teardown(&f);
}

/* A write fills its own units alone, and none that it covers. */
static void test_write_fills_first(void **state)
{
	struct fixture f;
	struct rng rng = {9};
	uint64_t start = UNIT_BYTES - 1, len = 2 * UNIT_BYTES + 1; /* part of 0, all of 1 and 2 */

	(void)state;
	setup(&f);
	rng_fill(&rng, f.model + start, len);
	must(blk_pwrite(f.fill, f.model + start, len, start, 0));
	assert_int_equal(f.source.reads[0], 1);
	for (unsigned u = 1; u < UNITS; u++)
		assert_int_equal(f.source.reads[u], 0);
	blk_conformance_expect(f.fill, f.model);
	memset(f.model + 4 * UNIT_BYTES, 0, 2 * UNIT_BYTES);
	memset(f.source.reads, 0, sizeof f.source.reads);
	must(blk_discard(f.fill, UNIT_BYTES, 4 * UNIT_BYTES));
	must(blk_zero(f.fill, UNIT_BYTES, 5 * UNIT_BYTES, 0));
	for (unsigned u = 0; u < UNITS; u++)
		assert_int_equal(f.source.reads[u], 0);
	blk_conformance_expect(f.fill, f.model);
	teardown(&f);
}

static void test_range_is_checked(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	must_fail(blk_fill_range(f.fill, 1, DISK_BYTES), 0);
	must_fail(blk_fill_range(f.fill, UINT64_MAX, 1), 0);
	must(blk_fill_range(f.fill, 0, DISK_BYTES));
	teardown(&f);
}

static void test_refusals(void **state)
{
	struct blk *small, *big, *fill = NULL;

	(void)state;
	must(blk_mem_create(DISK_BYTES, &small));
	must(blk_mem_create(DISK_BYTES + 1, &big));
	must_fail(blk_fill_create(small, big, UNIT_BYTES, &fill), ERR_REFUSED);
	must_fail(blk_fill_create(big, small, 0, &fill), ERR_REFUSED);
	must_fail(blk_fill_create(big, small, 256, &fill), ERR_REFUSED);
	must_fail(blk_fill_create(big, small, UNIT_BYTES + 512, &fill), ERR_REFUSED);
	big->flags |= BLK_READ_ONLY;
	must_fail(blk_fill_create(big, small, UNIT_BYTES, &fill), ERR_REFUSED);
	assert_null(fill);
	must(blk_close(small));
	must(blk_close(big));
}

/* A read or write that fails in the middle of filling loses nothing: the next try puts it right, also
 * where the target was left with half a unit and the source holds zeros. */
static void test_failed_fill(void **state)
{
	static const struct blk_fault read_faults[] = {
		{BLK_OP_READ, 4 * UNIT_BYTES, 5 * UNIT_BYTES, 1, 1, EIO}};
	static const struct blk_fault write_faults[] = {
		{BLK_OP_WRITE, 8 * UNIT_BYTES, 9 * UNIT_BYTES, 1, 1, ENOSPC},
		{BLK_OP_WRITE, 10 * UNIT_BYTES, 11 * UNIT_BYTES, 2, 1, ENOSPC}};
	struct counter source, target;
	struct blk *bad_source, *bad_target, *fill;
	CLEANUP_FREE uint8_t *model = xmalloc(DISK_BYTES);
	CLEANUP_FREE uint8_t *junk = xmalloc(UNIT_BYTES);

	(void)state;
	counter_init(&source);
	counter_init(&target);
	fill_source(&source, model);
	must(blk_fault_create(&source.blk, read_faults, 1, &bad_source));
	must(blk_fault_create(&target.blk, write_faults, 2, &bad_target));
	must(blk_fill_create(bad_target, bad_source, UNIT_BYTES, &fill));
	must_fail(blk_fill_range(fill, DISK_BYTES, 0), ERR_FAILED); /* the read of unit 4 */
	blk_conformance_expect(fill, model);
	must_fail(blk_fill_range(fill, DISK_BYTES, 0), ERR_FAILED); /* the write of unit 8 */
	blk_conformance_expect(fill, model);
	/* Unit 10 is written as a whole; a later write into it fails, and the first must stay. */
	memset(junk, 0xdd, UNIT_BYTES);
	must(blk_pwrite(fill, junk, UNIT_BYTES, 10 * UNIT_BYTES, 0));
	must_fail(blk_pwrite(fill, "x", 1, 10 * UNIT_BYTES, 0), ERR_FAILED);
	memset(model + 10 * UNIT_BYTES, 0xdd, UNIT_BYTES);
	must(blk_fill_range(fill, DISK_BYTES, 0));
	blk_conformance_expect(fill, model);
	blk_conformance_expect(target.inner, model);
	must(blk_close(fill));
}

/* An overwrite that fails half way leaves rubbish in the target, where the source holds zeros. */
static struct err *half_pwrite(struct blk *blk, const void *buf, size_t len_bytes, uint64_t offset,
			       unsigned flags)
{
	struct counter *c = (struct counter *)blk;

	if (c->writes[0]++)
		return blk_pwrite(c->inner, buf, len_bytes, offset, flags);
	TRY(blk_pwrite(c->inner, buf, len_bytes / 2, offset, flags));
	return err_from_errno(EIO, "half written");
}

static void test_stale_unit(void **state)
{
	static const struct blk_ops half_ops = {
		.kind = "half", .pread = counter_pread, .pwrite = half_pwrite, .close = counter_close};
	struct counter source, target;
	CLEANUP_FREE uint8_t *model = xmalloc(DISK_BYTES);
	CLEANUP_FREE uint8_t *junk = xmalloc(UNIT_BYTES);
	struct blk *fill;

	(void)state;
	memset(junk, 0xdd, UNIT_BYTES);
	for (unsigned unit = 2; unit < 4; unit++) { /* zeros that are stored; a hole */
		counter_init(&source);
		counter_init(&target);
		target.blk.ops = &half_ops;
		fill_source(&source, model);
		must(blk_fill_create(&target.blk, &source.blk, UNIT_BYTES, &fill));
		must_fail(blk_pwrite(fill, junk, UNIT_BYTES, unit * UNIT_BYTES, 0), ERR_FAILED);
		blk_conformance_expect(fill, model);
		must(blk_fill_range(fill, DISK_BYTES, 0));
		blk_conformance_expect(fill, model);
		blk_conformance_expect(target.inner, model);
		must(blk_close(fill));
	}
}

/*
 * Threads that write their own bytes of every unit while others fill and read:
 * byte range [unit start + n × SLICE, + SLICE) belongs to thread n.  No write may
 * be lost, no unit read twice by fills.
 */
#define WRITERS 3u
#define SLICE_BYTES (UNIT_BYTES / (WRITERS + 1))

struct worker {
	struct fixture *f;
	unsigned number; /* WRITERS and above only fill */
	struct err *err;
	bool lost;
	pthread_t thread;
};

static struct err *write_slice(struct worker *w, uint64_t unit)
{
	uint64_t offset = unit * UNIT_BYTES + w->number * SLICE_BYTES;
	struct rng rng = {offset};
	uint8_t got[SLICE_BYTES];

	if (offset + SLICE_BYTES > DISK_BYTES)
		return NULL;
	rng_fill(&rng, w->f->model + offset, SLICE_BYTES);
	TRY(blk_pwrite(w->f->fill, w->f->model + offset, SLICE_BYTES, offset, 0));
	TRY(blk_pread(w->f->fill, got, SLICE_BYTES, offset));
	w->lost |= memcmp(got, w->f->model + offset, SLICE_BYTES) != 0;
	return NULL;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct rng rng = {w->number + 100};

	for (unsigned i = 0; i < UNITS && !w->err; i++) {
		/* All writers meet in the same units, at nearly the same time. */
		uint64_t unit = w->number < WRITERS ? i : rng_below(&rng, UNITS);
		uint64_t left = DISK_BYTES - unit * UNIT_BYTES;

		w->err = w->number < WRITERS
				 ? write_slice(w, unit)
				 : blk_fill_range(w->f->fill, left < 3 * UNIT_BYTES ? left : 3 * UNIT_BYTES,
						  unit * UNIT_BYTES);
	}
	return NULL;
}

static void test_threads(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 20; round++) {
		struct worker workers[WRITERS + 2] = {0};
		struct fixture f;

		setup(&f);
		for (unsigned i = 0; i < WRITERS + 2; i++) {
			workers[i] = (struct worker){.f = &f, .number = i};
			assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
		}
		for (unsigned i = 0; i < WRITERS + 2; i++)
			pthread_join(workers[i].thread, NULL);
		for (unsigned i = 0; i < WRITERS + 2; i++) {
			must(workers[i].err);
			assert_false(workers[i].lost);
		}
		must(blk_fill_range(f.fill, DISK_BYTES, 0));
		blk_conformance_expect(f.fill, f.model);
		blk_conformance_expect(f.target.inner, f.model);
		teardown(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_copied),	 cmocka_unit_test(test_write_fills_first),
		cmocka_unit_test(test_range_is_checked), cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_failed_fill),	 cmocka_unit_test(test_stale_unit),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
