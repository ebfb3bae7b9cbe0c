/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Making the map durable, and changes of other structures atomic.
 *
 * A flush takes a copy of the pages of BAT and sector bitmaps that changed, then
 *	1. flushes the file: all data written so far, and its length, are durable;
 *	2. writes the pages to the log as one durable entry, which alone is waited for;
 *	3. writes them in place, which the next flush makes durable.
 * A file under construction skips the log: pages are written in place and
 * flushed.  Its readers are we alone, and an entry, 8 aligned bytes, is either old
 * or new after a power cut, both of which are true.
 *
 * Flushes that come while one is under way are all served by the next one, which
 * begins after them.
 *
 * Space given up is released after the pages that say so are durable.
 */
#include <string.h>

#include "vhdx/device.h"

#define IN_PLACE_PAGES 4096u /* 16 MiB: the map of 4 TiB in blocks of 2 MiB */

struct batch {
	uint64_t *pages; /* numbers, ascending */
	uint64_t *offsets; /* in the file */
	uint8_t *data;
	size_t count, capacity;
	uint64_t file_bytes; /* length of the file: all that the pages mention lies within */
};

static void batch_deinit(struct batch *batch)
{
	free(batch->pages);
	free(batch->offsets);
	free(batch->data);
}

static struct err *batch_init(struct batch *batch, size_t capacity)
{
	batch->capacity = capacity;
	batch->pages = calloc(capacity, sizeof *batch->pages);
	batch->offsets = calloc(capacity, sizeof *batch->offsets);
	batch->data = malloc(capacity * VHDX_MAP_PAGE_BYTES);
	return batch->pages && batch->offsets && batch->data ? NULL : err_nomem();
}

/* Copies dirty pages from *next on; they count as clean then. */
static void batch_fill(struct vhdx *vhdx, struct batch *batch, uint64_t *next)
{
	LOCKED(&vhdx->map_lock);

	batch->count = 0;
	batch->file_bytes = vhdx->file->size_bytes;
	while (batch->count < batch->capacity) {
		uint64_t page = vhdx_map_next_dirty(vhdx, *next);

		*next = page;
		if (page == vhdx_map_page_count(vhdx))
			return;
		memcpy(batch->data + batch->count * VHDX_MAP_PAGE_BYTES, vhdx_map_page_data(vhdx, page),
		       VHDX_MAP_PAGE_BYTES);
		batch->offsets[batch->count] = vhdx_map_page_offset(vhdx, page);
		batch->pages[batch->count++] = page;
		vhdx_map_set_dirty(vhdx, page, false);
		*next = page + 1;
	}
}

/* What could not be written is dirty again. */
static void batch_undo(struct vhdx *vhdx, const struct batch *batch)
{
	LOCKED(&vhdx->map_lock);

	for (size_t i = 0; i < batch->count; i++)
		vhdx_map_set_dirty(vhdx, batch->pages[i], true);
}

/* Pages that follow one another are one write. */
static struct err *write_in_place(struct vhdx *vhdx, const struct batch *batch)
{
	for (size_t i = 0, count; i < batch->count; i += count) {
		for (count = 1; i + count < batch->count; count++)
			if (batch->offsets[i + count] != batch->offsets[i] + count * VHDX_MAP_PAGE_BYTES)
				break;
		TRY(blk_pwrite(vhdx->file, batch->data + i * VHDX_MAP_PAGE_BYTES, count * VHDX_MAP_PAGE_BYTES,
			       batch->offsets[i], 0));
	}
	return NULL;
}

static struct err *write_log(struct vhdx *vhdx, const struct batch *batch)
{
	struct vhdx_log_page pages[VHDX_LOG_MAX_PAGES];

	for (size_t i = 0; i < batch->count; i++)
		pages[i] = (struct vhdx_log_page){batch->offsets[i], batch->data + i * VHDX_MAP_PAGE_BYTES};
	return vhdx_log_append(vhdx->file, &vhdx->commit.log, &vhdx->headers, batch->file_bytes, pages,
			       batch->count);
}

/* Steps 1 to 3 of the opening comment for one batch. */
static struct err *write_batch(struct vhdx *vhdx, const struct batch *batch)
{
	TRY(blk_flush(vhdx->file));
	if (!vhdx->metadata.is_incomplete)
		TRY(write_log(vhdx, batch));
	TRY(write_in_place(vhdx, batch));
	return vhdx->metadata.is_incomplete ? blk_flush(vhdx->file) : NULL;
}

static struct err *write_batches(struct vhdx *vhdx, uint64_t dirty_count)
{
	__attribute__((cleanup(batch_deinit))) struct batch batch = {0};
	size_t capacity = vhdx->metadata.is_incomplete ? IN_PLACE_PAGES : VHDX_LOG_MAX_PAGES;
	uint64_t next = 0;

	TRY(batch_init(&batch, dirty_count < capacity ? dirty_count : capacity));
	for (batch_fill(vhdx, &batch, &next); batch.count; batch_fill(vhdx, &batch, &next)) {
		struct err *err = write_batch(vhdx, &batch);

		if (err) {
			batch_undo(vhdx, &batch);
			return err;
		}
	}
	pthread_mutex_lock(&vhdx->map_lock);
	vhdx_bitmap_settle(&vhdx->bitmap);
	pthread_mutex_unlock(&vhdx->map_lock);
	return NULL;
}

/* Clean pages may still be on their way to the file, or not any more. */
static uint64_t set_in_flight(struct vhdx *vhdx, bool in_flight)
{
	LOCKED(&vhdx->map_lock);

	vhdx->commit.pages_in_flight = in_flight;
	return vhdx_map_dirty_count(vhdx);
}

static struct err *write_dirty_pages(struct vhdx *vhdx)
{
	uint64_t dirty_count = set_in_flight(vhdx, true);
	struct err *err = dirty_count ? write_batches(vhdx, dirty_count) : blk_flush(vhdx->file);

	set_in_flight(vhdx, false);
	return err;
}

bool vhdx_is_map_durable(struct vhdx *vhdx, uint64_t len_bytes, uint64_t offset)
{
	const struct vhdx_geometry *geometry = &vhdx->metadata.geometry;
	uint64_t last = (offset + len_bytes - 1) >> geometry->block_shift;
	LOCKED(&vhdx->map_lock);

	if (vhdx->commit.pages_in_flight || geometry->has_parent)
		return false;
	for (uint64_t block = offset >> geometry->block_shift; block <= last; block++)
		if (!vhdx_bat_is_settled(&vhdx->bat, block))
			return false;
	return true;
}

/* Gives the file system its space back; then blocks may be put there. */
static struct err *release_space(struct vhdx *vhdx, struct vhdx_offsets *given)
{
	struct err *err = NULL;

	for (size_t i = 0; i < given->count && !err; i++)
		err = blk_discard(vhdx->file, vhdx->metadata.geometry.block_bytes, given->items[i]);
	pthread_mutex_lock(&vhdx->map_lock);
	err = err_first(err, vhdx_offsets_move(&vhdx->space.zeroed, given));
	pthread_mutex_unlock(&vhdx->map_lock);
	return err;
}

struct err *vhdx_commit_locked(struct vhdx *vhdx)
{
	struct vhdx_offsets given;
	struct err *err;

	atomic_fetch_add(&vhdx->commit.count, 1);
	if (vhdx->commit.failed)
		return err_failed("%s: writing it out has failed before; what was written since is in doubt",
				  vhdx->blk.name);
	pthread_mutex_lock(&vhdx->map_lock);
	given = vhdx->space.pending;
	vhdx->space.pending = (struct vhdx_offsets){0};
	pthread_mutex_unlock(&vhdx->map_lock);
	err = write_dirty_pages(vhdx);
	if (err) {
		/* After a failed flush nobody can tell what reached the disk: the kernel may have
		 * dropped it and report success next time. */
		vhdx->commit.failed = true;
		pthread_mutex_lock(&vhdx->map_lock);
		err = err_first(err, vhdx_offsets_move(&vhdx->space.pending, &given));
		pthread_mutex_unlock(&vhdx->map_lock);
	} else {
		err = release_space(vhdx, &given);
	}
	free(given.items);
	return err;
}

struct err *vhdx_op_flush(struct blk *blk)
{
	struct vhdx *vhdx = vhdx_of(blk);
	uint64_t begun_before = atomic_load(&vhdx->commit.count);
	LOCKED(&vhdx->commit.lock);

	/* Another's commit, begun after we came and ended before we had the lock, covers us. */
	if (atomic_load(&vhdx->commit.count) > begun_before && !vhdx->commit.failed)
		return NULL;
	return vhdx_commit_locked(vhdx);
}

struct err *vhdx_commit_changes(struct vhdx *vhdx, const struct vhdx_change *changes, size_t count)
{
	struct vhdx_log_page pages[VHDX_LOG_MAX_PAGES];
	uint64_t file_bytes = vhdx->file->size_bytes;
	size_t page_count = 0;

	for (size_t i = 0; i < count; i++) {
		const struct vhdx_change *change = &changes[i];

		for (size_t at = 0; at < change->bytes; at += VHDX_LOG_SECTOR_BYTES) {
			if (!memcmp(change->old + at, change->new + at, VHDX_LOG_SECTOR_BYTES))
				continue;
			if (page_count == VHDX_LOG_MAX_PAGES)
				return err_failed("%s: the log has no room for so large a change",
						  vhdx->blk.name);
			pages[page_count++] =
				(struct vhdx_log_page){change->file_offset + at, change->new + at};
		}
	}
	if (!page_count)
		return NULL;
	/* What earlier entries wrote in place must not need them any more. */
	TRY(blk_flush(vhdx->file));
	TRY(vhdx_log_append(vhdx->file, &vhdx->commit.log, &vhdx->headers, file_bytes, pages, page_count));
	for (size_t i = 0; i < page_count; i++)
		TRY(blk_pwrite(vhdx->file, pages[i].data, VHDX_LOG_SECTOR_BYTES, pages[i].file_offset, 0));
	return NULL;
}
