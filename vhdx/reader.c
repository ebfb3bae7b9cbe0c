/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading, and telling what is where.
 *
 * A request is cut into runs of blocks that follow one another in the file; each
 * is one read of the file.  extents holds no range: its callback may well read
 * the device, and the answer is out of date at once anyway.
 */
#include <string.h>

#include "vhdx/device.h"

#define RUN_BLOCKS 4096u

/* The part of a request that lies in one run. */
struct part {
	struct vhdx_run run;
	uint64_t skip; /* bytes of the run before the request */
	uint64_t bytes;
};

static struct err *next_part(struct vhdx *vhdx, uint64_t offset, uint64_t len_bytes, struct part *ret_part)
{
	const struct vhdx_geometry *geometry = &vhdx->metadata.geometry;
	uint64_t first = offset >> geometry->block_shift;
	uint64_t last = (offset + len_bytes - 1) >> geometry->block_shift;
	uint64_t count = last - first + 1, run_bytes;

	TRY(vhdx_lookup(vhdx, first, count < RUN_BLOCKS ? count : RUN_BLOCKS, &ret_part->run));
	ret_part->skip = offset - (first << geometry->block_shift);
	run_bytes = (ret_part->run.count << geometry->block_shift) - ret_part->skip;
	ret_part->bytes = run_bytes < len_bytes ? run_bytes : len_bytes;
	return NULL;
}

static struct err *read_parts(struct vhdx *vhdx, uint8_t *at, uint64_t len_bytes, uint64_t offset)
{
	while (len_bytes) {
		struct part part;

		TRY(next_part(vhdx, offset, len_bytes, &part));
		if (part.run.file_offset)
			TRY(blk_pread(vhdx->io, at, part.bytes, part.run.file_offset + part.skip));
		else
			memset(at, 0, part.bytes);
		at += part.bytes;
		offset += part.bytes;
		len_bytes -= part.bytes;
	}
	return NULL;
}

struct err *vhdx_op_pread(struct blk *blk, void *buf, size_t len_bytes, uint64_t offset)
{
	struct vhdx *vhdx = vhdx_of(blk);
	struct vhdx_range range = {.start = offset, .end = offset + len_bytes};
	struct err *err;

	if (vhdx->metadata.geometry.has_parent)
		return err_refused("%s: reading a differencing file is not possible yet", blk->name);
	vhdx_range_acquire(&vhdx->ranges, &range);
	err = read_parts(vhdx, buf, len_bytes, offset);
	vhdx_range_release(&vhdx->ranges, &range);
	return err;
}

/* Passes the file's own extents on, at the place where they are on the disk. */
struct shifted {
	blk_extent_fn fn;
	void *arg;
	uint64_t shift; /* from the file to the disk, modulo 2^64 */
};

static struct err *pass_on(void *arg, uint64_t offset, uint64_t len_bytes, unsigned extent_flags)
{
	struct shifted *shifted = arg;

	return shifted->fn(shifted->arg, offset + shifted->shift, len_bytes, extent_flags);
}

struct err *vhdx_op_extents(struct blk *blk, uint64_t len_bytes, uint64_t offset, blk_extent_fn fn, void *arg)
{
	struct vhdx *vhdx = vhdx_of(blk);

	while (len_bytes) {
		struct part part;

		TRY(next_part(vhdx, offset, len_bytes, &part));
		if (part.run.file_offset) {
			uint64_t start = part.run.file_offset + part.skip;
			struct shifted shifted = {fn, arg, offset - start};

			TRY(blk_extents(vhdx->io, part.bytes, start, pass_on, &shifted));
		} else {
			TRY(fn(arg, offset, part.bytes, BLK_EXTENT_HOLE | BLK_EXTENT_ZERO));
		}
		offset += part.bytes;
		len_bytes -= part.bytes;
	}
	return NULL;
}
