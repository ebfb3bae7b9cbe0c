/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Changing the content.
 *
 * A write to a block that is in the file goes straight there.  For another block
 * space is taken first and the map is changed in memory; both reach the disk in
 * commit.c, and in such an order that a BAT entry never gets there before its
 * block.  New space reads as zeros, so that the rest of the block needs no work.
 */
#include "vhdx/writer.h"
#include "vhdx/child.h"

#define RUN_BLOCKS 4096u

static struct err *find_gaps(struct vhdx *vhdx)
{
	return vhdx->space.gaps_known ? NULL : vhdx_space_find_gaps(&vhdx->space, &vhdx->bat, vhdx->file);
}

struct err *vhdx_take_space(struct vhdx *vhdx, uint32_t bytes, uint64_t *ret_offset)
{
	uint64_t count = 1;

	TRY(find_gaps(vhdx));
	if (bytes != vhdx->metadata.geometry.block_bytes)
		return vhdx_space_grow(&vhdx->space, vhdx->file, bytes, ret_offset);
	return vhdx_space_take(&vhdx->space, vhdx->file, bytes, &count, ret_offset);
}

/* Gives blocks [block, block + *count) a place; *count may become less. */
static struct err *allocate(struct vhdx *vhdx, uint64_t block, uint64_t *count, uint64_t *ret_offset)
{
	const struct vhdx_geometry *geometry = &vhdx->metadata.geometry;
	uint64_t offset;

	TRY(find_gaps(vhdx));
	TRY(vhdx_space_take(&vhdx->space, vhdx->file, geometry->block_bytes, count, &offset));
	for (uint64_t i = 0; i < *count; i++)
		vhdx_bat_set(&vhdx->bat, block + i, VHDX_BLOCK_FULLY_PRESENT,
			     offset + (i << geometry->block_shift));
	*ret_offset = offset;
	return NULL;
}

struct err *vhdx_lookup_or_allocate(struct vhdx *vhdx, uint64_t block, uint64_t max_count,
				    struct vhdx_run *ret_run)
{
	LOCKED(&vhdx->map_lock);

	TRY(vhdx_bat_get(&vhdx->bat, vhdx->file, block, max_count, ret_run));
	if (ret_run->file_offset)
		return NULL;
	return allocate(vhdx, block, &ret_run->count, &ret_run->file_offset);
}

static struct err *write_runs(struct vhdx *vhdx, const uint8_t *at, uint64_t len_bytes, uint64_t offset,
			      unsigned file_flags)
{
	const struct vhdx_geometry *geometry = &vhdx->metadata.geometry;

	while (len_bytes) {
		uint64_t first = offset >> geometry->block_shift;
		uint64_t count = ((offset + len_bytes - 1) >> geometry->block_shift) - first + 1;
		uint64_t skip = offset - (first << geometry->block_shift), bytes;
		struct vhdx_run run;

		TRY(vhdx_lookup_or_allocate(vhdx, first, count, &run));
		bytes = (run.count << geometry->block_shift) - skip;
		if (bytes > len_bytes)
			bytes = len_bytes;
		TRY(blk_pwrite(vhdx->file, at, bytes, run.file_offset + skip, file_flags));
		at += bytes;
		offset += bytes;
		len_bytes -= bytes;
	}
	return NULL;
}

struct err *vhdx_release_blocks(struct vhdx *vhdx, uint64_t block, const struct vhdx_run *run, uint64_t count,
				enum vhdx_block_state state)
{
	LOCKED(&vhdx->map_lock);

	/* Before anything is given up: a gap made by us must wait until that is durable. */
	TRY(find_gaps(vhdx));
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

/* Makes zeros of the start of a range; *ret_bytes of it are done. */
static struct err *zero_part(struct vhdx *vhdx, uint64_t len_bytes, uint64_t offset, struct vhdx_zeroing how,
			     uint64_t *ret_bytes)
{
	const struct vhdx_geometry *geometry = &vhdx->metadata.geometry;
	uint64_t first = offset >> geometry->block_shift;
	uint64_t skip = offset - (first << geometry->block_shift);
	uint64_t count = ((offset + len_bytes - 1) >> geometry->block_shift) - first + 1, bytes;
	bool is_partial = skip || len_bytes < vhdx_geometry_used_bytes(geometry, first);
	struct vhdx_run run;

	if (geometry->has_parent) {
		bytes = geometry->block_bytes - skip;
		*ret_bytes = bytes < len_bytes ? bytes : len_bytes;
		return vhdx_child_zero(vhdx, *ret_bytes, offset, how);
	}
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
		return vhdx_release_blocks(vhdx, first, &run, run.count, how.state);
	return NULL;
}

/* The bytes that a change may touch: of a differencing file whole sectors, each of which is either its own
 * or its parent's. */
static struct vhdx_range range_of(const struct vhdx *vhdx, uint64_t len_bytes, uint64_t offset)
{
	uint64_t unit = vhdx->metadata.geometry.has_parent ? vhdx->metadata.geometry.logical_sector_bytes : 1;

	return (struct vhdx_range){
		.start = offset / unit * unit,
		.end = (offset + len_bytes + unit - 1) / unit * unit,
		.exclusive = true,
	};
}

static struct err *zero_range(struct vhdx *vhdx, uint64_t len_bytes, uint64_t offset, struct vhdx_zeroing how)
{
	struct vhdx_range range = range_of(vhdx, len_bytes, offset);
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
	struct vhdx_range range = range_of(vhdx, len_bytes, offset);
	unsigned file_flags = 0;
	struct err *err;

	TRY(vhdx_begin_changes(vhdx));
	vhdx_range_acquire(&vhdx->ranges, &range);
	if (flags & BLK_FUA && vhdx_is_map_durable(vhdx, len_bytes, offset))
		file_flags = BLK_FUA;
	err = vhdx->metadata.geometry.has_parent ? vhdx_child_write(vhdx, buf, len_bytes, offset, 0)
						 : write_runs(vhdx, buf, len_bytes, offset, file_flags);
	vhdx_range_release(&vhdx->ranges, &range);
	if (!err && flags & BLK_FUA && !file_flags)
		err = vhdx_op_flush(blk);
	return err;
}

struct err *vhdx_op_zero(struct blk *blk, uint64_t len_bytes, uint64_t offset, unsigned flags)
{
	struct vhdx *vhdx = vhdx_of(blk);
	bool may_trim = flags & BLK_MAY_TRIM && !vhdx->metadata.is_fixed;
	struct vhdx_zeroing how = {VHDX_BLOCK_ZERO, !may_trim, may_trim ? BLK_MAY_TRIM : 0};

	TRY(zero_range(vhdx, len_bytes, offset, how));
	return flags & BLK_FUA ? vhdx_op_flush(blk) : NULL;
}

struct err *vhdx_op_discard(struct blk *blk, uint64_t len_bytes, uint64_t offset)
{
	struct vhdx *vhdx = vhdx_of(blk);
	bool is_fixed = vhdx->metadata.is_fixed;
	struct vhdx_zeroing how = {VHDX_BLOCK_UNMAPPED, is_fixed, is_fixed ? 0 : BLK_MAY_TRIM};

	return zero_range(vhdx, len_bytes, offset, how);
}

struct err *vhdx_set_preallocation(struct blk *blk, uint64_t step_bytes)
{
	struct vhdx *vhdx = vhdx_of(blk);

	if (!vhdx || blk->flags & BLK_READ_ONLY)
		return err_refused("%s: space can be taken ahead only for a VHDX that is written", blk->name);
	LOCKED(&vhdx->map_lock);

	vhdx->space.preallocate_bytes = step_bytes;
	return NULL;
}
