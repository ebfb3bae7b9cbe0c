/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where on disks a machine swaps to: partitions, volumes, files.
 *
 * The kernel goes on writing there while file systems are frozen.  What it has written is worth nothing to a
 * machine that starts anew, but for the beginning, which tells that it is swap, and its UUID.
 */
#ifndef CAPTURE_SWAPPED_H
#define CAPTURE_SWAPPED_H

#include "p2v/base/extents.h"
#include "p2v/base/strv.h"

struct swapped {
	/* Of each disk, in whole cells: those that hold nothing but what was swapped out, and those that
	 * have any of it, or a beginning. */
	struct extents *content, *touched;
	size_t disk_count;
	struct strv unknown; /* what may be swapped to on the disks, though it is not known where */
};

/*
 * Those of now.  Disks are numbers ("8:0") as sysfs has them below sysroot ("" is this machine; of a
 * recording there are no files), their order is that of both sets.  cell_bytes is a power of two.
 */
void swapped_find(const char *sysroot, const struct strv *disks, uint64_t cell_bytes,
		  struct swapped *ret_swapped);
void swapped_deinit(struct swapped *swapped);

#endif
