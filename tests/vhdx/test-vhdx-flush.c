// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What flush and FUA cost and promise, seen from the file below: many flushes are
 * one, a write with FUA waits for no more than it must, a log entry vouches for no
 * length that is not durable, and the file ends where its last block does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "tests/base/lib-blk-conformance.h"
#include "tests/base/lib-must.h"
#include "tests/vhdx/lib-vhdx.h"

#define THREADS 8u

/* Memory that counts, and calls back after a flush and before a FUA write. */
struct watched {
	struct blk blk;
	struct blk *inner;
	pthread_mutex_t lock; /* of the counts */
	unsigned flushes, fua_writes;
	uint64_t durable_bytes; /* length at the last flush */
	void (*on_flush)(struct watched *w);
	void (*on_fua)(struct watched *w);
	void *arg;
};

static struct watched *to_watched(struct blk *blk)
{
	return (struct watched *)blk;
}

static struct err *watched_pread(struct blk *blk, void *buf, size_t len_bytes, uint64_t offset)
{
	return blk_pread(to_watched(blk)->inner, buf, len_bytes, offset);
}

static struct err *watched_pwrite(struct blk *blk, const void *buf, size_t len_bytes, uint64_t offset,
				  unsigned flags)
{
	struct watched *w = to_watched(blk);

	TRY(blk_pwrite(w->inner, buf, len_bytes, offset, 0));
	if (flags & BLK_FUA) {
		pthread_mutex_lock(&w->lock);
		w->fua_writes++;
		pthread_mutex_unlock(&w->lock);
		if (w->on_fua)
			w->on_fua(w);
	}
	return NULL;
}

static struct err *watched_zero(struct blk *blk, uint64_t len_bytes, uint64_t offset, unsigned flags)
{
	return blk_zero(to_watched(blk)->inner, len_bytes, offset, flags);
}

static struct err *watched_flush(struct blk *blk)
{
	struct watched *w = to_watched(blk);

	pthread_mutex_lock(&w->lock);
	w->flushes++;
	w->durable_bytes = w->inner->size_bytes;
	pthread_mutex_unlock(&w->lock);
	if (w->on_flush)
		w->on_flush(w);
	return NULL;
}

static struct err *watched_resize(struct blk *blk, uint64_t size_bytes)
{
	TRY(blk_resize(to_watched(blk)->inner, size_bytes));
	__atomic_store_n(&blk->size_bytes, size_bytes, __ATOMIC_RELAXED);
	return NULL;
}

static struct err *watched_close(struct blk *blk)
{
	struct watched *w = to_watched(blk);

	pthread_mutex_destroy(&w->lock);
	return blk_close(w->inner);
}

static void watched_init(struct watched *w)
{
	static const struct blk_ops ops = {
		.kind = "watched",
		.pread = watched_pread,
		.pwrite = watched_pwrite,
		.zero = watched_zero,
		.flush = watched_flush,
		.resize = watched_resize,
		.close = watched_close,
	};

	*w = (struct watched){0};
	must(blk_mem_create(0, &w->inner));
	w->blk = *w->inner;
	w->blk.ops = &ops;
	pthread_mutex_init(&w->lock, NULL);
}

/* A finished one with blocks of 1 MiB, on w. */
static struct blk *finished_on(struct watched *w, uint64_t size_bytes)
{
	const struct vhdx_create_options options = {.size_bytes = size_bytes, .block_bytes = 1 << 20};
	struct blk *vhdx;

	watched_init(w);
	must(vhdx_create_on(&w->blk, &options, NULL, &vhdx));
	must(vhdx_finish(vhdx));
	w->flushes = w->fua_writes = 0;
	return vhdx;
}

/* What a power cut would leave at once, has the content; the file is one that opens. */
static void assert_survives(struct watched *w, const char *content, uint64_t offset)
{
	struct blk *left = copy_of(w->inner);
	CLEANUP_BLK struct blk *vhdx = NULL;
	char got[16];

	must(blk_resize(left, w->durable_bytes));
	vhdx = vhdx_opened(left, 0);
	must(blk_pread(vhdx, got, strlen(content), offset));
	assert_memory_equal(got, content, strlen(content));
}

/* Threads that write a block each, then flush; the first flush waits for all of them to come. */
struct crowd {
	struct blk *vhdx;
	atomic_uint next; /* block to write */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned coming; /* have written, and flush next */
};

static void wait_for_all(struct watched *w)
{
	struct crowd *crowd = w->arg;

	w->on_flush = NULL;
	pthread_mutex_lock(&crowd->lock);
	while (crowd->coming < THREADS)
		pthread_cond_wait(&crowd->changed, &crowd->lock);
	pthread_mutex_unlock(&crowd->lock);
	usleep(100000); /* from saying so to waiting for the lock */
}

static void *write_and_flush(void *arg)
{
	struct crowd *crowd = arg;
	unsigned i = atomic_fetch_add(&crowd->next, 1);

	must(blk_pwrite(crowd->vhdx, "hello", 5, i * MIB, 0));
	pthread_mutex_lock(&crowd->lock);
	crowd->coming++;
	pthread_cond_broadcast(&crowd->changed);
	pthread_mutex_unlock(&crowd->lock);
	must(blk_flush(crowd->vhdx));
	return NULL;
}

static void test_group(void **state)
{
	struct crowd crowd = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
	pthread_t threads[THREADS];
	struct watched w;

	(void)state;
	crowd.vhdx = finished_on(&w, 64 * MIB);
	/* The log is in use from here on. */
	must(blk_pwrite(crowd.vhdx, "x", 1, 63 * MIB, 0));
	must(blk_flush(crowd.vhdx));
	w.flushes = w.fua_writes = 0;
	w.on_flush = wait_for_all;
	w.arg = &crowd;
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_and_flush, &crowd), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	/* Two commits as a rule: the first, and the one for all who came meanwhile; more if a thread was slow
	 * to ask, one if all had asked before.  Each is one flush, and an entry in the log only if a block is
	 * new since the last. */
	assert_true(w.flushes >= 1 && w.flushes < THREADS);
	assert_true(w.fua_writes >= 1 && w.fua_writes <= w.flushes);
	assert_survives(&w, "hello", (THREADS - 1) * MIB);
	must(blk_close(crowd.vhdx));
}

static void test_fua(void **state)
{
	struct watched w;
	struct blk *vhdx = finished_on(&w, 64 * MIB);

	(void)state;
	/* A new block: its entry has to become durable too. */
	must(blk_pwrite(vhdx, "first", 5, 5 * MIB, BLK_FUA));
	assert_true(w.flushes > 0);
	assert_survives(&w, "first", 5 * MIB);
	/* From then on the data alone. */
	w.flushes = w.fua_writes = 0;
	must(blk_pwrite(vhdx, "second", 6, 5 * MIB + 9, BLK_FUA));
	assert_int_equal(w.flushes, 0);
	assert_int_equal(w.fua_writes, 1);
	assert_survives(&w, "second", 5 * MIB + 9);
	/* Partly in a block that is not there, and in one whose entry is not durable. */
	must(blk_pwrite(vhdx, "third", 5, 6 * MIB - 2, BLK_FUA));
	assert_true(w.flushes > 0);
	assert_survives(&w, "third", 6 * MIB - 2);
	must(blk_pwrite(vhdx, "x", 1, 9 * MIB, 0));
	w.flushes = 0;
	must(blk_pwrite(vhdx, "fourth", 6, 9 * MIB, BLK_FUA));
	assert_true(w.flushes > 0);
	assert_survives(&w, "fourth", 9 * MIB);
	/* Zeroed and discarded, then written again. */
	must(blk_discard(vhdx, MIB, 5 * MIB));
	must(blk_pwrite(vhdx, "fifth", 5, 5 * MIB, BLK_FUA));
	assert_survives(&w, "fifth", 5 * MIB);
	must(blk_close(vhdx));
}

/* Another thread makes the file longer between the flush and the log entry. */
static void grow_meanwhile(struct watched *w)
{
	w->on_flush = NULL;
	must(blk_pwrite(w->arg, "later", 5, 40 * MIB, 0));
}

static void power_fails(struct watched *w)
{
	assert_survives(w, "hello", 3 * MIB);
}

static void test_length(void **state)
{
	struct watched w;
	struct blk *vhdx = finished_on(&w, 64 * MIB);

	(void)state;
	must(blk_pwrite(vhdx, "x", 1, 0, 0));
	must(blk_flush(vhdx));
	must(blk_pwrite(vhdx, "hello", 5, 3 * MIB, 0));
	w.arg = vhdx;
	w.on_flush = grow_meanwhile;
	w.on_fua = power_fails;
	must(blk_flush(vhdx));
	assert_null(w.on_flush);
	w.on_fua = NULL;
	must(blk_close(vhdx));
}

/* The file grows ahead of use; what it does not need it loses when closed or finished, or uses later if
 * there was no time for that. */
static void test_growing(void **state)
{
	struct blk *file, *left, *vhdx;
	uint64_t ahead_bytes;

	(void)state;
	vhdx = vhdx_in_memory(&(struct vhdx_create_options){.size_bytes = 200 * MIB, .block_bytes = 1 << 20},
			      &file);
	for (uint64_t i = 0; i < 61; i++)
		must(blk_pwrite(vhdx, "x", 1, i * MIB, 0));
	ahead_bytes = file->size_bytes - 65 * MIB;
	assert_true(ahead_bytes >= MIB && ahead_bytes <= 65 * MIB / 8);
	must(blk_flush(vhdx));
	left = copy_of(file);
	must(vhdx_finish(vhdx));
	assert_int_equal(file->size_bytes, 65 * MIB);
	assert_clean(file);
	must(blk_pwrite(vhdx, "x", 1, 61 * MIB, 0));
	must(blk_close(vhdx));

	vhdx = vhdx_opened(left, VHDX_OPEN_WRITE | VHDX_OPEN_INCOMPLETE);
	for (uint64_t i = 0; i < ahead_bytes / MIB; i++)
		must(blk_pwrite(vhdx, "y", 1, (100 + i) * MIB, 0));
	assert_int_equal(left->size_bytes, 65 * MIB + ahead_bytes);
	must(vhdx_finish(vhdx));
	assert_int_equal(left->size_bytes, 65 * MIB + ahead_bytes);
	assert_clean(left);
	must(blk_close(vhdx));
}

/* Space taken ahead is there in the file system, in steps, and given back at the end. */
static void test_preallocation(void **state)
{
	const struct vhdx_create_options options = {.size_bytes = 200 * MIB, .block_bytes = 1 << 20};
	char *dir = test_dir_make();
	CLEANUP_FREE char *path = test_path(dir, "disk.vhdx");
	CLEANUP_FREE uint8_t *model = xcalloc(1, 200 * MIB);
	struct vhdx_check_result result;
	struct blk *vhdx;
	struct stat st;

	(void)state;
	must(vhdx_create(path, &options, NULL, &vhdx));
	must(vhdx_set_preallocation(vhdx, 16 * MIB));
	for (uint64_t i = 0; i < 3; i++) {
		memset(model + 50 * i * MIB, 'a' + (int)i, 300);
		must(blk_pwrite(vhdx, model + 50 * i * MIB, 300, 50 * i * MIB, 0));
	}
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, (4 + 1 + 16) * MIB);
	assert_true(st.st_blocks * 512ull >= 17 * MIB);
	blk_conformance_expect(vhdx, model);
	must(vhdx_finish(vhdx));
	must(blk_close(vhdx));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, (4 + 3) * MIB);
	must(vhdx_check(path, NULL, NULL, &result));
	assert_int_equal(result.errors + result.warnings, 0);
	must(vhdx_open(path, 0, NULL, &vhdx));
	must_fail(vhdx_set_preallocation(vhdx, MIB), ERR_REFUSED);
	blk_conformance_read_only(vhdx, model);
	must(blk_close(vhdx));
	test_dir_remove(dir);
}

/* Space that was given up is taken again after a flush, not before, and shows nothing of what was there. */
static void test_reuse(void **state)
{
	CLEANUP_FREE uint8_t *data = xmalloc(MIB);
	struct blk *file, *vhdx;
	uint64_t file_bytes;

	(void)state;
	memset(data, 0x77, MIB);
	vhdx = vhdx_in_memory(&(struct vhdx_create_options){.size_bytes = 64 * MIB, .block_bytes = 1 << 20},
			      &file);
	must(blk_pwrite(vhdx, data, MIB, 0, 0));
	must(vhdx_finish(vhdx));
	file_bytes = file->size_bytes;
	must(blk_discard(vhdx, MIB, 0));
	must(blk_pwrite(vhdx, "new", 3, 7 * MIB + 100, 0));
	assert_true(file->size_bytes > file_bytes);
	file_bytes = file->size_bytes;
	must(blk_flush(vhdx));
	must(blk_pwrite(vhdx, "again", 5, 9 * MIB + 100, 0));
	assert_int_equal(file->size_bytes, file_bytes);
	must(blk_pread(vhdx, data, MIB, 9 * MIB));
	assert_memory_equal(data + 100, "again", 5);
	memset(data + 100, 0, 5);
	assert_true(blk_is_zero(data, MIB));
	must(blk_close(vhdx));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_group),	      cmocka_unit_test(test_fua),
		cmocka_unit_test(test_length),	      cmocka_unit_test(test_growing),
		cmocka_unit_test(test_preallocation), cmocka_unit_test(test_reuse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
