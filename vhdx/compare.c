// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Comparing: pieces begin in ascending order, and once a difference is known,
 * pieces behind it are skipped while those before it are still finished, so what
 * is found is the first one.
 */
#include "vhdx/compare.h"

#include <pthread.h>
#include <string.h>

#include "vhdx/pieces.h"

#define PIECE_BYTES (1u << 20)
#define MIN_RUN_BYTES (64u << 10)

struct comparison {
	struct blk *a;
	struct blk *b;
	struct progress *progress;
	pthread_mutex_t lock; /* of what follows */
	struct image_difference first;
};

/* True if nothing from offset on can be the first difference. */
static bool is_decided(struct comparison *c, uint64_t offset)
{
	LOCKED(&c->lock);

	return c->first.found && c->first.offset <= offset;
}

static void keep_difference(struct comparison *c, uint64_t offset)
{
	LOCKED(&c->lock);

	if (!c->first.found || offset < c->first.offset)
		c->first = (struct image_difference){.found = true, .offset = offset};
}

/* Reads as if the device were continued by zeros. */
static struct err *read_continued(struct blk *blk, uint8_t *buf, size_t len_bytes, uint64_t offset)
{
	size_t there = 0;

	if (offset < blk->size_bytes)
		there = blk->size_bytes - offset < len_bytes ? blk->size_bytes - offset : len_bytes;
	memset(buf + there, 0, len_bytes - there);
	return there ? blk_pread(blk, buf, there, offset) : NULL;
}

static struct err *compare_piece(void *arg, void *buffer, uint64_t offset, size_t len_bytes)
{
	struct comparison *c = arg;
	uint8_t *buf_a = buffer, *buf_b = buf_a + PIECE_BYTES;

	if (!is_decided(c, offset)) {
		TRY(read_continued(c->a, buf_a, len_bytes, offset));
		TRY(read_continued(c->b, buf_b, len_bytes, offset));
		if (memcmp(buf_a, buf_b, len_bytes)) {
			size_t i = 0;

			while (buf_a[i] == buf_b[i])
				i++;
			keep_difference(c, offset + i);
		}
	}
	progress_add(c->progress, len_bytes);
	return NULL;
}

/* ret_set, empty before, becomes what is in either. */
static void unite(const struct extents *a, const struct extents *b, struct extents *ret_set)
{
	size_t i = 0, j = 0;

	while (i < a->count || j < b->count) {
		bool from_a = j == b->count || (i < a->count && a->ranges[i].start < b->ranges[j].start);
		const struct extent *next = from_a ? &a->ranges[i++] : &b->ranges[j++];

		extents_add(ret_set, next->start, next->end);
	}
}

/* What must be read: data in either, with short gaps closed. */
static struct err *find_data(struct blk *a, struct blk *b, uint64_t size_bytes, struct extents *ret_set)
{
	CLEANUP_EXTENTS struct extents in_a = {0}, in_b = {0};

	TRY(blk_data_extents(a, a->size_bytes, 0, &in_a));
	TRY(blk_data_extents(b, b->size_bytes, 0, &in_b));
	unite(&in_a, &in_b, ret_set);
	extents_align(ret_set, MIN_RUN_BYTES);
	extents_remove(ret_set, size_bytes, UINT64_MAX);
	return NULL;
}

struct err *image_compare(struct blk *a, struct blk *b, const struct image_compare_options *options,
			  struct image_difference *ret_difference)
{
	static const struct image_compare_options none;
	uint64_t size_bytes = a->size_bytes > b->size_bytes ? a->size_bytes : b->size_bytes;
	struct comparison c = {.a = a, .b = b};
	CLEANUP_EXTENTS struct extents set = {0};
	struct piece_job job = {.set = &set,
				.piece_bytes = PIECE_BYTES,
				.buffer_bytes = 2 * PIECE_BYTES,
				.run = compare_piece,
				.arg = &c};
	struct err *err;

	if (!options)
		options = &none;
	TRY(find_data(a, b, size_bytes, &set));
	progress_add(options->progress, size_bytes - extents_total_bytes(&set));
	c.progress = options->progress;
	job.threads = options->threads;
	pthread_mutex_init(&c.lock, NULL);
	err = pieces_run(&job);
	pthread_mutex_destroy(&c.lock);
	if (err)
		return err;
	*ret_difference = c.first;
	return NULL;
}
