/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading, and telling what is where.
 *
 * A request is cut into runs of blocks that follow one another in the file; each
 * is one read of the file.  extents holds no range: its callback may well read
 * the device, and the answer is out of date at once anyway.
 */
#include <string.h>

#include "vhdx/child.h"

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

static struct err *read_part(struct vhdx *vhdx, const struct part *part, uint8_t *at, uint64_t offset)
{
	uint64_t file_offset = part->run.file_offset + part->skip;

	if (part->run.state == VHDX_BLOCK_PARTIALLY_PRESENT)
		return vhdx_partial_read(vhdx, at, part->bytes, offset, file_offset);
	if (part->run.file_offset)
		return blk_pread(vhdx->io, at, part->bytes, file_offset);
	if (part->run.state == VHDX_BLOCK_NOT_PRESENT && vhdx->parent)
		return vhdx_parent_read(vhdx, at, part->bytes, offset);
	memset(at, 0, part->bytes);
	return NULL;
}

struct err *vhdx_read_range(struct vhdx *vhdx, uint8_t *at, uint64_t len_bytes, uint64_t offset)
{
	while (len_bytes) {
		struct part part;

		TRY(next_part(vhdx, offset, len_bytes, &part));
		TRY(read_part(vhdx, &part, at, offset));
		at += part.bytes;
		offset += part.bytes;
		len_bytes -= part.bytes;
	}
	return NULL;
}

static struct err *check_parent(const struct vhdx *vhdx)
{
	if (vhdx->metadata.geometry.has_parent && !vhdx->parent)
		return err_refused(
			"%s: cannot be read without its parent: it was opened only to look into it",
			vhdx->blk.name);
	return NULL;
}

struct err *vhdx_op_pread(struct blk *blk, void *buf, size_t len_bytes, uint64_t offset)
{
	struct vhdx *vhdx = vhdx_of(blk);
	struct vhdx_range range = {.start = offset, .end = offset + len_bytes};
	struct err *err;

	TRY(check_parent(vhdx));
	vhdx_range_acquire(&vhdx->ranges, &range);
	err = vhdx_read_range(vhdx, buf, len_bytes, offset);
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

struct err *vhdx_file_extents(struct vhdx *vhdx, uint64_t len_bytes, uint64_t offset, uint64_t file_offset,
			      blk_extent_fn fn, void *arg)
{
	struct shifted shifted = {fn, arg, offset - file_offset};

	return blk_extents(vhdx->io, len_bytes, file_offset, pass_on, &shifted);
}

static struct err *part_extents(struct vhdx *vhdx, const struct part *part, uint64_t offset, blk_extent_fn fn,
				void *arg)
{
	uint64_t file_offset = part->run.file_offset + part->skip;

	if (part->run.state == VHDX_BLOCK_PARTIALLY_PRESENT)
		return vhdx_partial_extents(vhdx, part->bytes, offset, file_offset, fn, arg);
	if (part->run.file_offset)
		return vhdx_file_extents(vhdx, part->bytes, offset, file_offset, fn, arg);
	if (part->run.state == VHDX_BLOCK_NOT_PRESENT && vhdx->parent)
		return vhdx_parent_extents(vhdx, part->bytes, offset, fn, arg);
	return fn(arg, offset, part->bytes, BLK_EXTENT_HOLE | BLK_EXTENT_ZERO);
}

struct err *vhdx_op_extents(struct blk *blk, uint64_t len_bytes, uint64_t offset, blk_extent_fn fn, void *arg)
{
	struct vhdx *vhdx = vhdx_of(blk);

	TRY(check_parent(vhdx));
	while (len_bytes) {
		struct part part;

		TRY(next_part(vhdx, offset, len_bytes, &part));
		TRY(part_extents(vhdx, &part, offset, fn, arg));
		offset += part.bytes;
		len_bytes -= part.bytes;
	}
	return NULL;
}
