/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The writer of a session: takes all batches that lanes have submitted, and
 * brings them into the copies and the manifests in rounds:
 *
 *	1. the manifests doubt this round's blocks, and are synced
 *	2. before the first change of all, the job and its copies are marked as incomplete
 *	3. this round's content is written to the copies
 *	4. the copies are flushed
 *	5. the manifests get the hashes of this round's blocks, and are synced: it is durable
 *
 * One thread writes (1 to 3) while another settles (4 and 5) the round before.  So
 * each round costs three syncs whatever its size, the disk has something to write
 * meanwhile, and the manifests never say what is not so: a round that has a block in
 * common with one that is not settled waits for that.  Batches keep their order in 3
 * and in 5: where two have the same block, the hash is that of the content that came
 * last.  What changes nothing is left out of all of it.
 *
 * An error is final: what was being written stays in doubt.
 */
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/sync/receiver-impl.h"

struct writer {
	struct job *job;
	pthread_t writing_thread, settling_thread;
	pthread_mutex_t lock; /* what follows */
	pthread_cond_t changed;
	struct batch *queue, **queue_end;
	struct batch *written, *settling; /* the rounds that are to be settled, and are being */
	bool stopping; /* nothing more will be submitted */
	bool has_stopped; /* nor written */
	struct err *err; /* the first */
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

static struct err *sync_manifests(struct job *job, const struct batch *batches)
{
	for (size_t i = 0; i < job->checkpoint.disk_count; i++)
		if (is_touched(i, batches))
			TRY(manifest_sync(job->copies[i].manifest));
	return NULL;
}

static struct err *flush_copies(struct job *job, const struct batch *batches)
{
	for (size_t i = 0; i < job->checkpoint.disk_count; i++)
		if (is_touched(i, batches))
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

static void fail(struct writer *writer, struct batch *batches, struct err *err)
{
	LOCKED(&writer->lock);

	give_back(batches, BATCH_FAILED);
	give_back(take_ptr(writer->written), BATCH_FAILED);
	give_back(take_ptr(writer->queue), BATCH_FAILED);
	writer->queue_end = &writer->queue;
	writer->err = err_first(writer->err, err);
	pthread_cond_broadcast(&writer->changed);
}

/* NULL: there will be nothing more. */
static struct batch *take_queue(struct writer *writer)
{
	struct batch *batches;
	LOCKED(&writer->lock);

	while (!writer->queue && !writer->stopping && !writer->err)
		pthread_cond_wait(&writer->changed, &writer->lock);
	batches = take_ptr(writer->queue);
	writer->queue_end = &writer->queue;
	return batches;
}

/* What is settled later would be recorded although this round has changed it. */
static void wait_for_same_blocks(struct writer *writer, const struct batch *batches)
{
	LOCKED(&writer->lock);

	while ((writer->written || writer->settling) && (content_do_overlap(batches, writer->written) ||
							 content_do_overlap(batches, writer->settling)))
		pthread_cond_wait(&writer->changed, &writer->lock);
}

static struct err *write_round(struct job *job, struct batch *batches)
{
	TRY(for_ops(job, batches, doubt));
	TRY(sync_manifests(job, batches));
	if (is_any_touched(job, batches))
		TRY(job_begin_changes(job));
	return content_write(job, batches);
}

static void hand_on(struct writer *writer, struct batch *batches)
{
	LOCKED(&writer->lock);

	while (writer->written && !writer->err)
		pthread_cond_wait(&writer->changed, &writer->lock);
	if (writer->err)
		give_back(batches, BATCH_FAILED);
	else
		writer->written = batches;
	pthread_cond_broadcast(&writer->changed);
}

static void *write_rounds(void *arg)
{
	struct writer *writer = arg;
	struct batch *batches;

	while ((batches = take_queue(writer))) {
		struct err *err;

		wait_for_same_blocks(writer, batches);
		err = write_round(writer->job, batches);
		if (err)
			fail(writer, batches, err);
		else
			hand_on(writer, batches);
	}
	LOCKED(&writer->lock);
	writer->has_stopped = true;
	pthread_cond_broadcast(&writer->changed);
	return NULL;
}

static struct batch *take_written(struct writer *writer)
{
	LOCKED(&writer->lock);

	while (!writer->written && !writer->has_stopped)
		pthread_cond_wait(&writer->changed, &writer->lock);
	writer->settling = take_ptr(writer->written);
	pthread_cond_broadcast(&writer->changed);
	return writer->settling;
}

static struct err *settle_round(struct job *job, struct batch *batches)
{
	TRY(flush_copies(job, batches));
	TRY(for_ops(job, batches, record));
	return sync_manifests(job, batches);
}

static void tell_durable(struct writer *writer)
{
	LOCKED(&writer->lock);

	give_back(take_ptr(writer->settling), BATCH_DURABLE);
	pthread_cond_broadcast(&writer->changed);
}

static void *settle_rounds(void *arg)
{
	struct writer *writer = arg;
	struct batch *batches;

	while ((batches = take_written(writer))) {
		struct err *err = settle_round(writer->job, batches);

		if (!err) {
			tell_durable(writer);
			continue;
		}
		/* Nobody is to look at what fail() gives back. */
		pthread_mutex_lock(&writer->lock);
		writer->settling = NULL;
		pthread_mutex_unlock(&writer->lock);
		fail(writer, batches, err);
	}
	return NULL;
}

static void stop_writing(struct writer *writer)
{
	pthread_mutex_lock(&writer->lock);
	writer->stopping = true;
	pthread_cond_broadcast(&writer->changed);
	pthread_mutex_unlock(&writer->lock);
	pthread_join(writer->writing_thread, NULL);
}

static void release(struct writer *writer)
{
	pthread_cond_destroy(&writer->changed);
	pthread_mutex_destroy(&writer->lock);
	err_free(writer->err);
	free(writer);
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
	errnum = pthread_create(&writer->writing_thread, NULL, write_rounds, writer);
	if (!errnum) {
		errnum = pthread_create(&writer->settling_thread, NULL, settle_rounds, writer);
		if (errnum)
			stop_writing(writer);
	}
	if (errnum) {
		release(writer);
		return err_from_errno(errnum, "thread");
	}
	*ret_writer = writer;
	return NULL;
}

void writer_stop(struct writer *writer)
{
	if (!writer)
		return;
	stop_writing(writer);
	pthread_join(writer->settling_thread, NULL);
	release(writer);
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
