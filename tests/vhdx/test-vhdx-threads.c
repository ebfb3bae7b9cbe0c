// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Many threads in one device that starts empty: allocation, discard, flush and
 * reading at once.  And requests that overlap: whole, one after the other.
 */
#include <sched.h>
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
#include "vhdx/range-lock.h"

#define THREADS 4u
#define DISK_BYTES (96 * MIB)
#define PIECE_BYTES (300u << 10) /* no multiple of a block: threads meet inside blocks */
#define ROUNDS 60u

struct worker {
	struct blk *vhdx;
	uint8_t *model;
	unsigned number;
	struct err *err;
	bool differs;
	pthread_t thread;
};

/* A piece of this thread's own is written, zeroed or discarded, then read. */
static struct err *one_round(struct worker *w, struct rng *rng, uint8_t *buf)
{
	uint64_t pieces = DISK_BYTES / PIECE_BYTES / THREADS;
	uint64_t offset = (rng_below(rng, pieces) * THREADS + w->number) * PIECE_BYTES;
	uint8_t *model = w->model + offset;
	unsigned kind = (unsigned)rng_below(rng, 8);

	if (kind < 5) {
		rng_fill(rng, model, PIECE_BYTES);
		TRY(blk_pwrite(w->vhdx, model, PIECE_BYTES, offset, kind ? 0 : BLK_FUA));
	} else if (kind == 5) {
		memset(model, 0, PIECE_BYTES);
		TRY(blk_discard(w->vhdx, PIECE_BYTES, offset));
	} else if (kind == 6) {
		memset(model, 0, PIECE_BYTES);
		TRY(blk_zero(w->vhdx, PIECE_BYTES, offset, BLK_MAY_TRIM));
	} else {
		TRY(blk_flush(w->vhdx));
	}
	TRY(blk_pread(w->vhdx, buf, PIECE_BYTES, offset));
	w->differs |= memcmp(buf, model, PIECE_BYTES) != 0;
	return NULL;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	CLEANUP_FREE uint8_t *buf = xmalloc(PIECE_BYTES);
	struct rng rng = {w->number};

	for (unsigned i = 0; i < ROUNDS && !w->err; i++)
		w->err = one_round(w, &rng, buf);
	return NULL;
}

static void run_workers(struct blk *vhdx, uint8_t *model)
{
	struct worker workers[THREADS] = {0};

	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.vhdx = vhdx, .model = model, .number = i};
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		must(workers[i].err);
		assert_false(workers[i].differs);
	}
	blk_conformance_expect(vhdx, model);
}

static void check_workers(const char *path, const struct vhdx_create_options *options, uint8_t *model)
{
	struct vhdx_check_result result;
	struct blk *vhdx;

	must(vhdx_create(path, options, NULL, &vhdx));
	run_workers(vhdx, model);
	must(vhdx_finish(vhdx));
	run_workers(vhdx, model);
	must(blk_discard(vhdx, DISK_BYTES, 0));
	memset(model, 0, DISK_BYTES);
	run_workers(vhdx, model);
	must(blk_close(vhdx));
	must(vhdx_check(path, NULL, NULL, &result));
	assert_int_equal(result.errors + result.warnings, 0);
	must(vhdx_open(path, 0, NULL, &vhdx));
	blk_conformance_expect(vhdx, model);
	must(blk_close(vhdx));
}

static void test_allocation(void **state)
{
	const struct vhdx_create_options options = {.size_bytes = DISK_BYTES, .block_bytes = 1 << 20};
	char *dir = test_dir_make();
	CLEANUP_FREE char *path = test_path(dir, "disk.vhdx");
	CLEANUP_FREE uint8_t *model = xcalloc(1, DISK_BYTES);

	(void)state;
	check_workers(path, &options, model);
	test_dir_remove(dir);
}

/* Workers meet in blocks of which each has some sectors, over a parent that is not empty. */
static void test_child(void **state)
{
	struct vhdx_create_options options = {.size_bytes = DISK_BYTES, .block_bytes = 1 << 20};
	char *dir = test_dir_make();
	CLEANUP_FREE char *parent_path = test_path(dir, "parent.vhdx");
	CLEANUP_FREE char *path = test_path(dir, "child.vhdx");
	CLEANUP_FREE uint8_t *model = xcalloc(1, DISK_BYTES);
	struct rng rng = {77};
	struct blk *parent;

	(void)state;
	rng_fill(&rng, model, DISK_BYTES);
	must(vhdx_create(parent_path, &options, NULL, &parent));
	must(blk_pwrite(parent, model, DISK_BYTES, 0, 0));
	must(vhdx_finish(parent));
	must(blk_close(parent));
	must(vhdx_open(parent_path, 0, NULL, &options.parent));
	options.block_bytes = 4 << 20;
	check_workers(path, &options, model);
	test_dir_remove(dir);
}

/* Each writes sectors of its own of a block that the child does not have yet, nor its chunk a bitmap. */
static void *write_sectors(void *arg)
{
	struct worker *w = arg;
	uint8_t buf[4096];

	memset(buf, (int)w->number + 1, sizeof buf);
	w->err = blk_pwrite(w->vhdx, buf, sizeof buf, w->number * sizeof buf, 0);
	return NULL;
}

/* Whoever comes second to a new block finds it made, and must not make it once more. */
static void test_new_block(void **state)
{
	struct vhdx_create_options options = {.size_bytes = 8 * MIB, .block_bytes = 1 << 20};
	struct blk *parent_file, *parent = vhdx_in_memory(&options, &parent_file);

	(void)state;
	must(vhdx_finish(parent));
	for (unsigned round = 0; round < 200; round++) {
		struct worker workers[THREADS] = {0};
		uint8_t model[THREADS * 4096], got[THREADS * 4096];
		struct blk *file;

		must(blk_mem_create(0, &file));
		options.parent = vhdx_opened(borrowed(parent_file), 0);
		must(vhdx_create_on(file, &options, NULL, &workers[0].vhdx));
		for (unsigned i = 0; i < THREADS; i++) {
			workers[i] = (struct worker){.vhdx = workers[0].vhdx, .number = i};
			memset(model + i * 4096, (int)i + 1, 4096);
		}
		for (unsigned i = 0; i < THREADS; i++)
			assert_int_equal(pthread_create(&workers[i].thread, NULL, write_sectors, &workers[i]),
					 0);
		for (unsigned i = 0; i < THREADS; i++) {
			pthread_join(workers[i].thread, NULL);
			must(workers[i].err);
		}
		must(blk_pread(workers[0].vhdx, got, sizeof got, 0));
		if (memcmp(got, model, sizeof got))
			fail_msg("round %u: what one thread wrote is gone", round);
		must(blk_close(workers[0].vhdx));
	}
	must(blk_close(parent));
}

/* All write the same place, over several blocks, each with its own byte. */
static void *write_same(void *arg)
{
	struct worker *w = arg;
	CLEANUP_FREE uint8_t *buf = xmalloc(3 * MIB);

	for (unsigned i = 0; i < 20 && !w->err; i++) {
		memset(buf, (int)(w->number * 20 + i + 1), 3 * MIB);
		w->err = blk_pwrite(w->vhdx, buf, 3 * MIB, MIB / 2, 0);
		if (!w->err)
			w->err = blk_pread(w->vhdx, buf, 3 * MIB, MIB / 2);
		w->differs |= memcmp(buf, buf + 1, 3 * MIB - 1) != 0;
	}
	return NULL;
}

static void test_overlap(void **state)
{
	const struct vhdx_create_options options = {.size_bytes = 8 * MIB, .block_bytes = 1 << 20};
	struct blk *file, *vhdx = vhdx_in_memory(&options, &file);
	struct worker workers[THREADS] = {0};

	(void)state;
	/* Blocks in reverse order in the file, so that each is a request of its own there. */
	for (uint64_t i = 4; i-- > 0;)
		must(blk_pwrite(vhdx, "", 1, i * MIB, 0));
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.vhdx = vhdx, .number = i};
		assert_int_equal(pthread_create(&workers[i].thread, NULL, write_same, &workers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		must(workers[i].err);
		assert_false(workers[i].differs);
	}
	must(blk_close(vhdx));
}

/* Counts who is inside overlapping ranges. */
struct lock_test {
	struct vhdx_range_lock lock;
	pthread_mutex_t mutex;
	int inside[16]; /* readers, or -1 for a writer, of each byte */
	bool violated;
};

static void enter(struct lock_test *t, const struct vhdx_range *range, int by)
{
	pthread_mutex_lock(&t->mutex);
	for (uint64_t i = range->start; i < range->end; i++) {
		if (range->exclusive) {
			t->violated |= t->inside[i] != (by > 0 ? 0 : -1);
			t->inside[i] = by > 0 ? -1 : 0;
		} else {
			t->violated |= t->inside[i] < (by > 0 ? 0 : 1);
			t->inside[i] += by;
		}
	}
	pthread_mutex_unlock(&t->mutex);
}

static void *lock_and_unlock(void *arg)
{
	struct lock_test *t = arg;
	struct rng rng = {(uintptr_t)&rng};

	for (unsigned i = 0; i < 3000; i++) {
		struct vhdx_range range = {.start = rng_below(&rng, 15), .exclusive = rng_below(&rng, 2)};

		range.end = range.start + 1 + rng_below(&rng, 16 - range.start);
		vhdx_range_acquire(&t->lock, &range);
		enter(t, &range, 1);
		sched_yield();
		enter(t, &range, -1);
		vhdx_range_release(&t->lock, &range);
	}
	return NULL;
}

static void test_range_lock(void **state)
{
	struct lock_test t = {.mutex = PTHREAD_MUTEX_INITIALIZER};
	pthread_t threads[THREADS];

	(void)state;
	vhdx_range_lock_init(&t.lock);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, lock_and_unlock, &t), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_false(t.violated);
	assert_null(t.lock.first);
	vhdx_range_lock_deinit(&t.lock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_allocation), cmocka_unit_test(test_child),
		cmocka_unit_test(test_new_block),  cmocka_unit_test(test_overlap),
		cmocka_unit_test(test_range_lock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
