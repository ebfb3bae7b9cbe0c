/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A device over another one, which it owns, that has a fault in it: for tests of tests. */
#ifndef TESTS_VHDX_LIB_FLUSH_LOSER_H
#define TESTS_VHDX_LIB_FLUSH_LOSER_H

#include "p2v/base/blk.h"

/* Flushes get lost if anything in [start, end) was changed since the last one; and FUA
 * on changes there.  So what is written next may reach the disk before it. */
struct blk *flush_loser_create(struct blk *inner, uint64_t start, uint64_t end);

/* A device over `disk`, not owned, whose flushes and FUA flush `file` too, after it: with it the guest is
 * never told "done" too early, so that what a lost flush breaks is the order of writes alone. */
struct blk *flush_keeper_create(struct blk *disk, struct blk *file);

#endif
