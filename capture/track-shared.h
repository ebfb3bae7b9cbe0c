/* SPDX-License-Identifier: GPL-3.0-or-later OR GPL-2.0-only */
/*
 * What the program in the kernel (track.bpf.c) and the tracker share: the layout
 * of the maps.
 *
 * `cells` is one run of bytes: for each disk, written and discarded apart, one
 * byte for each cell, then one byte for each TRACK_COARSE cells, which stands
 * for all of them.  Where it is copied, and not mapped, one byte for each of its
 * elements follows.
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

/* What the programs have to know before they are loaded. */
struct track_setup {
	__u32 counts_stride; /* from one processor's counts to the next one's; 0: the map sees to that */
	__u32 are_copied; /* the cells are in `generations`, not in `cells` */
	/* Where in a generation a byte for each of its elements tells that something in it is marked. */
	__u64 touched_at;
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

/* Where in a classic trace point's record the fields are, in bytes. */
struct track_fields {
	__u32 dev, sector, nr_sector, rwbs;
};

/* Of all disks on one processor, for trace points of which programs are skipped. */
struct track_calls {
	__u64 shown[TRACK_EVENTS]; /* events of which the kernel told at all */
	__u64 run[TRACK_EVENTS]; /* the program that marks was run for so many of them */
	__u64 nameless_commands; /* like `commands`, with no disk named */
};

#endif
