/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A growing device in memory whose power can fail.
 *
 * It keeps apart what is durable and what was written since the last flush.
 * Every few requests it makes a device as a power cut at that moment might have
 * left it: all that is durable, and of the rest nothing, everything, or any
 * 512-byte sectors of any requests.
 */
#ifndef TESTS_VHDX_LIB_POWER_CUT_H
#define TESTS_VHDX_LIB_POWER_CUT_H

#include "p2v/base/blk.h"

/* Takes over `left`.  Called in the thread of the request that is being cut. */
typedef void (*power_cut_fn)(void *arg, struct blk *left);

/* Empty (0 bytes); cuts at each `every`th request (0: never) until power_cut_stop(). */
struct blk *power_cut_create(unsigned every, uint64_t seed, power_cut_fn fn, void *arg);
void power_cut_every(struct blk *blk, unsigned every);

#endif
