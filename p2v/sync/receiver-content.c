/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Brings the content of a round into the copies, by a few threads: a disk that
 * gets one write after the other is idle in between.  Operations of a batch that
 * follow one another, on the disk as in memory, are one write: of ten small ones
 * the file system makes ten allocations.
 *
 * Where two operations of a round have the same block, the later one has to win,
 * as it does in the manifest: then all of the round is written in order.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "p2v/sync/receiver-impl.h"

#define THREADS 4u

/* Operations of a batch, the content of which is for blocks that follow one another; or one of zeros. */
struct task {
	const struct batch *batch;
	struct batch_op *ops;
	size_t op_count;
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

/* Blocks that follow one another and are all zeros, or none of them. */
struct stretch {
	const uint8_t *data;
	uint64_t first_block, count;
	bool is_zero;
};

static struct err *write_stretch(const struct stretch *stretch, struct copy *copy)
{
	if (stretch->is_zero)
		return zero_range(NULL, copy, stretch->first_block, stretch->count);
	return blk_pwrite(copy->blk, stretch->data, copy_bytes(copy, stretch->first_block, stretch->count),
			  stretch->first_block * copy->block_bytes, 0);
}

static struct err *write_content(const struct task *task, struct copy *copy)
{
	struct stretch stretch = {0};

	for (const struct batch_op *op = task->ops; op < task->ops + task->op_count; op++) {
		const uint8_t *data = task->batch->data + op->data_offset;

		for (size_t i = 0; i < op->block_count; i++) {
			bool is_zero = hash_equal(op->hashes[i], hash_zero);

			if (stretch.count && stretch.is_zero != is_zero) {
				TRY(write_stretch(&stretch, copy));
				stretch.count = 0;
			}
			if (!stretch.count)
				stretch = (struct stretch){data + i * copy->block_bytes, op->first_block + i,
							   0, is_zero};
			stretch.count++;
		}
	}
	return write_stretch(&stretch, copy);
}

static struct err *write_task(const struct task *task, struct job *job)
{
	struct copy *copy = &job->copies[task->ops->disk];

	if (task->ops->is_zero)
		return content_for_runs(task->ops, copy, zero_range);
	return write_content(task, copy);
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
		struct err *err = write_task(&content->tasks[i], content->job);

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

/* Content lies in a batch in the order of its operations. */
static bool can_follow(const struct batch_op *op, const struct batch_op *next)
{
	return op->is_change && next->is_change && !op->is_zero && !next->is_zero && op->disk == next->disk &&
	       op->first_block + op->block_count == next->first_block;
}

/* The changes; their number. */
static size_t collect(const struct batch *batches, struct task *ret_tasks)
{
	size_t count = 0;

	for (; batches; batches = batches->next)
		for (size_t i = 0, ops; i < batches->op_count; i += ops) {
			struct batch_op *op = &batches->ops[i];

			for (ops = 1; i + ops < batches->op_count; ops++)
				if (!can_follow(&op[ops - 1], &op[ops]))
					break;
			if (op->is_change)
				ret_tasks[count++] = (struct task){batches, op, ops};
		}
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
