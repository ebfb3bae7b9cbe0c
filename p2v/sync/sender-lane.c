/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A lane at the sender: takes pieces of work until there are none, and has
 * everything acknowledged before it ends.
 *
 * A page is read once, and what is sent, what is hashed and what goes into the
 * root is that reading: if the disk changes meanwhile, the copy is still what
 * the root says.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/sync/sender-impl.h"

struct lane {
	struct run *run;
	struct channel *channel;
	struct credit credit;
	struct packer packer;
	uint32_t block_bytes;
	uint8_t *page; /* content of one */
	struct message *message; /* received */
	struct root *roots; /* one a disk: of the pages of this lane */
	uint64_t read_bytes, content_bytes;
	struct extents *unreadable; /* one a disk */
};

/* The page that is being worked on. */
struct page {
	uint32_t disk;
	uint64_t number, first_block;
	size_t block_count, bytes;
	wire_hash hashes[WIRE_PAGE_BLOCKS];
	wire_hash hash;
};

/* Asks, and takes in what the receiver acknowledges before it answers. */
static struct err *ask(struct lane *lane, const struct message_query *query, wire_hash *ret_hashes)
{
	struct message question = {.type = WIRE_QUERY, .query = *query};
	const struct message_query *of = &lane->message->hashes.of;

	TRY(channel_send(lane->channel, &question));
	for (;;) {
		TRY(channel_receive(lane->channel, CHANNEL_TYPE(WIRE_DURABLE) | CHANNEL_TYPE(WIRE_HASHES),
				    lane->message, NULL));
		if (lane->message->type == WIRE_HASHES)
			break;
		TRY(credit_acknowledge(&lane->credit, lane->message->durable));
	}
	if (of->disk != query->disk || of->level != query->level || of->first != query->first ||
	    of->count != query->count)
		return err_failed("the receiver broke the protocol: HASHES: of something else");
	memcpy(ret_hashes, lane->message->hashes.hashes, query->count * sizeof *ret_hashes);
	return NULL;
}

static struct err *send_zero(struct lane *lane, uint32_t disk, uint64_t first_block, uint64_t block_count)
{
	struct message message = {.type = WIRE_ZERO, .zero = {disk, first_block, block_count}};

	TRY(credit_take(&lane->credit, WIRE_ZERO_COST_BYTES));
	return channel_send(lane->channel, &message);
}

/* Blocks of the page that follow one another; the content is at most WIRE_MAX_DATA_BYTES. */
static struct err *send_data(struct lane *lane, const struct page *page, size_t index, size_t count)
{
	const uint8_t *data = lane->page + index * lane->block_bytes;
	size_t bytes = (index + count) * (size_t)lane->block_bytes;
	struct message message = {
		.type = WIRE_DATA,
		.data = {.disk = page->disk,
			 .block_count = count,
			 .first_block = page->first_block + index,
			 .hashes = page->hashes + index},
	};
	uint64_t start_ns;

	bytes = (bytes < page->bytes ? bytes : page->bytes) - index * lane->block_bytes;
	message.data.encoding =
		packer_pack(&lane->packer, data, bytes, &message.data.payload, &message.data.payload_bytes);
	TRY(credit_take(&lane->credit, bytes));
	start_ns = run_now_ns();
	limiter_wait(&lane->run->limiter, message.data.payload_bytes, &lane->run->stopping);
	TRY(channel_send(lane->channel, &message));
	packer_sent(&lane->packer, message.data.payload_bytes, run_now_ns() - start_ns);
	lane->content_bytes += bytes;
	return credit_collect(&lane->credit, false);
}

/* What is to be done for a block; runs of the same are one message. */
enum action { KEEP, SEND_ZERO, SEND_DATA };

static enum action action_for(const struct page *page, size_t index, const wire_hash *theirs)
{
	if (hash_equal(page->hashes[index], theirs[index]))
		return KEEP;
	return hash_equal(page->hashes[index], hash_zero) ? SEND_ZERO : SEND_DATA;
}

static struct err *send_differences(struct lane *lane, const struct page *page, const wire_hash *theirs)
{
	size_t most = WIRE_MAX_DATA_BYTES / lane->block_bytes;

	for (size_t i = 0, run; i < page->block_count; i += run) {
		enum action action = action_for(page, i, theirs);

		for (run = 1; i + run < page->block_count && run < most; run++)
			if (action_for(page, i + run, theirs) != action)
				break;
		if (action == SEND_ZERO)
			TRY(send_zero(lane, page->disk, page->first_block + i, run));
		else if (action == SEND_DATA)
			TRY(send_data(lane, page, i, run));
	}
	return NULL;
}

static struct err *read_page(struct lane *lane, struct page *page)
{
	const struct sender_disk *disk = &lane->run->options->disks[page->disk];
	CLEANUP_EXTENTS struct extents unreadable = {0};
	uint64_t offset = page->first_block * lane->block_bytes;

	TRY(read_with_patience(disk->blk, lane->page, page->bytes, offset, &unreadable));
	lane->read_bytes += page->bytes;
	for (size_t i = 0; i < unreadable.count; i++)
		extents_add(&lane->unreadable[page->disk], unreadable.ranges[i].start,
			    unreadable.ranges[i].end);
	if (unreadable.count && !(lane->run->options->flags & SENDER_ZERO_UNREADABLE))
		return err_advise(
			err_refused("%s: cannot be read at offset %" PRIu64 ", %" PRIu64 " bytes", disk->id,
				    unreadable.ranges[0].start,
				    unreadable.ranges[0].end - unreadable.ranges[0].start),
			"the disk is failing; '--on-read-error zero' sends zeros for what cannot be read");
	hash_blocks(lane->run->hash_key, lane->page, page->bytes, lane->block_bytes, page->hashes);
	hash_page(lane->run->hash_key, page->hashes, page->block_count, page->hash);
	root_add_page(&lane->roots[page->disk], lane->run->hash_key, page->disk, page->number, page->hash);
	return NULL;
}

static struct err *do_page(struct lane *lane, struct page *page, const wire_hash theirs)
{
	wire_hash blocks[WIRE_PAGE_BLOCKS] = {{0}};
	struct message_query query = {page->disk, WIRE_BLOCKS, page->block_count, page->first_block};

	TRY(read_page(lane, page));
	progress_add(lane->run->options->progress, page->bytes);
	if (hash_equal(page->hash, theirs))
		return NULL;
	/* Where they have zeros there is nothing to ask. */
	if (!hash_equal(theirs, hash_zero))
		TRY(ask(lane, &query, blocks));
	return send_differences(lane, page, blocks);
}

static struct err *do_work(struct lane *lane, const struct work *work)
{
	uint64_t size_bytes = lane->run->options->disks[work->disk].blk->size_bytes;
	uint64_t first_page = work->first_block / WIRE_PAGE_BLOCKS;
	size_t pages = (work->block_count + WIRE_PAGE_BLOCKS - 1) / WIRE_PAGE_BLOCKS;
	wire_hash theirs[WORK_MAX_PAGES] = {{0}};
	struct message_query query = {work->disk, WIRE_PAGES, pages, first_page};

	if (work->is_zero)
		return send_zero(lane, work->disk, work->first_block, work->block_count);
	if (!(lane->run->disk_flags[work->disk] & WIRE_DISK_FRESH))
		TRY(ask(lane, &query, theirs));
	for (size_t i = 0; i < pages; i++) {
		uint64_t done = (uint64_t)i * WIRE_PAGE_BLOCKS, left = work->block_count - done;
		struct page page = {.disk = work->disk,
				    .number = first_page + i,
				    .first_block = work->first_block + done};
		uint64_t left_bytes = size_bytes - page.first_block * lane->block_bytes;

		if (lane->run->stopping)
			return err_failed("stopped");
		page.block_count = left < WIRE_PAGE_BLOCKS ? left : WIRE_PAGE_BLOCKS;
		page.bytes = page.block_count * (size_t)lane->block_bytes;
		if (page.bytes > left_bytes)
			page.bytes = left_bytes;
		TRY(do_page(lane, &page, theirs[i]));
	}
	return NULL;
}

static struct err *do_all_work(struct lane *lane)
{
	struct work work;

	while (work_list_take(lane->run->work, lane->run->lane_count, &work))
		TRY(do_work(lane, &work));
	TRY(credit_collect(&lane->credit, true));
	return channel_close(lane->channel);
}

static struct err *lane_init(struct lane *lane, struct run *run, unsigned number)
{
	size_t disks = run->options->disk_count;

	lane->run = run;
	lane->block_bytes = sender_block_bytes(run->options);
	/* So that devices can be read without a copy. */
	lane->page = aligned_alloc(WIRE_MIN_BLOCK_BYTES, (size_t)lane->block_bytes * WIRE_PAGE_BLOCKS);
	lane->message = malloc(sizeof *lane->message);
	lane->roots = xcalloc(disks, sizeof *lane->roots);
	lane->unreadable = xcalloc(disks, sizeof *lane->unreadable);
	if (!lane->page || !lane->message)
		return err_nomem();
	TRY(packer_init(&lane->packer));
	TRY(sender_connect(run->options, WIRE_LANE, run->token, lane->message, &lane->channel));
	/* Making content durable may take its time; whether the receiver lives the control connection tells.
	 */
	channel_set_limits(lane->channel, 0, 0);
	lane->credit.channel = lane->channel;
	lane->credit.window_bytes = lane->message->welcome.window_bytes;
	LOCKED(&run->lock);
	run->lanes[number] = lane->channel;
	if (run->stopping)
		channel_interrupt(lane->channel);
	return NULL;
}

/* What the lane has done becomes part of the run's result. */
static void hand_over(struct lane *lane, unsigned number)
{
	struct run *run = lane->run;
	struct sender_result *result = run->result;
	LOCKED(&run->lock);

	run->lanes[number] = NULL;
	result->read_bytes += lane->read_bytes;
	result->content_bytes += lane->content_bytes;
	if (lane->channel)
		result->wire_bytes +=
			channel_sent_bytes(lane->channel) + channel_received_bytes(lane->channel);
	for (size_t i = 0; i < run->options->disk_count; i++) {
		root_add(&run->roots[i], &lane->roots[i]);
		for (size_t k = 0; k < lane->unreadable[i].count; k++)
			extents_add(&result->unreadable[i], lane->unreadable[i].ranges[k].start,
				    lane->unreadable[i].ranges[k].end);
	}
}

static void lane_deinit(struct lane *lane)
{
	for (size_t i = 0; i < lane->run->options->disk_count; i++)
		extents_deinit(&lane->unreadable[i]);
	free(lane->unreadable);
	free(lane->roots);
	free(lane->message);
	free(lane->page);
	packer_deinit(&lane->packer);
	credit_deinit(&lane->credit);
	channel_destroy(lane->channel);
}

struct err *sender_lane_run(struct run *run, unsigned number)
{
	struct lane lane = {0};
	struct err *err = lane_init(&lane, run, number);

	if (!err)
		err = do_all_work(&lane);
	hand_over(&lane, number);
	lane_deinit(&lane);
	return err;
}
