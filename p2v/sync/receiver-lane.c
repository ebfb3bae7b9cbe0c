/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A lane at the receiver: answers questions about hashes, and takes in content,
 * which it checks, decompressed, against its hashes before anybody else sees it.
 *
 * Two batches of half a window each: while the writer has one, the lane fills
 * the other.  A batch goes to the writer as soon as one more DATA might not fit;
 * so a sender that has run out of credit always has a batch on its way.
 */
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "p2v/base/mem.h"
#include "p2v/sync/receiver-impl.h"

#define ALIGN_BYTES 4096u /* what is so in memory can be written without a copy */

struct lane {
	struct session *session;
	struct channel *channel;
	ZSTD_DCtx *zstd;
	struct batch batches[2];
	unsigned filling; /* index of the batch that is filled; the other is the writer's, or free */
	uint32_t half_bytes; /* of the window */
	uint64_t durable_count; /* of DATA and ZERO */
	struct lane_pass *pass;
	wire_hash hashes[WIRE_MAX_HASHES];
};

static struct err *broken(const char *what)
{
	return err_advise(err_failed("the sender broke the protocol: %s", what),
			  "see that both ends are of the same version of p2v");
}

static struct copy *find_copy(struct lane *lane, uint32_t disk)
{
	struct job *job = &lane->session->job;

	return disk < job->checkpoint.disk_count ? &job->copies[disk] : NULL;
}

static struct err *answer_query(struct lane *lane, const struct message_query *query)
{
	struct copy *copy = find_copy(lane, query->disk);
	struct message answer = {.type = WIRE_HASHES, .hashes = {*query, lane->hashes}};
	const uint8_t *key = lane->session->job.checkpoint.hash_key;
	uint64_t count;

	if (!copy)
		return broken("QUERY: there is no such disk");
	count = query->level == WIRE_BLOCKS ? copy->block_count : manifest_page_count(copy->manifest);
	if (query->first >= count || query->count > count - query->first)
		return broken("QUERY: behind the end of the disk");
	if (query->level == WIRE_BLOCKS)
		TRY(manifest_read(copy->manifest, query->first, query->count, lane->hashes));
	else
		TRY(manifest_hash_pages(copy->manifest, key, query->first, query->count, lane->hashes));
	return channel_send(lane->channel, &answer);
}

static struct batch *other_batch(struct lane *lane)
{
	return &lane->batches[!lane->filling];
}

/* Acknowledges the batch that the writer has, if it is durable by now, or waits for it. */
static struct err *acknowledge(struct lane *lane, bool wait)
{
	struct batch *batch = other_batch(lane);
	struct message message = {.type = WIRE_DURABLE};
	bool durable = false;

	if (batch->state == BATCH_FREE)
		return NULL;
	TRY(writer_check(lane->session->writer, batch, wait, &durable));
	if (!durable)
		return NULL;
	lane->durable_count += batch->op_count;
	batch->state = BATCH_FREE;
	batch->op_count = batch->data_bytes = batch->cost_bytes = 0;
	message.durable = lane->durable_count;
	return channel_send(lane->channel, &message);
}

static struct err *submit(struct lane *lane)
{
	TRY(acknowledge(lane, true));
	if (!lane->batches[lane->filling].op_count)
		return NULL;
	writer_submit(lane->session->writer, &lane->batches[lane->filling]);
	lane->filling = !lane->filling;
	return NULL;
}

/* One more operation, that costs so much credit.  There is always room: a batch is submitted before less than
 * WIRE_MAX_DATA_BYTES are left.  A sender that does not mind its credit just is not read from. */
static struct batch_op *add_op(struct lane *lane, uint32_t cost_bytes)
{
	struct batch *batch = &lane->batches[lane->filling];
	struct batch_op *op;

	array_grow(batch->ops, batch->op_count, batch->op_capacity);
	op = &batch->ops[batch->op_count++];
	memset(op, 0, sizeof *op);
	op->data_offset = batch->data_bytes;
	batch->cost_bytes += cost_bytes;
	return op;
}

static struct err *take_zero(struct lane *lane, const struct message_zero *zero)
{
	struct copy *copy = find_copy(lane, zero->disk);
	struct batch_op *op;

	if (!copy || !copy_has_blocks(copy, zero->first_block, zero->block_count))
		return broken("ZERO: behind the end of the disk");
	op = add_op(lane, WIRE_ZERO_COST_BYTES);
	op->disk = zero->disk;
	op->is_zero = true;
	op->first_block = zero->first_block;
	op->block_count = zero->block_count;
	return NULL;
}

static struct err *unpack(struct lane *lane, const struct message_data *data, uint8_t *to, size_t bytes)
{
	size_t got;

	if (data->encoding == WIRE_RAW) {
		if (data->payload_bytes != bytes)
			return broken("DATA: a wrong amount of content");
		memcpy(to, data->payload, bytes);
		return NULL;
	}
	if (ZSTD_getFrameContentSize(data->payload, data->payload_bytes) != bytes)
		return broken("DATA: a wrong amount of content");
	got = ZSTD_decompressDCtx(lane->zstd, to, bytes, data->payload, data->payload_bytes);
	return got == bytes ? NULL : broken("DATA: cannot be decompressed");
}

static struct err *take_data(struct lane *lane, const struct message_data *data)
{
	struct batch *batch = &lane->batches[lane->filling];
	struct copy *copy = find_copy(lane, data->disk);
	wire_hash hashes[WIRE_MAX_DATA_BLOCKS];
	struct batch_op *op;
	uint8_t *to;
	size_t bytes;

	if (!copy || !copy_has_blocks(copy, data->first_block, data->block_count))
		return broken("DATA: behind the end of the disk");
	bytes = copy_bytes(copy, data->first_block, data->block_count);
	if (bytes > WIRE_MAX_DATA_BYTES)
		return broken("DATA: too much content");
	to = batch->data + batch->data_bytes;
	TRY(unpack(lane, data, to, bytes));
	hash_blocks(lane->session->job.checkpoint.hash_key, to, bytes, copy->block_bytes, hashes);
	if (memcmp(hashes, data->hashes, data->block_count * sizeof *hashes))
		return broken("DATA: the content has not the hash that it came with");
	op = add_op(lane, bytes);
	op->disk = data->disk;
	op->first_block = data->first_block;
	op->block_count = data->block_count;
	memcpy(op->hashes, hashes, data->block_count * sizeof *hashes);
	batch->data_bytes += bytes;
	return NULL;
}

static struct err *take_message(struct lane *lane, const struct message *message)
{
	if (message->type == WIRE_DATA || message->type == WIRE_ZERO)
		session_lane_brings(lane->session, lane->pass);
	switch (message->type) {
	case WIRE_QUERY:
		TRY(answer_query(lane, &message->query));
		break;
	case WIRE_DATA:
		TRY(take_data(lane, &message->data));
		break;
	case WIRE_ZERO:
		TRY(take_zero(lane, &message->zero));
		break;
	default: /* SYNC */
		TRY(submit(lane));
		TRY(acknowledge(lane, true));
		session_lane_ends_pass(lane->session, lane->pass);
		return NULL;
	}
	if (lane->batches[lane->filling].cost_bytes > lane->half_bytes - WIRE_MAX_DATA_BYTES)
		return submit(lane);
	return acknowledge(lane, false);
}

static struct err *serve(struct lane *lane)
{
	const unsigned allowed = CHANNEL_TYPE(WIRE_QUERY) | CHANNEL_TYPE(WIRE_DATA) |
				 CHANNEL_TYPE(WIRE_ZERO) | CHANNEL_TYPE(WIRE_SYNC);
	CLEANUP_FREE struct message *message = malloc(sizeof *message);
	bool end = false;

	if (!message)
		return err_nomem();
	for (;;) {
		TRY(channel_receive(lane->channel, allowed, message, &end));
		if (end)
			return NULL;
		TRY(take_message(lane, message));
	}
}

static struct err *lane_init(struct lane *lane, struct session *session, struct channel *channel)
{
	size_t rounded;

	lane->session = session;
	lane->channel = channel;
	lane->half_bytes = session->receiver->window_bytes / 2;
	lane->zstd = ZSTD_createDCtx();
	rounded = (lane->half_bytes + ALIGN_BYTES - 1) / ALIGN_BYTES * ALIGN_BYTES;
	for (unsigned i = 0; i < 2; i++)
		lane->batches[i].data = aligned_alloc(ALIGN_BYTES, rounded);
	return lane->zstd && lane->batches[0].data && lane->batches[1].data ? NULL : err_nomem();
}

static void lane_deinit(struct lane *lane)
{
	for (unsigned i = 0; i < 2; i++) {
		bool durable;

		/* Whatever happens to the lane, the writer has it until it is done. */
		err_free(writer_check(lane->session->writer, &lane->batches[i], true, &durable));
		free(lane->batches[i].ops);
		free(lane->batches[i].data);
	}
	ZSTD_freeDCtx(lane->zstd);
}

struct err *lane_run(struct session *session, struct channel *channel, struct lane_pass *pass)
{
	struct lane *lane = calloc(1, sizeof *lane);
	struct err *err;

	if (!lane)
		return err_nomem();
	lane->pass = pass;
	err = lane_init(lane, session, channel);
	if (!err)
		err = serve(lane);
	lane_deinit(lane);
	free(lane);
	return err;
}
