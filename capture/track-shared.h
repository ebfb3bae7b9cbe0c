/* SPDX-License-Identifier: GPL-3.0-or-later OR GPL-2.0-only */
/*
 * What the program in the kernel (track.bpf.c) and the tracker share: the layout
 * of the maps.
 *
 * `cells` is one run of bytes: for each disk, written and discarded apart, one
 * byte for each cell, then one byte for each TRACK_COARSE cells, which stands
 * for all of them.
 */
#ifndef CAPTURE_TRACK_SHARED_H
#define CAPTURE_TRACK_SHARED_H

#include <linux/types.h>

/* The kernel limits the size of one element, so the bytes are in many; they lie one behind the other. */
#define TRACK_ELEMENT_BYTES 4096u
/* One coarse cell for so many fine ones: of a request of 4 GiB, and the kernel has no longer ones, at 64 KiB
 * a cell are 256 coarse ones. */
#define TRACK_COARSE_SHIFT 8u
#define TRACK_COARSE (1u << TRACK_COARSE_SHIFT)

struct track_area {
	__u64 fine_at, coarse_at; /* where in `cells` */
	__u32 shift; /* a cell has 1 << shift sectors of 512 bytes */
	__u32 unused;
};

/* Where a request is seen. */
enum track_event { TRACK_QUEUE, TRACK_ISSUE, TRACK_COMPLETE, TRACK_EVENTS };

struct track_disk_map {
	__u64 sectors;
	__u32 index;
	__u32 unused;
	struct track_area written, discarded;
};

/* Of one disk on one processor: nobody else writes to it. */
struct track_counts {
	__u64 written_sectors[TRACK_EVENTS];
	__u64 discarded_sectors[TRACK_EVENTS];
	__u64 commands; /* sent to the disk past the block layer's requests, which may have changed it */
	__u64 beyond; /* outside of what is tracked, or more than could be marked */
};

#endif
