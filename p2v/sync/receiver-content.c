/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Brings the content of a round into the copies, by a few threads: a disk that
 * gets one write after the other is idle in between.
 *
 * Where two operations of a round have the same block, the later one has to win,
 * as it does in the manifest: then all of the round is written in order.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "p2v/sync/receiver-impl.h"

#define THREADS 4u

struct task {
	const struct batch *batch;
	struct batch_op *op;
};

struct content {
	struct job *job;
	struct task *tasks; /* in the order in which they came */
	size_t count;
	atomic_size_t next;
	pthread_mutex_t lock;
	struct err *err; /* the first */
};

struct runs {
	struct batch_op *op;
	struct copy *copy;
	range_fn fn;
};

static struct err *find_runs(void *arg, uint64_t first_block, size_t count, const wire_hash *hashes)
{
	const struct runs *runs = arg;
	uint64_t op_end = runs->op->first_block + runs->op->block_count;
	size_t start = 0;

	for (size_t i = 0; i <= count; i++) {
		uint64_t block = first_block + i;
		bool inside = i < count && block >= runs->op->first_block && block < op_end &&
			      !hash_equal(hashes[i], hash_zero);

		if (inside)
			continue;
		if (i > start)
			TRY(runs->fn(runs->op, runs->copy, first_block + start, i - start));
		start = i + 1;
	}
	return NULL;
}

struct err *content_for_runs(struct batch_op *op, struct copy *copy, range_fn fn)
{
	struct runs runs = {op, copy, fn};

	return manifest_walk(copy->manifest, op->first_block, op->block_count, find_runs, &runs);
}

static struct err *zero_range(struct batch_op *op, struct copy *copy, uint64_t first_block, uint64_t count)
{
	uint64_t start = first_block * copy->block_bytes, end = start + count * copy->block_bytes;

	(void)op;
	if (end > copy->blk->size_bytes)
		end = copy->blk->size_bytes;
	return blk_zero(copy->blk, end - start, start, BLK_MAY_TRIM);
}

static struct err *write_op(const struct batch *batch, struct batch_op *op, struct copy *copy)
{
	const uint8_t *data = batch->data + op->data_offset;

	if (op->is_zero)
		return content_for_runs(op, copy, zero_range);
	for (size_t i = 0, run; i < op->block_count; i += run) {
		bool zeros = hash_equal(op->hashes[i], hash_zero);
		uint64_t first = op->first_block + i;

		for (run = 1; i + run < op->block_count; run++)
			if (hash_equal(op->hashes[i + run], hash_zero) != zeros)
				break;
		if (zeros)
			TRY(zero_range(op, copy, first, run));
		else
			TRY(blk_pwrite(copy->blk, data + i * copy->block_bytes, copy_bytes(copy, first, run),
				       first * copy->block_bytes, 0));
	}
	return NULL;
}

static void fail(struct content *content, struct err *err)
{
	LOCKED(&content->lock);

	content->err = err_first(content->err, err);
	content->next = content->count;
}

static void *write_tasks(void *arg)
{
	struct content *content = arg;
	size_t i;

	while ((i = content->next++) < content->count) {
		const struct task *task = &content->tasks[i];
		struct err *err = write_op(task->batch, task->op, &content->job->copies[task->op->disk]);

		if (err)
			fail(content, err);
	}
	return NULL;
}

/* Blocks of an operation. */
struct place {
	uint32_t disk;
	uint64_t first_block, end_block;
};

static int compare_places(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->disk != y->disk)
		return x->disk < y->disk ? -1 : 1;
	return (x->first_block > y->first_block) - (x->first_block < y->first_block);
}

static size_t count_ops(const struct batch *batches)
{
	size_t count = 0;

	for (; batches; batches = batches->next)
		count += batches->op_count;
	return count;
}

static struct place *add_places(const struct batch *batches, struct place *at)
{
	for (; batches; batches = batches->next)
		for (size_t i = 0; i < batches->op_count; i++) {
			const struct batch_op *op = &batches->ops[i];

			*at++ = (struct place){op->disk, op->first_block, op->first_block + op->block_count};
		}
	return at;
}

bool content_do_overlap(const struct batch *a, const struct batch *b)
{
	size_t count = count_ops(a) + count_ops(b);
	CLEANUP_FREE struct place *places = calloc(count + 1, sizeof *places);

	if (!places)
		return true;
	add_places(b, add_places(a, places));
	qsort(places, count, sizeof *places, compare_places);
	for (size_t i = 1; i < count; i++)
		if (places[i - 1].disk == places[i].disk && places[i - 1].end_block > places[i].first_block)
			return true;
	return false;
}

/* This thread is one of them; with fewer than wanted it takes longer. */
static void run_threads(struct content *content, unsigned count)
{
	pthread_t threads[THREADS];
	unsigned started = 0;

	while (started + 1 < count && started + 1 < content->count &&
	       !pthread_create(&threads[started], NULL, write_tasks, content))
		started++;
	write_tasks(content);
	while (started)
		pthread_join(threads[--started], NULL);
}

/* The number of changes. */
static size_t collect(const struct batch *batches, struct task *ret_tasks)
{
	size_t count = 0;

	for (; batches; batches = batches->next)
		for (size_t i = 0; i < batches->op_count; i++)
			if (batches->ops[i].is_change)
				ret_tasks[count++] = (struct task){batches, &batches->ops[i]};
	return count;
}

struct err *content_write(struct job *job, const struct batch *batches)
{
	CLEANUP_FREE struct task *tasks = calloc(count_ops(batches) + 1, sizeof *tasks);
	struct content content = {.job = job, .tasks = tasks};

	if (!tasks)
		return err_nomem();
	content.count = collect(batches, tasks);
	pthread_mutex_init(&content.lock, NULL);
	run_threads(&content, content_do_overlap(batches, NULL) ? 1 : THREADS);
	pthread_mutex_destroy(&content.lock);
	return content.err;
}
