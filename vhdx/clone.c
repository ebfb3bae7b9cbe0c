/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Sharing payload with other files: a payload block is a piece of the file, aligned
 * to 1 MiB, so that the file system can share it with a raw image or with another
 * VHDX.  In files with a parent, where a range is not simply one of the file, it
 * is not done.
 */
#include "vhdx/writer.h"

/* A place is looked up for this much at most. */
#define RUN_BYTES (1ull << 30)

struct err *vhdx_op_locate(struct blk *blk, uint64_t len_bytes, uint64_t offset, struct blk_place *ret_place)
{
	struct vhdx *vhdx = vhdx_of(blk);
	const struct vhdx_geometry *geometry = &vhdx->metadata.geometry;
	uint64_t first = offset >> geometry->block_shift, skip = offset - (first << geometry->block_shift);
	uint64_t count = ((offset + len_bytes - 1) >> geometry->block_shift) - first + 1, bytes;
	struct vhdx_run run;

	if (geometry->has_parent)
		return NULL;
	if (count > RUN_BYTES >> geometry->block_shift)
		count = RUN_BYTES >> geometry->block_shift;
	TRY(vhdx_lookup(vhdx, first, count, &run));
	bytes = (run.count << geometry->block_shift) - skip;
	if (bytes > len_bytes)
		bytes = len_bytes;
	ret_place->len_bytes = bytes;
	return run.file_offset ? blk_locate(vhdx->io, bytes, run.file_offset + skip, ret_place) : NULL;
}

bool vhdx_op_can_clone(struct blk *blk, struct blk *file)
{
	struct vhdx *vhdx = vhdx_of(blk);

	return !vhdx->metadata.geometry.has_parent && blk_can_clone(vhdx->file, file);
}

static struct err *clone_runs(struct vhdx *vhdx, struct blk *file, uint64_t len_bytes, uint64_t file_offset,
			      uint64_t offset, uint64_t *ret_bytes)
{
	const struct vhdx_geometry *geometry = &vhdx->metadata.geometry;

	for (uint64_t done = 0, run_done; done < len_bytes; done += run_done) {
		uint64_t first = (offset + done) >> geometry->block_shift;
		uint64_t skip = offset + done - (first << geometry->block_shift);
		uint64_t last = (offset + len_bytes - 1) >> geometry->block_shift, bytes;
		struct vhdx_run run;

		TRY(vhdx_lookup_or_allocate(vhdx, first, last - first + 1, &run));
		bytes = (run.count << geometry->block_shift) - skip;
		if (bytes > len_bytes - done)
			bytes = len_bytes - done;
		TRY(blk_clone(vhdx->file, file, bytes, file_offset + done, run.file_offset + skip,
			      &run_done));
		*ret_bytes = done + run_done;
		if (run_done < bytes)
			return NULL;
	}
	return NULL;
}

struct err *vhdx_op_clone(struct blk *blk, struct blk *file, uint64_t len_bytes, uint64_t file_offset,
			  uint64_t offset, uint64_t *ret_bytes)
{
	struct vhdx *vhdx = vhdx_of(blk);
	struct vhdx_range range = {.start = offset, .end = offset + len_bytes, .exclusive = true};
	struct err *err;

	TRY(vhdx_begin_changes(vhdx));
	vhdx_range_acquire(&vhdx->ranges, &range);
	err = clone_runs(vhdx, file, len_bytes, file_offset, offset, ret_bytes);
	vhdx_range_release(&vhdx->ranges, &range);
	return err;
}
