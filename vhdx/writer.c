/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Changing the content.
 *
 * A write to a block that is in the file goes straight there.  For another block
 * space is taken first and the map is changed in memory; both reach the disk in
 * commit.c, and in such an order that a BAT entry never gets there before its
 * block.  New space reads as zeros, so that the rest of the block needs no work.
 */
#include "vhdx/device.h"

#define RUN_BLOCKS 4096u

/* Gives blocks [block, block + *count) a place; *count may become less. */
static struct err *allocate(struct vhdx *vhdx, uint64_t block, uint64_t *count, uint64_t *ret_offset)
{
	const struct vhdx_geometry *geometry = &vhdx->metadata.geometry;
	uint64_t offset;

	if (!vhdx->space.gaps_known)
		TRY(vhdx_space_find_gaps(&vhdx->space, &vhdx->bat, vhdx->file));
	TRY(vhdx_space_take(&vhdx->space, vhdx->file, geometry->block_bytes, count, &offset));
	for (uint64_t i = 0; i < *count; i++)
		vhdx_bat_set(&vhdx->bat, block + i, VHDX_BLOCK_FULLY_PRESENT,
			     offset + (i << geometry->block_shift));
	*ret_offset = offset;
	return NULL;
}

/* A run of blocks with space for each, at most max_count. */
static struct err *lookup_or_allocate(struct vhdx *vhdx, uint64_t block, uint64_t max_count,
				      struct vhdx_run *ret_run)
{
	LOCKED(&vhdx->map_lock);

	TRY(vhdx_bat_get(&vhdx->bat, vhdx->file, block, max_count, ret_run));
	if (ret_run->file_offset)
		return NULL;
	return allocate(vhdx, block, &ret_run->count, &ret_run->file_offset);
}

static struct err *write_runs(struct vhdx *vhdx, const uint8_t *at, uint64_t len_bytes, uint64_t offset)
{
	const struct vhdx_geometry *geometry = &vhdx->metadata.geometry;

	while (len_bytes) {
		uint64_t first = offset >> geometry->block_shift;
		uint64_t count = ((offset + len_bytes - 1) >> geometry->block_shift) - first + 1;
		uint64_t skip = offset - (first << geometry->block_shift), bytes;
		struct vhdx_run run;

		TRY(lookup_or_allocate(vhdx, first, count, &run));
		bytes = (run.count << geometry->block_shift) - skip;
		if (bytes > len_bytes)
			bytes = len_bytes;
		TRY(blk_pwrite(vhdx->file, at, bytes, run.file_offset + skip, 0));
		at += bytes;
		offset += bytes;
		len_bytes -= bytes;
	}
	return NULL;
}

/* Takes blocks [block, block + count), all with space or all without, out of the file. */
static struct err *release(struct vhdx *vhdx, uint64_t block, const struct vhdx_run *run, uint64_t count,
			   enum vhdx_block_state state)
{
	LOCKED(&vhdx->map_lock);

	/* Before anything is given up: a gap made by us must wait until that is durable. */
	if (!vhdx->space.gaps_known)
		TRY(vhdx_space_find_gaps(&vhdx->space, &vhdx->bat, vhdx->file));
	for (uint64_t i = 0; i < count; i++) {
		if (run->file_offset)
			TRY(vhdx_space_give(&vhdx->space,
					    run->file_offset + (i << vhdx->metadata.geometry.block_shift)));
		vhdx_bat_set(&vhdx->bat, block + i, state, 0);
	}
	return NULL;
}

/* True if blocks without space have to change their state for it to say what was asked for: what is
 * not present or unmapped reads as zeros here, but the specification allows others to see anything. */
static bool must_say_zero(enum vhdx_block_state now, enum vhdx_block_state wanted)
{
	return wanted == VHDX_BLOCK_ZERO && (now == VHDX_BLOCK_UNDEFINED || now == VHDX_BLOCK_UNMAPPED);
}

/* How a range becomes zeros. */
struct zeroing {
	enum vhdx_block_state state; /* of whole blocks that are taken out of the file */
	bool keep_space; /* no block is */
	unsigned file_flags; /* for zeros written into the file */
};

/* Makes zeros of the start of a range; *ret_bytes of it are done. */
static struct err *zero_part(struct vhdx *vhdx, uint64_t len_bytes, uint64_t offset, struct zeroing how,
			     uint64_t *ret_bytes)
{
	const struct vhdx_geometry *geometry = &vhdx->metadata.geometry;
	uint64_t first = offset >> geometry->block_shift;
	uint64_t skip = offset - (first << geometry->block_shift);
	uint64_t count = ((offset + len_bytes - 1) >> geometry->block_shift) - first + 1, bytes;
	bool is_partial = skip || len_bytes < vhdx_geometry_used_bytes(geometry, first);
	struct vhdx_run run;

	if (is_partial)
		count = 1;
	else if (offset + len_bytes < geometry->size_bytes)
		count = len_bytes >> geometry->block_shift;
	TRY(vhdx_lookup(vhdx, first, count < RUN_BLOCKS ? count : RUN_BLOCKS, &run));
	bytes = (run.count << geometry->block_shift) - skip;
	*ret_bytes = bytes < len_bytes ? bytes : len_bytes;
	if (run.file_offset && (is_partial || how.keep_space))
		return blk_zero(vhdx->file, *ret_bytes, run.file_offset + skip, how.file_flags);
	if (run.file_offset || (!is_partial && must_say_zero(run.state, how.state)))
		return release(vhdx, first, &run, run.count, how.state);
	return NULL;
}

static struct err *zero_range(struct vhdx *vhdx, uint64_t len_bytes, uint64_t offset, struct zeroing how)
{
	struct vhdx_range range = {.start = offset, .end = offset + len_bytes, .exclusive = true};
	struct err *err;

	TRY(vhdx_begin_changes(vhdx));
	vhdx_range_acquire(&vhdx->ranges, &range);
	do {
		uint64_t bytes = 0;

		err = zero_part(vhdx, len_bytes, offset, how, &bytes);
		offset += bytes;
		len_bytes -= bytes;
	} while (!err && len_bytes);
	vhdx_range_release(&vhdx->ranges, &range);
	return err;
}

struct err *vhdx_op_pwrite(struct blk *blk, const void *buf, size_t len_bytes, uint64_t offset,
			   unsigned flags)
{
	struct vhdx *vhdx = vhdx_of(blk);
	struct vhdx_range range = {.start = offset, .end = offset + len_bytes, .exclusive = true};
	struct err *err;

	TRY(vhdx_begin_changes(vhdx));
	vhdx_range_acquire(&vhdx->ranges, &range);
	err = write_runs(vhdx, buf, len_bytes, offset);
	vhdx_range_release(&vhdx->ranges, &range);
	if (!err && flags & BLK_FUA)
		err = vhdx_op_flush(blk);
	return err;
}

struct err *vhdx_op_zero(struct blk *blk, uint64_t len_bytes, uint64_t offset, unsigned flags)
{
	struct vhdx *vhdx = vhdx_of(blk);
	bool may_trim = flags & BLK_MAY_TRIM && !vhdx->metadata.is_fixed;
	struct zeroing how = {VHDX_BLOCK_ZERO, !may_trim, may_trim ? BLK_MAY_TRIM : 0};

	TRY(zero_range(vhdx, len_bytes, offset, how));
	return flags & BLK_FUA ? vhdx_op_flush(blk) : NULL;
}

struct err *vhdx_op_discard(struct blk *blk, uint64_t len_bytes, uint64_t offset)
{
	struct vhdx *vhdx = vhdx_of(blk);
	bool is_fixed = vhdx->metadata.is_fixed;
	struct zeroing how = {VHDX_BLOCK_UNMAPPED, is_fixed, is_fixed ? 0 : BLK_MAY_TRIM};

	return zero_range(vhdx, len_bytes, offset, how);
}
