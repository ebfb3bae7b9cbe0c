/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What has changed of pages that were brought over before: only these blocks are
 * read.  The hashes of the others, which go into the page's, the receiver tells.
 *
 * It need not be believed.  The root has what this sender has read; of it is
 * taken what the receiver says that the page was, and added what it is now.  Should
 * the receiver have had anything else there than was sent, the root is no longer
 * one that its manifest can have, and nothing is committed.
 *
 * All of a batch is asked before the first answer is awaited, so that changes here
 * and there do not cost a round trip each.
 */
#include <string.h>

#include "p2v/sync/sender-impl.h"

static struct message_query blocks_of(const struct work *work)
{
	return (struct message_query){work->disk, WIRE_BLOCKS, work->block_count, work->first_block};
}

/* How many blocks of the page, from there on, have changed, or not. */
static size_t run_at(const struct lane *lane, const struct page *page, size_t index, bool *ret_is_changed)
{
	const struct extents *changed = &lane->run->blocks_changed[page->disk];
	uint64_t start = (page->first_block + index) * lane->block_bytes, end;
	size_t i = extents_find(changed, start), most = page->block_count - index;

	*ret_is_changed = i < changed->count && changed->ranges[i].start <= start;
	if (i == changed->count)
		return most;
	end = *ret_is_changed ? changed->ranges[i].end : changed->ranges[i].start;
	end = (end - start) / lane->block_bytes;
	return end < most ? end : most;
}

static struct err *do_page(struct lane *lane, struct page *page)
{
	const uint8_t *key = lane->run->hash_key;
	struct root *root = &lane->roots[page->disk];
	wire_hash before;

	hash_page(key, page->theirs, page->block_count, before);
	memcpy(page->hashes, page->theirs, page->block_count * sizeof *page->theirs);
	for (size_t i = 0, run; i < page->block_count; i += run) {
		bool is_changed;

		run = run_at(lane, page, i, &is_changed);
		if (is_changed)
			TRY(lane_read_blocks(lane, page, i, run));
	}
	hash_page(key, page->hashes, page->block_count, page->hash);
	if (hash_equal(page->hash, before))
		return NULL;
	root_take_page(root, key, page->disk, page->number, before);
	root_add_page(root, key, page->disk, page->number, page->hash);
	return lane_send_differences(lane, page);
}

struct err *lane_do_changed(struct lane *lane, const struct work *works, size_t count)
{
	wire_hash *theirs = lane->theirs;

	for (size_t i = 0; i < count; i++) {
		struct message_query query = blocks_of(&works[i]);

		TRY(lane_ask(lane, &query));
	}
	/* All answers before the first content: a receiver that waits until it can send them reads none. */
	for (size_t i = 0; i < count; theirs += works[i++].block_count) {
		struct message_query query = blocks_of(&works[i]);

		TRY(lane_take_answer(lane, &query, theirs));
	}
	theirs = lane->theirs;
	for (size_t i = 0; i < count; i++)
		for (size_t done = 0; done < works[i].block_count; done += WIRE_PAGE_BLOCKS) {
			struct page *page = &lane->pages[0];

			if (lane->run->stopping)
				return err_failed("stopped");
			lane_set_page(lane, &works[i], done / WIRE_PAGE_BLOCKS, page);
			memcpy(page->theirs, theirs, page->block_count * sizeof *theirs);
			TRY(do_page(lane, page));
			theirs += page->block_count;
		}
	return NULL;
}
