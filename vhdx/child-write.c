/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Changing a differencing file.
 *
 * A sector becomes the file's own when its bit is set, or its block fully
 * present; both happen in memory only after the sector was written, and reach the
 * disk only after a flush (commit.c).  So a power cut finds the old content, the
 * parent's where there was none, or the new, never what lay in the file before.
 *
 * Before a block becomes partially present, its part of the sector bitmap is
 * durable and says that nothing is there: block and bitmap may then reach the
 * disk in any order.
 *
 * Writes are made of whole sectors: those covered in part are completed with what
 * they hold.
 */
#include <string.h>

#include "vhdx/child.h"

#define MAX_SECTOR_BYTES 4096u

static uint64_t sector_of(const struct vhdx *vhdx, uint64_t offset)
{
	return offset / vhdx->metadata.geometry.logical_sector_bytes;
}

/* Sectors of the whole block, also those behind the end of the disk. */
static uint64_t block_sectors(const struct vhdx *vhdx)
{
	return vhdx->metadata.geometry.block_bytes / vhdx->metadata.geometry.logical_sector_bytes;
}

/* Whether the bitmap is there, and need not be changed for the block to become partially present.  Another
 * thread may have made it so just now: then its bits say what that has written. */
static struct err *look_at_bitmap(struct vhdx *vhdx, uint64_t block, bool *ret_has_bitmap, bool *ret_is_ready)
{
	const struct vhdx_geometry *geometry = &vhdx->metadata.geometry;
	uint64_t first = sector_of(vhdx, block << geometry->block_shift), file_offset, count;
	struct vhdx_run run;
	bool present;

	TRY(vhdx_bat_get_bitmap(&vhdx->bat, vhdx->file, block >> geometry->chunk_shift, &file_offset));
	TRY(vhdx_bat_get(&vhdx->bat, vhdx->file, block, 1, &run));
	*ret_has_bitmap = file_offset;
	*ret_is_ready = run.state != VHDX_BLOCK_NOT_PRESENT;
	if (!file_offset || *ret_is_ready)
		return NULL;
	TRY(vhdx_bitmap_get(&vhdx->bitmap, vhdx->file, first, block_sectors(vhdx), &present, &count));
	*ret_is_ready = !present && count == block_sectors(vhdx);
	return NULL;
}

static struct err *is_prepared(struct vhdx *vhdx, uint64_t block, bool *ret_is_prepared)
{
	bool has_bitmap;
	LOCKED(&vhdx->map_lock);

	*ret_is_prepared = false;
	if (vhdx->bitmap.preparing == 1 + (block >> vhdx->metadata.geometry.chunk_shift))
		return NULL;
	return look_at_bitmap(vhdx, block, &has_bitmap, ret_is_prepared);
}

/* Makes the bitmap ready in memory; *ret_changed: it must become durable. */
static struct err *prepare_in_memory(struct vhdx *vhdx, uint64_t block, bool *ret_changed)
{
	const struct vhdx_geometry *geometry = &vhdx->metadata.geometry;
	uint64_t first = sector_of(vhdx, block << geometry->block_shift), offset;
	uint64_t chunk = block >> geometry->chunk_shift;
	bool has_bitmap, is_ready;
	LOCKED(&vhdx->map_lock);

	TRY(look_at_bitmap(vhdx, block, &has_bitmap, &is_ready));
	*ret_changed = !is_ready;
	if (is_ready)
		return NULL;
	if (has_bitmap) {
		TRY(vhdx_bitmap_set(&vhdx->bitmap, vhdx->file, first, block_sectors(vhdx), false));
	} else {
		TRY(vhdx_take_space(vhdx, VHDX_BITMAP_BLOCK_BYTES, &offset));
		vhdx_bat_set_bitmap(&vhdx->bat, chunk, offset);
	}
	vhdx->bitmap.preparing = 1 + chunk;
	return NULL;
}

/* Once for each chunk, and for each block of which an old bitmap is left. */
static struct err *prepare(struct vhdx *vhdx, uint64_t block)
{
	bool is_ready, changed;

	TRY(is_prepared(vhdx, block, &is_ready));
	if (is_ready)
		return NULL;
	LOCKED(&vhdx->commit.lock);
	TRY(prepare_in_memory(vhdx, block, &changed));
	if (!changed)
		return NULL;
	TRY(vhdx_commit_locked(vhdx));
	pthread_mutex_lock(&vhdx->map_lock);
	vhdx->bitmap.preparing = 0;
	pthread_mutex_unlock(&vhdx->map_lock);
	return NULL;
}

/* The block is the caller's part of it at most, so that another may have been here first. */
static struct err *make_partial(struct vhdx *vhdx, uint64_t block, struct vhdx_run *ret_run)
{
	TRY(prepare(vhdx, block));
	LOCKED(&vhdx->map_lock);

	TRY(vhdx_bat_get(&vhdx->bat, vhdx->file, block, 1, ret_run));
	if (ret_run->state != VHDX_BLOCK_NOT_PRESENT)
		return NULL;
	TRY(vhdx_take_space(vhdx, vhdx->metadata.geometry.block_bytes, &ret_run->file_offset));
	ret_run->state = VHDX_BLOCK_PARTIALLY_PRESENT;
	vhdx_bat_set(&vhdx->bat, block, ret_run->state, ret_run->file_offset);
	return NULL;
}

/* Space for a block all of which is about to be written; no entry leads there yet. */
static struct err *take_block(struct vhdx *vhdx, uint64_t *ret_offset)
{
	LOCKED(&vhdx->map_lock);

	return vhdx_take_space(vhdx, vhdx->metadata.geometry.block_bytes, ret_offset);
}

static struct err *give_block(struct vhdx *vhdx, uint64_t offset)
{
	LOCKED(&vhdx->map_lock);

	return vhdx_space_give(&vhdx->space, offset);
}

static void set_fully_present(struct vhdx *vhdx, uint64_t block, uint64_t file_offset)
{
	LOCKED(&vhdx->map_lock);

	vhdx_bat_set(&vhdx->bat, block, VHDX_BLOCK_FULLY_PRESENT, file_offset);
}

/* Whole sectors of a partially present block are written. */
static struct err *set_present(struct vhdx *vhdx, uint64_t block, uint64_t len_bytes, uint64_t offset)
{
	const struct vhdx_geometry *geometry = &vhdx->metadata.geometry;
	uint64_t used = sector_of(vhdx, vhdx_geometry_used_bytes(geometry, block)), count;
	uint64_t first = sector_of(vhdx, block << geometry->block_shift);
	struct vhdx_run run;
	bool present;
	LOCKED(&vhdx->map_lock);

	TRY(vhdx_bitmap_set(&vhdx->bitmap, vhdx->file, sector_of(vhdx, offset), sector_of(vhdx, len_bytes),
			    true));
	TRY(vhdx_bitmap_get(&vhdx->bitmap, vhdx->file, first, used, &present, &count));
	if (!present || count < used)
		return NULL;
	/* All of it is there: from now on the bitmap need not be asked. */
	TRY(vhdx_bat_get(&vhdx->bat, vhdx->file, block, 1, &run));
	vhdx_bat_set(&vhdx->bat, block, VHDX_BLOCK_FULLY_PRESENT, run.file_offset);
	return NULL;
}

struct err *vhdx_child_claim(struct vhdx *vhdx, uint64_t len_bytes, uint64_t offset)
{
	uint64_t block = offset >> vhdx->metadata.geometry.block_shift;
	struct vhdx_run run;

	TRY(vhdx_lookup(vhdx, block, 1, &run));
	if (run.state == VHDX_BLOCK_NOT_PRESENT)
		TRY(make_partial(vhdx, block, &run));
	/* In any other state the parent is not asked. */
	if (run.state != VHDX_BLOCK_PARTIALLY_PRESENT)
		return NULL;
	LOCKED(&vhdx->map_lock);

	return vhdx_bitmap_set(&vhdx->bitmap, vhdx->file, sector_of(vhdx, offset), sector_of(vhdx, len_bytes),
			       true);
}

/* What is written: bytes, or zeros where there are none. */
struct content {
	const uint8_t *bytes;
	unsigned zero_flags; /* of blk_zero() */
};

static struct err *put(struct vhdx *vhdx, struct content content, uint64_t len_bytes, uint64_t file_offset)
{
	return content.bytes ? blk_pwrite(vhdx->file, content.bytes, len_bytes, file_offset, 0)
			     : blk_zero(vhdx->file, len_bytes, file_offset, content.zero_flags);
}

static struct err *write_whole_block(struct vhdx *vhdx, struct content content, uint64_t len_bytes,
				     uint64_t block, uint64_t file_offset)
{
	bool is_new = !file_offset;
	struct err *err;

	if (is_new)
		TRY(take_block(vhdx, &file_offset));
	err = put(vhdx, content, len_bytes, file_offset);
	if (!err)
		set_fully_present(vhdx, block, file_offset);
	else if (is_new)
		err = err_first(err, give_block(vhdx, file_offset));
	return err;
}

/* Whole sectors of one block. */
static struct err *write_sectors(struct vhdx *vhdx, struct content content, uint64_t len_bytes,
				 uint64_t offset)
{
	const struct vhdx_geometry *geometry = &vhdx->metadata.geometry;
	uint64_t block = offset >> geometry->block_shift;
	uint64_t skip = offset - (block << geometry->block_shift);
	struct vhdx_run run;

	TRY(vhdx_lookup(vhdx, block, 1, &run));
	if (run.state == VHDX_BLOCK_NOT_PRESENT || run.state == VHDX_BLOCK_PARTIALLY_PRESENT) {
		if (len_bytes == vhdx_geometry_used_bytes(geometry, block))
			return write_whole_block(vhdx, content, len_bytes, block, run.file_offset);
		if (run.state == VHDX_BLOCK_NOT_PRESENT)
			TRY(make_partial(vhdx, block, &run));
	}
	/* Else the block reads as zeros, as its new space does. */
	if (!run.file_offset)
		TRY(vhdx_lookup_or_allocate(vhdx, block, 1, &run));
	TRY(put(vhdx, content, len_bytes, run.file_offset + skip));
	if (run.state != VHDX_BLOCK_PARTIALLY_PRESENT)
		return NULL;
	return set_present(vhdx, block, len_bytes, offset);
}

/* A part of one sector. */
static struct err *write_in_sector(struct vhdx *vhdx, struct content content, uint64_t len_bytes,
				   uint64_t offset)
{
	uint32_t sector_bytes = vhdx->metadata.geometry.logical_sector_bytes;
	uint64_t skip = offset % sector_bytes;
	uint8_t sector[MAX_SECTOR_BYTES];

	TRY(vhdx_read_range(vhdx, sector, sector_bytes, offset - skip));
	if (content.bytes)
		memcpy(sector + skip, content.bytes, len_bytes);
	else
		memset(sector + skip, 0, len_bytes);
	return write_sectors(vhdx, (struct content){.bytes = sector}, sector_bytes, offset - skip);
}

/* The start of a range that can be written at once: a part of a sector, or sectors of one block. */
static uint64_t first_part(const struct vhdx *vhdx, uint64_t len_bytes, uint64_t offset)
{
	const struct vhdx_geometry *geometry = &vhdx->metadata.geometry;
	uint64_t in_sector = offset % geometry->logical_sector_bytes;
	uint64_t in_block = geometry->block_bytes - offset % geometry->block_bytes;

	if (in_sector || len_bytes < geometry->logical_sector_bytes) {
		in_sector = geometry->logical_sector_bytes - in_sector;
		return in_sector < len_bytes ? in_sector : len_bytes;
	}
	return in_block < len_bytes
		       ? in_block
		       : len_bytes / geometry->logical_sector_bytes * geometry->logical_sector_bytes;
}

/* Many changes to the bitmap are written out, so that they do not fill the memory. */
static struct err *bound_memory(struct vhdx *vhdx)
{
	bool is_much;

	pthread_mutex_lock(&vhdx->map_lock);
	is_much = vhdx->bitmap.dirty_count > VHDX_BITMAP_MANY_DIRTY;
	pthread_mutex_unlock(&vhdx->map_lock);
	return is_much ? vhdx_op_flush(&vhdx->blk) : NULL;
}

struct err *vhdx_child_write(struct vhdx *vhdx, const uint8_t *buf, uint64_t len_bytes, uint64_t offset,
			     unsigned zero_flags)
{
	struct content content = {buf, zero_flags};

	while (len_bytes) {
		uint64_t bytes = first_part(vhdx, len_bytes, offset);

		TRY(bytes % vhdx->metadata.geometry.logical_sector_bytes
			    ? write_in_sector(vhdx, content, bytes, offset)
			    : write_sectors(vhdx, content, bytes, offset));
		TRY(bound_memory(vhdx));
		if (content.bytes)
			content.bytes += bytes;
		offset += bytes;
		len_bytes -= bytes;
	}
	return NULL;
}

static struct err *see_data(void *arg, uint64_t offset, uint64_t len_bytes, unsigned extent_flags)
{
	bool *is_zero = arg;

	(void)offset;
	(void)len_bytes;
	*is_zero &= !!(extent_flags & BLK_EXTENT_ZERO);
	return NULL;
}

/* The whole of what is used of a block. */
static struct err *zero_block(struct vhdx *vhdx, uint64_t block, const struct vhdx_run *run,
			      struct vhdx_zeroing how)
{
	uint64_t bytes = vhdx_geometry_used_bytes(&vhdx->metadata.geometry, block);

	if (run->file_offset && how.keep_space)
		return write_whole_block(vhdx, (struct content){.zero_flags = how.file_flags}, bytes, block,
					 run->file_offset);
	/* What is not present would be the parent's. */
	if (run->file_offset || run->state == VHDX_BLOCK_NOT_PRESENT ||
	    (run->state != VHDX_BLOCK_ZERO && how.state == VHDX_BLOCK_ZERO))
		return vhdx_release_blocks(vhdx, block, run, 1, how.state);
	return NULL;
}

struct err *vhdx_child_zero(struct vhdx *vhdx, uint64_t len_bytes, uint64_t offset, struct vhdx_zeroing how)
{
	const struct vhdx_geometry *geometry = &vhdx->metadata.geometry;
	uint64_t block = offset >> geometry->block_shift;
	bool reads_zero = true;
	struct vhdx_run run;

	TRY(vhdx_lookup(vhdx, block, 1, &run));
	if (len_bytes == vhdx_geometry_used_bytes(geometry, block))
		return zero_block(vhdx, block, &run, how);
	if (!run.file_offset && run.state != VHDX_BLOCK_NOT_PRESENT)
		return NULL;
	if (run.state == VHDX_BLOCK_NOT_PRESENT) {
		TRY(vhdx_parent_extents(vhdx, len_bytes, offset, see_data, &reads_zero));
		if (reads_zero)
			return NULL;
	}
	return vhdx_child_write(vhdx, NULL, len_bytes, offset, how.file_flags);
}
