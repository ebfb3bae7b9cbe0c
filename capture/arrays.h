/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Arrays of disks (md), which write for themselves: when nobody has written to one for a moment, it notes on
 * its members that it is clean, and in the seconds after that, if it has a bitmap, which parts of it are
 * equal again.  To hold its file systems does not keep it from that.
 */
#ifndef CAPTURE_ARRAYS_H
#define CAPTURE_ARRAYS_H

#include <stdbool.h>

#include "p2v/base/err.h"
#include "p2v/base/extents.h"
#include "p2v/base/strv.h"

struct arrays {
	struct strv names; /* "md0" */
	struct extents *own; /* of each disk: the bytes that nobody but an array writes to */
	size_t disk_count;
};

/* Those that have a member on one of the disks.  These are numbers ("8:0") as sysfs has them below sysroot
 * ("" is this machine), and their order is that of `own`. */
void arrays_find(const char *sysroot, const struct strv *disks, struct arrays *ret_arrays);
void arrays_deinit(struct arrays *arrays);

/* ERR_REFUSED: one of them is being rebuilt, and so does not come to rest. */
struct err *arrays_check(const char *sysroot, const struct arrays *arrays) ERR_MUST_CHECK;

/* False: one of them has yet to note that nobody writes to it. */
bool arrays_are_clean(const char *sysroot, const struct arrays *arrays);

#endif
