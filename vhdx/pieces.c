// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Threads take the next piece from a common cursor, so pieces begin in ascending
 * order.  The calling thread is one of the workers: should no other start, the
 * work is done all the same.
 */
#include "vhdx/pieces.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

/* Disks and memory are busy well before this many. */
#define MAX_AUTO_THREADS 8u
#define BUFFER_ALIGN_BYTES 4096u

struct pool {
	const struct piece_job *job;
	pthread_mutex_t lock; /* of what follows */
	size_t range;
	uint64_t offset; /* in that range; 0: at its start */
	struct err *err;
};

/* False if there is nothing left to do. */
static bool take_piece(struct pool *pool, uint64_t *ret_offset, size_t *ret_len_bytes)
{
	const struct extents *set = pool->job->set;
	const struct extent *range;
	uint64_t start, end;
	LOCKED(&pool->lock);

	if (pool->err || pool->range == set->count)
		return false;
	range = &set->ranges[pool->range];
	start = pool->offset > range->start ? pool->offset : range->start;
	end = (start & ~(pool->job->piece_bytes - 1)) + pool->job->piece_bytes;
	if (end >= range->end) {
		end = range->end;
		pool->range++;
	}
	pool->offset = end;
	*ret_offset = start;
	*ret_len_bytes = end - start;
	return true;
}

static void keep_error(struct pool *pool, struct err *err)
{
	LOCKED(&pool->lock);

	pool->err = err_first(pool->err, err);
}

static size_t buffer_bytes(const struct piece_job *job)
{
	return (job->buffer_bytes + BUFFER_ALIGN_BYTES - 1) / BUFFER_ALIGN_BYTES * BUFFER_ALIGN_BYTES;
}

static void *work(void *arg)
{
	struct pool *pool = arg;
	/* Whole pages, which devices and the kernel can take without a copy. */
	CLEANUP_FREE void *buffer = aligned_alloc(BUFFER_ALIGN_BYTES, buffer_bytes(pool->job));
	uint64_t offset;
	size_t len_bytes;

	if (!buffer)
		keep_error(pool, err_nomem());
	while (take_piece(pool, &offset, &len_bytes))
		keep_error(pool, pool->job->run(pool->job->arg, buffer, offset, len_bytes));
	return NULL;
}

static unsigned thread_count(const struct piece_job *job)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	if (job->threads)
		return job->threads;
	if (processors > MAX_AUTO_THREADS)
		return MAX_AUTO_THREADS;
	return processors < 2 ? 2 : processors;
}

struct err *pieces_run(const struct piece_job *job)
{
	struct pool pool = {.job = job};
	unsigned helpers = thread_count(job) - 1;
	CLEANUP_FREE pthread_t *threads = calloc(helpers ? helpers : 1, sizeof *threads);
	unsigned started = 0;

	if (!threads)
		return err_nomem();
	pthread_mutex_init(&pool.lock, NULL);
	while (started < helpers && !pthread_create(&threads[started], NULL, work, &pool))
		started++;
	work(&pool);
	for (unsigned i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	pthread_mutex_destroy(&pool.lock);
	return pool.err;
}
