/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A device in memory that begins as another one and then goes its own way:
 * cheap where thousands of slightly different states of one file are tried.
 */
#ifndef TESTS_BASE_LIB_OVERLAY_H
#define TESTS_BASE_LIB_OVERLAY_H

#include "p2v/base/blk.h"

#define OVERLAY_PAGE_BYTES 4096u

/* The one below stays the caller's and must not change while this one lives.  NULL: an empty one. */
struct blk *overlay_create(struct blk *below);

/* An overlay over nothing with the content of a device. */
struct blk *overlay_copy_of(struct blk *blk);

/*
 * A number for the whole content and its length: equal contents have equal
 * numbers, different ones hardly ever.  Costs what was changed since the one
 * below was created, whose number is below_hash (0 without one).
 */
uint64_t overlay_hash(struct blk *overlay, uint64_t below_hash);

#endif
