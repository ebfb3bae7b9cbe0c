/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Changing the map: what plain and differencing files have in common. */
#ifndef VHDX_WRITER_H
#define VHDX_WRITER_H

#include "vhdx/device.h"

/* How a range becomes zeros. */
struct vhdx_zeroing {
	enum vhdx_block_state state; /* of whole blocks that are taken out of the file */
	bool keep_space; /* no block is */
	unsigned file_flags; /* for zeros written into the file */
};

/* Under map_lock: space in the file that reads as zeros, a block's or a sector bitmap's. */
struct err *vhdx_take_space(struct vhdx *vhdx, uint32_t bytes, uint64_t *ret_offset) ERR_MUST_CHECK;

/* A run of blocks with space for each, at most max_count; what has no place gets one that reads as zeros,
 * and is fully present. */
struct err *vhdx_lookup_or_allocate(struct vhdx *vhdx, uint64_t block, uint64_t max_count,
				    struct vhdx_run *ret_run) ERR_MUST_CHECK;

/* Takes blocks [block, block + count), all with space or all without, out of the file. */
struct err *vhdx_release_blocks(struct vhdx *vhdx, uint64_t block, const struct vhdx_run *run, uint64_t count,
				enum vhdx_block_state state) ERR_MUST_CHECK;

#endif
