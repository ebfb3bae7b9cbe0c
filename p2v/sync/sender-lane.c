/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A lane at the sender: takes pieces of work until there are none, and has
 * everything acknowledged before the pass ends; then waits for the next one.
 *
 * A page is read once, and what is sent, what is hashed and what goes into the
 * root is that reading: if the disk changes meanwhile, the copy is still what
 * the root says.
 *
 * A page that differs from the receiver's is held until the receiver has told which
 * of its blocks do.  Several are asked about before the first answer is waited for,
 * so that a long line costs its delay once for all of them.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/sync/sender-impl.h"

/* Of all lanes together, in pages that wait for answers, if there are not more lanes than pages in it. */
#define HELD_BYTES (32ull << 20)

struct err *lane_ask(struct lane *lane, const struct message_query *query)
{
	const struct message question = {.type = WIRE_QUERY, .query = *query};

	return channel_send(lane->channel, &question);
}

struct err *lane_take_answer(struct lane *lane, const struct message_query *query, wire_hash *ret_hashes)
{
	const struct message_query *of = &lane->message->hashes.of;

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
	const uint8_t *data = page->content + index * lane->block_bytes;
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
	if (!lane->run->is_urgent)
		limiter_wait(&lane->run->limiter, message.data.payload_bytes, &lane->run->stopping);
	TRY(channel_send(lane->channel, &message));
	packer_sent(&lane->packer, message.data.payload_bytes, run_now_ns() - start_ns);
	lane->content_bytes += bytes;
	return credit_collect(&lane->credit, false);
}

/* What is to be done for a block; runs of the same are one message. */
enum action { KEEP, SEND_ZERO, SEND_DATA };

static enum action action_for(const struct page *page, size_t index)
{
	if (hash_equal(page->hashes[index], page->theirs[index]))
		return KEEP;
	return hash_equal(page->hashes[index], hash_zero) ? SEND_ZERO : SEND_DATA;
}

struct err *lane_send_differences(struct lane *lane, const struct page *page)
{
	size_t most = WIRE_MAX_DATA_BYTES / lane->block_bytes;

	for (size_t i = 0, run; i < page->block_count; i += run) {
		enum action action = action_for(page, i);

		for (run = 1; i + run < page->block_count && run < most; run++)
			if (action_for(page, i + run) != action)
				break;
		if (action == SEND_ZERO)
			TRY(send_zero(lane, page->disk, page->first_block + i, run));
		else if (action == SEND_DATA)
			TRY(send_data(lane, page, i, run));
	}
	return NULL;
}

struct err *lane_read_blocks(struct lane *lane, struct page *page, size_t index, size_t count)
{
	const struct sender_disk *disk = &lane->run->options->disks[page->disk];
	CLEANUP_EXTENTS struct extents unreadable = {0};
	size_t skip = index * lane->block_bytes, bytes = count * lane->block_bytes;
	uint64_t offset = page->first_block * lane->block_bytes + skip, start_ns = run_now_ns();

	if (bytes > page->bytes - skip)
		bytes = page->bytes - skip;
	TRY(read_with_patience(disk->blk, page->content + skip, bytes, offset, &unreadable));
	gentle_pause(lane->run, run_now_ns() - start_ns);
	lane->read_bytes += bytes;
	for (size_t i = 0; i < unreadable.count; i++)
		extents_add(&lane->unreadable[page->disk], unreadable.ranges[i].start,
			    unreadable.ranges[i].end);
	if (unreadable.count && !(lane->run->options->flags & SENDER_ZERO_UNREADABLE))
		return err_advise(
			err_refused("%s: cannot be read at offset %" PRIu64 ", %" PRIu64 " bytes", disk->id,
				    unreadable.ranges[0].start,
				    unreadable.ranges[0].end - unreadable.ranges[0].start),
			"the disk is failing; '--on-read-error zero' sends zeros for what cannot be read");
	hash_blocks(lane->run->hash_key, page->content + skip, bytes, lane->block_bytes,
		    page->hashes + index);
	progress_add(lane->run->progress, bytes);
	return NULL;
}

static struct err *read_page(struct lane *lane, struct page *page)
{
	TRY(lane_read_blocks(lane, page, 0, page->block_count));
	hash_page(lane->run->hash_key, page->hashes, page->block_count, page->hash);
	root_add_page(&lane->roots[page->disk], lane->run->hash_key, page->disk, page->number, page->hash);
	return NULL;
}

static struct message_query query_for(const struct page *page)
{
	return (struct message_query){page->disk, WIRE_BLOCKS, page->block_count, page->first_block};
}

/* Sends what differs of the pages that were asked about.  All answers come before any content goes: what
 * waits for credit takes nothing else in. */
static struct err *settle_pages(struct lane *lane)
{
	size_t count = lane->asked;

	lane->asked = 0;
	for (size_t i = 0; i < count; i++) {
		const struct message_query query = query_for(&lane->pages[i]);

		TRY(lane_take_answer(lane, &query, lane->pages[i].theirs));
	}
	for (size_t i = 0; i < count; i++)
		TRY(lane_send_differences(lane, &lane->pages[i]));
	return NULL;
}

/* The page is the first that does not wait for an answer; `theirs` is the receiver's hash of it. */
static struct err *do_page(struct lane *lane, struct page *page, const wire_hash theirs)
{
	TRY(read_page(lane, page));
	if (hash_equal(page->hash, theirs))
		return NULL;
	if (!hash_equal(theirs, hash_zero)) {
		const struct message_query query = query_for(page);

		TRY(lane_ask(lane, &query));
		return ++lane->asked == lane->page_capacity ? settle_pages(lane) : NULL;
	}
	/* Where they have zeros there is nothing to ask. */
	TRY(settle_pages(lane));
	memset(page->theirs, 0, sizeof page->theirs);
	return lane_send_differences(lane, page);
}

void lane_set_page(const struct lane *lane, const struct work *work, size_t index, struct page *page)
{
	uint64_t size_bytes = lane->run->options->disks[work->disk].blk->size_bytes;
	uint64_t done = (uint64_t)index * WIRE_PAGE_BLOCKS, left = work->block_count - done;
	uint64_t left_bytes = size_bytes - (work->first_block + done) * lane->block_bytes;

	page->disk = work->disk;
	page->number = work->first_block / WIRE_PAGE_BLOCKS + index;
	page->first_block = work->first_block + done;
	page->block_count = left < WIRE_PAGE_BLOCKS ? left : WIRE_PAGE_BLOCKS;
	page->bytes = page->block_count * (size_t)lane->block_bytes;
	if (page->bytes > left_bytes)
		page->bytes = left_bytes;
}

static struct err *do_work(struct lane *lane, const struct work *work)
{
	size_t pages = (work->block_count + WIRE_PAGE_BLOCKS - 1) / WIRE_PAGE_BLOCKS;
	wire_hash theirs[WORK_MAX_PAGES] = {{0}};
	struct message_query query = {work->disk, WIRE_PAGES, pages, work->first_block / WIRE_PAGE_BLOCKS};

	if (work->is_zero)
		return send_zero(lane, work->disk, work->first_block, work->block_count);
	if (!(lane->run->disk_flags[work->disk] & WIRE_DISK_FRESH)) {
		TRY(lane_ask(lane, &query));
		TRY(lane_take_answer(lane, &query, theirs));
	}
	for (size_t i = 0; i < pages; i++) {
		struct page *page = &lane->pages[lane->asked];

		if (lane->run->stopping)
			return err_failed("stopped");
		lane_set_page(lane, work, i, page);
		TRY(do_page(lane, page, theirs[i]));
	}
	return settle_pages(lane);
}

static struct err *do_pass(struct lane *lane)
{
	struct work works[WORK_MAX_TAKEN];
	size_t count;

	while ((count = work_list_take(lane->run->work, lane->run->lane_count, works)))
		TRY(works[0].is_changed ? lane_do_changed(lane, works, count) : do_work(lane, works));
	return credit_collect(&lane->credit, true);
}

/* Waits for it; false: there is none any more. */
static bool begin_pass(struct lane *lane)
{
	struct run *run = lane->run;
	LOCKED(&run->lock);

	while (run->pass_number == lane->pass_number && !run->is_last_pass && !run->stopping)
		pthread_cond_wait(&run->changed, &run->lock);
	if (run->pass_number == lane->pass_number || run->stopping)
		return false;
	lane->pass_number = run->pass_number;
	return true;
}

static uint64_t take_count(uint64_t *count)
{
	uint64_t taken = *count;

	*count = 0;
	return taken;
}

/* With the run's lock: what the lane has done becomes part of the run's result. */
static void hand_over(struct lane *lane)
{
	struct run *run = lane->run;
	struct sender_result *result = run->result;

	result->read_bytes += take_count(&lane->read_bytes);
	result->content_bytes += take_count(&lane->content_bytes);
	for (size_t i = 0; i < run->options->disk_count; i++) {
		root_add(&run->roots[i], &lane->roots[i]);
		lane->roots[i] = (struct root){{0}};
		for (size_t k = 0; k < lane->unreadable[i].count; k++)
			extents_add(&result->unreadable[i], lane->unreadable[i].ranges[k].start,
				    lane->unreadable[i].ranges[k].end);
	}
}

static void end_pass(struct lane *lane)
{
	struct run *run = lane->run;
	LOCKED(&run->lock);

	hand_over(lane);
	run->lanes_in_pass--;
	pthread_cond_broadcast(&run->changed);
}

static struct err *do_passes(struct lane *lane)
{
	gentle_init(&lane->gentle);
	while (begin_pass(lane)) {
		gentle_set(&lane->gentle, lane->run->options->live && !lane->run->is_urgent);
		TRY(do_pass(lane));
		end_pass(lane);
	}
	return channel_close(lane->channel);
}

static struct err *make_pages(struct lane *lane)
{
	size_t page_bytes = (size_t)lane->block_bytes * WIRE_PAGE_BLOCKS;

	lane->page_capacity = HELD_BYTES / lane->run->lane_count / page_bytes;
	if (lane->page_capacity < 1)
		lane->page_capacity = 1;
	lane->pages = xcalloc(lane->page_capacity, sizeof *lane->pages);
	for (size_t i = 0; i < lane->page_capacity; i++) {
		/* So that devices can be read without a copy. */
		lane->pages[i].content = aligned_alloc(WIRE_MIN_BLOCK_BYTES, page_bytes);
		if (!lane->pages[i].content)
			return err_nomem();
	}
	return NULL;
}

static struct err *lane_init(struct lane *lane, struct run *run, unsigned number)
{
	size_t disks = run->options->disk_count;

	lane->run = run;
	lane->block_bytes = sender_block_bytes(run->options);
	lane->message = malloc(sizeof *lane->message);
	lane->roots = xcalloc(disks, sizeof *lane->roots);
	lane->unreadable = xcalloc(disks, sizeof *lane->unreadable);
	lane->theirs = xcalloc(CHANGED_MAX_BLOCKS, sizeof *lane->theirs);
	if (!lane->message)
		return err_nomem();
	TRY(make_pages(lane));
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

static void leave(struct lane *lane, unsigned number)
{
	struct run *run = lane->run;
	LOCKED(&run->lock);

	run->lanes[number] = NULL;
	hand_over(lane);
	if (lane->channel)
		run->result->wire_bytes +=
			channel_sent_bytes(lane->channel) + channel_received_bytes(lane->channel);
}

static void lane_deinit(struct lane *lane)
{
	for (size_t i = 0; i < lane->run->options->disk_count; i++)
		extents_deinit(&lane->unreadable[i]);
	free(lane->unreadable);
	free(lane->theirs);
	free(lane->roots);
	free(lane->message);
	for (size_t i = 0; lane->pages && i < lane->page_capacity; i++)
		free(lane->pages[i].content);
	free(lane->pages);
	packer_deinit(&lane->packer);
	credit_deinit(&lane->credit);
	channel_destroy(lane->channel);
}

struct err *sender_lane_run(struct run *run, unsigned number)
{
	struct lane lane = {0};
	struct err *err = lane_init(&lane, run, number);

	if (!err)
		err = do_passes(&lane);
	leave(&lane, number);
	lane_deinit(&lane);
	return err;
}
