/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A disk of which only some bytes count: what a used map has left out reads as
 * zeros, and its extents say so.
 */
#ifndef CAPTURE_MASKED_H
#define CAPTURE_MASKED_H

#include "p2v/base/blk.h"

/* Read-only.  Takes both over: closing it closes the disk; `kept` is left empty. */
struct blk *masked_create(struct blk *disk, struct extents *kept);

#endif
