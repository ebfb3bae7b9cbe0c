/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is different in a differencing file: content that its parent has, and
 * blocks of which some sectors are the file's and the others the parent's.
 */
#ifndef VHDX_CHILD_H
#define VHDX_CHILD_H

#include "vhdx/writer.h"

/* The start of a range within partially present blocks: how much of it is all in the file, or all not. */
struct err *vhdx_sector_run(struct vhdx *vhdx, uint64_t offset, uint64_t len_bytes, bool *ret_present,
			    uint64_t *ret_bytes) ERR_MUST_CHECK;

/* What the parent has in a range; zeros behind its end. */
struct err *vhdx_parent_read(struct vhdx *vhdx, uint8_t *buf, uint64_t len_bytes, uint64_t offset)
	ERR_MUST_CHECK;
struct err *vhdx_parent_extents(struct vhdx *vhdx, uint64_t len_bytes, uint64_t offset, blk_extent_fn fn,
				void *arg) ERR_MUST_CHECK;

/* What partially present blocks hold in a range, whose start is at file_offset. */
struct err *vhdx_partial_read(struct vhdx *vhdx, uint8_t *buf, uint64_t len_bytes, uint64_t offset,
			      uint64_t file_offset) ERR_MUST_CHECK;
struct err *vhdx_partial_extents(struct vhdx *vhdx, uint64_t len_bytes, uint64_t offset, uint64_t file_offset,
				 blk_extent_fn fn, void *arg) ERR_MUST_CHECK;

/* The device's write, and zero of a range in one block.  The caller holds the range, whole sectors of
 * it.  buf NULL: zeros, written with these flags of blk_zero(). */
struct err *vhdx_child_write(struct vhdx *vhdx, const uint8_t *buf, uint64_t len_bytes, uint64_t offset,
			     unsigned zero_flags) ERR_MUST_CHECK;
struct err *vhdx_child_zero(struct vhdx *vhdx, uint64_t len_bytes, uint64_t offset, struct vhdx_zeroing how)
	ERR_MUST_CHECK;

/* Whole sectors of one block are the file's own from now on, with what lies in its place for them (zeros in a
 * new one), as soon as the map is durable; they may lie behind the end of the disk.  The caller holds the
 * range. */
struct err *vhdx_child_claim(struct vhdx *vhdx, uint64_t len_bytes, uint64_t offset) ERR_MUST_CHECK;

#endif
