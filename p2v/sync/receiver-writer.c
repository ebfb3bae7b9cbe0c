/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The writer of a session: takes all batches that lanes have submitted, and
 * brings them into the copies and the manifests in rounds:
 *
 *	1. the manifests get the hashes of the last round's blocks, and doubt this round's
 *	2. the manifests are synced: the last round is durable, and so is the doubt
 *	3. before the first change of all, the job and its copies are marked as incomplete
 *	4. this round's content is written to the copies
 *	5. the copies are flushed
 *
 * So each round costs two syncs whatever its size, and the manifests never say
 * what is not so.  Batches keep their order in 1 and in 4: where two have the same
 * block, the hash is that of the content that came last.  What changes nothing is
 * left out of all of it.
 *
 * An error is final: what was being written stays in doubt.
 */
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/sync/receiver-impl.h"

struct writer {
	struct job *job;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct batch *queue, **queue_end;
	bool stopping;
	struct err *err; /* under the lock */
};

static struct err *doubt_range(struct batch_op *op, struct copy *copy, uint64_t first_block, uint64_t count)
{
	op->is_change = true;
	return manifest_fill(copy->manifest, first_block, count, hash_in_doubt);
}

static struct err *zero_hash_range(struct batch_op *op, struct copy *copy, uint64_t first_block,
				   uint64_t count)
{
	(void)op;
	return manifest_fill(copy->manifest, first_block, count, hash_zero);
}

/* What the manifest knows to be there already is no change.  An earlier operation of the round on the same
 * blocks has left them in doubt. */
static struct err *doubt(const struct batch *batch, struct batch_op *op, struct copy *copy)
{
	wire_hash known[WIRE_MAX_DATA_BLOCKS];

	(void)batch;
	op->is_change = false;
	if (op->is_zero)
		return content_for_runs(op, copy, doubt_range);
	TRY(manifest_read(copy->manifest, op->first_block, op->block_count, known));
	if (!memcmp(known, op->hashes, op->block_count * sizeof *known))
		return NULL;
	return doubt_range(op, copy, op->first_block, op->block_count);
}

static struct err *record(const struct batch *batch, struct batch_op *op, struct copy *copy)
{
	(void)batch;
	if (!op->is_change)
		return NULL;
	return op->is_zero ? content_for_runs(op, copy, zero_hash_range)
			   : manifest_write(copy->manifest, op->first_block, op->block_count, op->hashes);
}

static struct err *for_ops(struct job *job, struct batch *batches,
			   struct err *(*fn)(const struct batch *batch, struct batch_op *op,
					     struct copy *copy))
{
	for (struct batch *batch = batches; batch; batch = batch->next)
		for (size_t i = 0; i < batch->op_count; i++)
			TRY(fn(batch, &batch->ops[i], &job->copies[batch->ops[i].disk]));
	return NULL;
}

static bool is_touched(size_t disk, const struct batch *batches)
{
	for (; batches; batches = batches->next)
		for (size_t i = 0; i < batches->op_count; i++)
			if (batches->ops[i].is_change && batches->ops[i].disk == disk)
				return true;
	return false;
}

static bool is_any_touched(const struct job *job, const struct batch *batches)
{
	for (size_t i = 0; i < job->checkpoint.disk_count; i++)
		if (is_touched(i, batches))
			return true;
	return false;
}

static struct err *sync_manifests(struct job *job, const struct batch *done, const struct batch *fresh)
{
	for (size_t i = 0; i < job->checkpoint.disk_count; i++)
		if (is_touched(i, done) || is_touched(i, fresh))
			TRY(manifest_sync(job->copies[i].manifest));
	return NULL;
}

static struct err *flush_copies(struct job *job, const struct batch *fresh)
{
	for (size_t i = 0; i < job->checkpoint.disk_count; i++)
		if (is_touched(i, fresh))
			TRY(blk_flush(job->copies[i].blk));
	return NULL;
}

/* With the lock held.  The batches are their lanes' from then on: they may be gone when it is released. */
static void give_back(struct batch *batches, enum batch_state state)
{
	while (batches) {
		struct batch *next = batches->next;

		batches->next = NULL;
		batches->state = state;
		batches = next;
	}
}

static struct batch *take_queue(struct writer *writer, bool wait)
{
	struct batch *batches;
	LOCKED(&writer->lock);

	while (wait && !writer->queue && !writer->stopping)
		pthread_cond_wait(&writer->changed, &writer->lock);
	batches = take_ptr(writer->queue);
	writer->queue_end = &writer->queue;
	return batches;
}

static void tell_durable(struct writer *writer, struct batch *batches)
{
	LOCKED(&writer->lock);

	give_back(batches, BATCH_DURABLE);
	pthread_cond_broadcast(&writer->changed);
}

/* `done` is durable when it returns without an error, `fresh` is in the copies. */
static struct err *write_round(struct writer *writer, struct batch **done, struct batch *fresh)
{
	struct job *job = writer->job;

	TRY(for_ops(job, *done, record));
	TRY(for_ops(job, fresh, doubt));
	TRY(sync_manifests(job, *done, fresh));
	tell_durable(writer, take_ptr(*done));
	if (is_any_touched(job, fresh))
		TRY(job_begin_changes(job));
	TRY(content_write(job, fresh));
	return flush_copies(job, fresh);
}

static void fail(struct writer *writer, struct batch *done, struct batch *fresh, struct err *err)
{
	LOCKED(&writer->lock);

	give_back(done, BATCH_FAILED);
	give_back(fresh, BATCH_FAILED);
	give_back(take_ptr(writer->queue), BATCH_FAILED);
	writer->err = err;
	pthread_cond_broadcast(&writer->changed);
}

static void *writer_main(void *arg)
{
	struct writer *writer = arg;
	struct batch *done = NULL;

	for (;;) {
		struct batch *fresh = take_queue(writer, !done);
		struct err *err = NULL;

		if (!fresh && !done)
			return NULL;
		err = write_round(writer, &done, fresh);
		if (err) {
			fail(writer, done, fresh, err);
			return NULL;
		}
		done = fresh;
	}
}

struct err *writer_start(struct job *job, struct writer **ret_writer)
{
	struct writer *writer = calloc(1, sizeof *writer);
	int errnum;

	if (!writer)
		return err_nomem();
	writer->job = job;
	writer->queue_end = &writer->queue;
	pthread_mutex_init(&writer->lock, NULL);
	pthread_cond_init(&writer->changed, NULL);
	errnum = pthread_create(&writer->thread, NULL, writer_main, writer);
	if (errnum) {
		free(writer);
		return err_from_errno(errnum, "thread");
	}
	*ret_writer = writer;
	return NULL;
}

void writer_stop(struct writer *writer)
{
	if (!writer)
		return;
	pthread_mutex_lock(&writer->lock);
	writer->stopping = true;
	pthread_cond_broadcast(&writer->changed);
	pthread_mutex_unlock(&writer->lock);
	pthread_join(writer->thread, NULL);
	pthread_cond_destroy(&writer->changed);
	pthread_mutex_destroy(&writer->lock);
	err_free(writer->err);
	free(writer);
}

void writer_submit(struct writer *writer, struct batch *batch)
{
	LOCKED(&writer->lock);

	batch->state = writer->err ? BATCH_FAILED : BATCH_QUEUED;
	if (writer->err)
		return;
	batch->next = NULL;
	*writer->queue_end = batch;
	writer->queue_end = &batch->next;
	pthread_cond_broadcast(&writer->changed);
}

struct err *writer_check(struct writer *writer, struct batch *batch, bool wait, bool *ret_durable)
{
	LOCKED(&writer->lock);

	while (wait && batch->state == BATCH_QUEUED)
		pthread_cond_wait(&writer->changed, &writer->lock);
	if (batch->state == BATCH_FAILED)
		return err_as(err_advise(err_failed("%s", err_message(writer->err)), "%s",
					 err_advice(writer->err) ?: "see the receiver's log"),
			      err_kind(writer->err));
	*ret_durable = batch->state == BATCH_DURABLE;
	return NULL;
}
