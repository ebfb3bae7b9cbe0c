/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The disks as stretches of whole pages that are data or zeros, in order; pieces
 * are cut off the front as lanes ask for them.
 */
#include <stdlib.h>

#include "p2v/base/mem.h"
#include "p2v/sync/sender-impl.h"

struct work_list {
	pthread_mutex_t lock;
	uint32_t block_bytes;
	struct work *stretches;
	size_t count, capacity, next;
	uint64_t read_bytes;
	uint64_t left_blocks; /* data that nobody has taken yet */
};

/* Where one disk is being cut up. */
struct cutter {
	struct work_list *list;
	uint32_t disk;
	bool skips_zeros;
	bool is_changed;
	uint64_t size_bytes, page_bytes, block_count;
	uint64_t done_pages;
};

static struct cutter make_cutter(struct work_list *list, uint32_t disk, uint64_t size_bytes)
{
	return (struct cutter){
		.list = list,
		.disk = disk,
		.size_bytes = size_bytes,
		.page_bytes = (uint64_t)list->block_bytes * WIRE_PAGE_BLOCKS,
		.block_count = (size_bytes + list->block_bytes - 1) / list->block_bytes,
	};
}

/* The last block may be short. */
static uint64_t blocks_bytes(const struct cutter *cutter, uint64_t first_block, uint64_t end_block)
{
	uint32_t block_bytes = cutter->list->block_bytes;
	uint64_t start = first_block * block_bytes, end = end_block * block_bytes;

	return (end < cutter->size_bytes ? end : cutter->size_bytes) - start;
}

static void add_stretch(struct cutter *cutter, uint64_t end_page, bool is_zero)
{
	struct work_list *list = cutter->list;
	uint64_t first = cutter->done_pages * WIRE_PAGE_BLOCKS, end = end_page * WIRE_PAGE_BLOCKS;

	if (end > cutter->block_count)
		end = cutter->block_count;
	if (end_page <= cutter->done_pages || first >= end)
		return;
	cutter->done_pages = end_page;
	if (is_zero && cutter->skips_zeros)
		return;
	if (!is_zero) {
		list->read_bytes += blocks_bytes(cutter, first, end);
		list->left_blocks += end - first;
	}
	if (list->count && !is_zero) {
		struct work *last = &list->stretches[list->count - 1];

		if (last->disk == cutter->disk && !last->is_zero && last->is_changed == cutter->is_changed &&
		    last->first_block + last->block_count == first) {
			last->block_count += end - first;
			return;
		}
	}
	array_grow(list->stretches, list->count, list->capacity);
	list->stretches[list->count++] =
		(struct work){cutter->disk, is_zero, cutter->is_changed, first, end - first};
}

static struct err *cut(void *arg, uint64_t offset, uint64_t len_bytes, unsigned extent_flags)
{
	struct cutter *cutter = arg;
	uint64_t end = offset + len_bytes;

	if (extent_flags & BLK_EXTENT_ZERO)
		return NULL;
	add_stretch(cutter, offset / cutter->page_bytes, true);
	add_stretch(cutter, (end + cutter->page_bytes - 1) / cutter->page_bytes, false);
	return NULL;
}

struct work_list *work_list_create(uint32_t block_bytes)
{
	struct work_list *list = xcalloc(1, sizeof *list);

	pthread_mutex_init(&list->lock, NULL);
	list->block_bytes = block_bytes;
	return list;
}

/* To the end of the disk. */
static void end_disk(struct cutter *cutter)
{
	add_stretch(cutter, (cutter->block_count + WIRE_PAGE_BLOCKS - 1) / WIRE_PAGE_BLOCKS, true);
}

struct err *work_list_add_disk(struct work_list *list, uint32_t disk, struct blk *blk, unsigned disk_flags)
{
	struct cutter cutter = make_cutter(list, disk, blk->size_bytes);

	cutter.skips_zeros = disk_flags & WIRE_DISK_FRESH;
	TRY(blk_extents(blk, blk->size_bytes, 0, cut, &cutter));
	end_disk(&cutter);
	return NULL;
}

static void cut_all(struct cutter *cutter, const struct extents *set)
{
	for (size_t i = 0; i < set->count && set->ranges[i].start < cutter->size_bytes; i++)
		err_free(cut(cutter, set->ranges[i].start, set->ranges[i].end - set->ranges[i].start, 0));
	end_disk(cutter);
}

void work_list_add_used(struct work_list *list, uint32_t disk, uint64_t size_bytes,
			const struct extents *used, unsigned disk_flags)
{
	struct cutter cutter = make_cutter(list, disk, size_bytes);

	cutter.skips_zeros = disk_flags & WIRE_DISK_FRESH;
	cut_all(&cutter, used);
}

void work_list_add_changed(struct work_list *list, uint32_t disk, uint64_t size_bytes,
			   const struct extents *changed)
{
	struct cutter cutter = make_cutter(list, disk, size_bytes);

	cutter.skips_zeros = true;
	cutter.is_changed = true;
	cut_all(&cutter, changed);
}

void work_list_destroy(struct work_list *list)
{
	if (!list)
		return;
	pthread_mutex_destroy(&list->lock);
	free(list->stretches);
	free(list);
}

uint64_t work_list_read_bytes(const struct work_list *list)
{
	return list->read_bytes;
}

/* Smaller pieces as the work runs out, so that the lanes end together. */
static uint64_t piece_blocks(const struct work_list *list, unsigned lanes)
{
	uint64_t pages = list->left_blocks / WIRE_PAGE_BLOCKS / (2 * lanes);

	if (pages < WORK_MIN_PAGES)
		pages = WORK_MIN_PAGES;
	if (pages > WORK_MAX_PAGES)
		pages = WORK_MAX_PAGES;
	return pages * WIRE_PAGE_BLOCKS;
}

/* With the lock held. */
static void take_one(struct work_list *list, unsigned lanes, struct work *ret_work)
{
	uint64_t most = piece_blocks(list, lanes);
	struct work *stretch;

	stretch = &list->stretches[list->next];
	*ret_work = *stretch;
	if (stretch->is_zero || stretch->block_count <= most) {
		list->next++;
	} else {
		ret_work->block_count = most;
		stretch->first_block += most;
		stretch->block_count -= most;
	}
	if (!ret_work->is_zero)
		list->left_blocks -= ret_work->block_count;
}

size_t work_list_take(struct work_list *list, unsigned lanes, struct work ret_works[WORK_MAX_TAKEN])
{
	uint64_t blocks = 0;
	size_t count = 0, fair;
	LOCKED(&list->lock);

	fair = (list->count - list->next) / (2 * lanes) + 1;
	while (list->next < list->count && count < fair && count < WORK_MAX_TAKEN &&
	       blocks < WORK_MAX_PAGES * WIRE_PAGE_BLOCKS) {
		/* Only changes are small enough for several. */
		if (count && !list->stretches[list->next].is_changed)
			break;
		take_one(list, lanes, &ret_works[count]);
		blocks += ret_works[count].block_count;
		if (!ret_works[count++].is_changed)
			break;
	}
	return count;
}

static struct err *count_data(void *arg, uint64_t offset, uint64_t len_bytes, unsigned extent_flags)
{
	(void)offset;
	if (!(extent_flags & BLK_EXTENT_ZERO))
		*(uint64_t *)arg += len_bytes;
	return NULL;
}

struct err *work_count_data(struct blk *blk, uint64_t *ret_bytes)
{
	uint64_t bytes = 0;

	TRY(blk_extents(blk, blk->size_bytes, 0, count_data, &bytes));
	*ret_bytes = bytes;
	return NULL;
}
