/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading through to the parent.
 *
 * A parent may be shorter than its child, which was made longer since: what it
 * does not have reads as zeros.
 */
#include <string.h>

#include "vhdx/child.h"

struct err *vhdx_sector_run(struct vhdx *vhdx, uint64_t offset, uint64_t len_bytes, bool *ret_present,
			    uint64_t *ret_bytes)
{
	uint64_t sector_bytes = vhdx->metadata.geometry.logical_sector_bytes, count, bytes;
	uint64_t first = offset / sector_bytes, last = (offset + len_bytes - 1) / sector_bytes;
	LOCKED(&vhdx->map_lock);

	TRY(vhdx_bitmap_get(&vhdx->bitmap, vhdx->io, first, last - first + 1, ret_present, &count));
	bytes = (first + count) * sector_bytes - offset;
	*ret_bytes = bytes < len_bytes ? bytes : len_bytes;
	return NULL;
}

/* How much of a range the parent has. */
static uint64_t bytes_in_parent(const struct vhdx *vhdx, uint64_t len_bytes, uint64_t offset)
{
	uint64_t size_bytes = vhdx->parent->size_bytes;

	if (offset >= size_bytes)
		return 0;
	return len_bytes < size_bytes - offset ? len_bytes : size_bytes - offset;
}

struct err *vhdx_parent_read(struct vhdx *vhdx, uint8_t *buf, uint64_t len_bytes, uint64_t offset)
{
	uint64_t there = bytes_in_parent(vhdx, len_bytes, offset);

	memset(buf + there, 0, len_bytes - there);
	return there ? blk_pread(vhdx->parent, buf, there, offset) : NULL;
}

struct err *vhdx_parent_extents(struct vhdx *vhdx, uint64_t len_bytes, uint64_t offset, blk_extent_fn fn,
				void *arg)
{
	uint64_t there = bytes_in_parent(vhdx, len_bytes, offset);

	TRY(blk_extents(vhdx->parent, there, offset, fn, arg));
	if (there == len_bytes)
		return NULL;
	return fn(arg, offset + there, len_bytes - there, BLK_EXTENT_HOLE | BLK_EXTENT_ZERO);
}

struct err *vhdx_partial_read(struct vhdx *vhdx, uint8_t *buf, uint64_t len_bytes, uint64_t offset,
			      uint64_t file_offset)
{
	while (len_bytes) {
		uint64_t bytes;
		bool present;

		TRY(vhdx_sector_run(vhdx, offset, len_bytes, &present, &bytes));
		TRY(present ? blk_pread(vhdx->io, buf, bytes, file_offset)
			    : vhdx_parent_read(vhdx, buf, bytes, offset));
		buf += bytes;
		offset += bytes;
		file_offset += bytes;
		len_bytes -= bytes;
	}
	return NULL;
}

struct err *vhdx_partial_extents(struct vhdx *vhdx, uint64_t len_bytes, uint64_t offset, uint64_t file_offset,
				 blk_extent_fn fn, void *arg)
{
	while (len_bytes) {
		uint64_t bytes;
		bool present;

		TRY(vhdx_sector_run(vhdx, offset, len_bytes, &present, &bytes));
		TRY(present ? vhdx_file_extents(vhdx, bytes, offset, file_offset, fn, arg)
			    : vhdx_parent_extents(vhdx, bytes, offset, fn, arg));
		offset += bytes;
		file_offset += bytes;
		len_bytes -= bytes;
	}
	return NULL;
}
