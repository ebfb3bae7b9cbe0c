/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which bytes of a disk hold data.
 *
 * A used map is taken only where it can be trusted: the file system is of a
 * kind and with features that are known here, was left clean, is not in use,
 * and its checksums are right.  Every doubt means "everything", with the doubt
 * as the reason.  What no table, volume group or file system claims is kept,
 * but for large unpartitioned gaps and free volume group space.
 */
#ifndef CAPTURE_USEDMAP_H
#define CAPTURE_USEDMAP_H

#include "p2v/base/blk.h"

/* What was found on the disk, outermost first, as the report tells it. */
struct usedmap_piece {
	unsigned depth; /* 0 the disk, 1 a partition, 2 what is inside it, … */
	char *label; /* "partition 2", "volume vg/root"; NULL for the disk */
	const char *kind; /* libblkid's name: "ext4", "LVM2_member", "gpt"; NULL if not known */
	uint64_t size_bytes;
	uint64_t used_bytes; /* size_bytes where there is a doubt */
	char *doubt; /* why all of it is taken; NULL if the map is trusted */
};

struct usedmap {
	struct extents used;
	struct usedmap_piece *pieces;
	size_t piece_count;
};

#define USEDMAP_KEEP_GAPS (1u << 0) /* large gaps between partitions are data too */

/* Zero-initialised is fine. */
struct usedmap_options {
	unsigned flags;
	const struct extents *in_use; /* of the disk: changes under us (mounted for writing), so all of it */
	uint64_t gap_bytes; /* free runs shorter than this count as used: fewer ranges; 0 is exact */
};

/* Reads only.  Never fails: what cannot be read or understood is used, and its piece says why. */
void usedmap_take(struct blk *disk, const struct usedmap_options *options, struct usedmap *ret_map);

void usedmap_deinit(struct usedmap *map);
#define CLEANUP_USEDMAP CLEANUP(usedmap_deinit)

#endif
