/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Emptying a child whose content its parent has: first no block is used any
 * longer, then no sector bitmap, each durably, then the file is cut off behind
 * what is left.  A log that knows the longer file must be gone before that.
 */
#include <string.h>

#include "vhdx/merge.h"

#define RUN_BLOCKS 65536u

static struct err *forget_blocks(struct vhdx *child)
{
	const struct vhdx_geometry *geometry = &child->metadata.geometry;
	struct vhdx_run run;

	for (uint64_t block = 0; block < geometry->block_count; block += run.count) {
		LOCKED(&child->map_lock);

		TRY(vhdx_bat_get(&child->bat, child->file, block, RUN_BLOCKS, &run));
		if (run.state == VHDX_BLOCK_NOT_PRESENT)
			continue;
		for (uint64_t i = 0; i < run.count; i++)
			vhdx_bat_set(&child->bat, block + i, VHDX_BLOCK_NOT_PRESENT, 0);
	}
	return NULL;
}

static struct err *forget_bitmaps(struct vhdx *child)
{
	const struct vhdx_geometry *geometry = &child->metadata.geometry;
	uint64_t last = (geometry->block_count - 1) >> geometry->chunk_shift, offset;
	LOCKED(&child->map_lock);

	vhdx_bitmap_forget(&child->bitmap);
	for (uint64_t chunk = 0; chunk <= last; chunk++) {
		TRY(vhdx_bat_get_bitmap(&child->bat, child->file, chunk, &offset));
		if (offset)
			vhdx_bat_set_bitmap(&child->bat, chunk, 0);
	}
	return NULL;
}

/* Behind all that is no block. */
static uint64_t least_end(const struct vhdx *child)
{
	const struct vhdx_header *header = &child->headers.current;
	uint64_t end = header->log_offset + header->log_length;

	for (size_t i = 0; i < child->regions.count; i++) {
		const struct vhdx_region *region = &child->regions.items[i];

		/* An unknown region may lie anywhere. */
		if (region->file_offset <= child->file->size_bytes &&
		    region->length_bytes <= child->file->size_bytes - region->file_offset &&
		    region->file_offset + region->length_bytes > end)
			end = region->file_offset + region->length_bytes;
	}
	return end < VHDX_MIB ? VHDX_MIB : end;
}

static struct err *cut_off(struct vhdx *child)
{
	uint64_t end = least_end(child), preallocate_bytes = child->space.preallocate_bytes;
	LOCKED(&child->map_lock);

	vhdx_space_deinit(&child->space);
	child->space.preallocate_bytes = preallocate_bytes;
	if (end < child->file->size_bytes)
		TRY(blk_resize(child->file, end));
	child->space.end = child->file->size_bytes;
	return NULL;
}

struct err *vhdx_empty_child(struct vhdx *child)
{
	bool had_begun = atomic_load(&child->commit.begun);

	TRY(vhdx_begin_changes_as(child, &child->headers.current.data_write_guid));
	LOCKED(&child->commit.lock);

	TRY(forget_blocks(child));
	TRY(vhdx_commit_locked(child));
	TRY(forget_bitmaps(child));
	TRY(vhdx_commit_locked(child));
	TRY(vhdx_end_hidden_changes(child, had_begun));
	TRY(cut_off(child));
	return blk_flush(child->file);
}
