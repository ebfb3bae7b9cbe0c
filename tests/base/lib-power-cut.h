/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What power cuts could leave of recorded devices.
 *
 * At any time, what a flush or FUA has made durable is there.  Of every other
 * change that had begun, each sector of 512 bytes may be there or not, whatever
 * the order; a change of size too.  What was written behind a size that got lost
 * is lost with it, or has made the file that long.
 *
 *	cut = power_cut_create(recording, seed);
 *	for (time = 1; power_cut_advance(cut, time); time++) {
 *		left = power_cut_leave(cut, 0);
 *		…
 *	}
 */
#ifndef TESTS_BASE_LIB_POWER_CUT_H
#define TESTS_BASE_LIB_POWER_CUT_H

#include "tests/base/lib-recording.h"

struct power_cut;

/* The recording must have ended and live longer. */
struct power_cut *power_cut_create(const struct recording *recording, uint64_t seed);
void power_cut_destroy(struct power_cut *cut);

/* Goes on to a later time; false if the recording had ended before it. */
bool power_cut_advance(struct power_cut *cut, uint64_t time);

/* How many changes are not durable at this time: with none there is one state. */
size_t power_cut_pending(const struct power_cut *cut);

/* Chooses one of the states that a cut now could leave, of all devices together; *ret_hash is that of
 * its content.  Call it before power_cut_leave(). */
void power_cut_choose(struct power_cut *cut, uint64_t *ret_hash);

/* A device in the chosen state, for the caller to close before the next power_cut_advance(). */
struct blk *power_cut_leave(struct power_cut *cut, unsigned device);

/* The chosen state in words; the caller frees them. */
char *power_cut_describe(const struct power_cut *cut);

#endif
