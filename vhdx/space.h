/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Space for payload blocks in the file.  The caller serialises all calls.
 *
 * A block goes where nothing is, else to the end of the file.  Space that a block
 * gives up may be used again only after the BAT that no longer mentions it is
 * durable: until then a power cut brings the old block back.
 *
 * The file grows in steps, as growing waits for all writes that are under way: by
 * an eighth of its length, at most 64 MiB ahead of use.  vhdx_space_trim() ends
 * that; after a power cut the rest is a gap like any other.
 */
#ifndef VHDX_SPACE_H
#define VHDX_SPACE_H

#include "vhdx/bat.h"

struct vhdx_offsets {
	uint64_t *items;
	size_t count, capacity;
};

struct vhdx_space {
	uint64_t end; /* of what is in use, a multiple of 1 MiB; the file may be longer */
	uint64_t preallocate_bytes; /* taken from the file system at once; 0: as it is written */
	struct vhdx_offsets unused; /* each block_bytes long; may hold anything */
	struct vhdx_offsets zeroed; /* the same, but reads as zeros */
	struct vhdx_offsets pending; /* given up, not yet durably */
	bool gaps_known; /* unused has what lies free in the file */
};

void vhdx_space_deinit(struct vhdx_space *space);

/* Finds the gaps of a file that was opened: reads the whole BAT.  ERR_REFUSED if two users share a
 * place, for then no place is safe. */
struct err *vhdx_space_find_gaps(struct vhdx_space *space, struct vhdx_bat *bat, struct blk *file)
	ERR_MUST_CHECK;

/* Space for *count blocks that reads as zeros, at *ret_offset; *count may become less, not 0. */
struct err *vhdx_space_take(struct vhdx_space *space, struct blk *file, uint32_t block_bytes, uint64_t *count,
			    uint64_t *ret_offset) ERR_MUST_CHECK;

/* Space at the end, a multiple of 1 MiB, that reads as zeros. */
struct err *vhdx_space_grow(struct vhdx_space *space, struct blk *file, uint64_t bytes, uint64_t *ret_offset)
	ERR_MUST_CHECK;

/* Cuts off what the file was made longer ahead of use.  Not while its log has entries: they say how long it
 * is. */
struct err *vhdx_space_trim(const struct vhdx_space *space, struct blk *file) ERR_MUST_CHECK;

/* A block no longer uses this place. */
struct err *vhdx_space_give(struct vhdx_space *space, uint64_t offset) ERR_MUST_CHECK;

/* Appends all of from to to, which empties from. */
struct err *vhdx_offsets_move(struct vhdx_offsets *to, struct vhdx_offsets *from) ERR_MUST_CHECK;

#endif
