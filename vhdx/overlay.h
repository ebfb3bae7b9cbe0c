/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A device as it would be after changes that are not made: writes stay in memory.
 * What repairs are planned in, and judged by, before anything is touched.
 */
#ifndef VHDX_OVERLAY_H
#define VHDX_OVERLAY_H

#include "p2v/base/blk.h"

/*
 * A writable device (kind "overlay") over base, which is only read, stays the
 * caller's and must live longer.  Memory: the pages of 4 KiB that are written.
 * For one thread.
 */
struct err *vhdx_overlay_create(struct blk *base, struct blk **ret_overlay) ERR_MUST_CHECK;

/* Adds to ret_set what was written or zeroed, in whole pages, cut off at the device's end. */
void vhdx_overlay_changes(struct blk *overlay, struct extents *ret_set);

#endif
