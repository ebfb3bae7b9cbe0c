/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Pieces of a device put together as a device of its own, read-only: a
 * partition is one run, a logical volume is several.
 */
#ifndef CAPTURE_VIEW_H
#define CAPTURE_VIEW_H

#include "p2v/base/blk.h"

/* [start, start + bytes) of the parent comes next in the view. */
struct view_run {
	uint64_t start;
	uint64_t bytes;
};

/*
 * runs are copied; the parent stays the caller's and must outlive the view.  ERR_REFUSED if a run reaches
 * behind the parent's end.  `name` is for messages.
 */
struct err *view_create(struct blk *parent, const struct view_run *runs, size_t count, const char *name,
			struct blk **ret_view) ERR_MUST_CHECK;

/* Adds to ret_in_parent where the bytes of `in_view` lie in the parent. */
void view_translate(const struct view_run *runs, size_t count, const struct extents *in_view,
		    struct extents *ret_in_parent);

#endif
