/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The ledger of one disk: what the tracker saw against what the kernel counted.
 * It finds whatever was lost between the two, by whatever cause.
 */
#ifndef CAPTURE_TRACK_LEDGER_H
#define CAPTURE_TRACK_LEDGER_H

#include <stdbool.h>

#include "capture/track-shared.h"
#include "capture/track-stat.h"

/* Sectors written and discarded; as a difference, of what was seen beyond what was counted. */
struct ledger_sum {
	int64_t written, discarded;
};

/* One look at both sides.  What is seen is read after what is counted, and so is never behind it. */
struct ledger_look {
	struct track_stat stat;
	struct track_counts seen;
	uint64_t misses[TRACK_EVENTS]; /* calls that the kernel skipped; read last, so that none of those that
					* are not in `seen` is missing */
	bool are_ends_vague; /* a discard's end proves nothing of its beginning, by which it is known */
	bool is_steady; /* nothing moved while it was taken, so both sides are of one moment */
};

/* How a look is taken; false: the disk is gone. */
typedef bool (*ledger_look_fn)(void *arg, struct ledger_look *ret_look);

struct ledger {
	struct {
		bool is_open;
		struct ledger_sum base; /* the difference when nothing was lost */
		uint64_t misses;
	} events[TRACK_EVENTS];
	uint64_t discarded_sectors; /* counted when the base was set */
	struct ledger_sum shortage; /* of ends shown, the largest since the base; none is above 0 */
	uint64_t unshown; /* sectors, since it was opened: counted as done, but their end was not shown.  It
			   * grows no later than at the check that proves that their beginning was. */
	bool is_settled; /* at the last check all that had begun was done, and counted */
};

/* Opens it anew: what was before is not its business.  False: the disk is gone. */
bool ledger_open(struct ledger *ledger, ledger_look_fn look, void *arg);

enum ledger_answer {
	LEDGER_EXACT, /* the disk is at rest, and all is there; of what is unshown, the beginnings */
	LEDGER_OPEN, /* nothing is known to be lost, but the disk is in use */
	LEDGER_SHORT, /* less was seen than counted, at every stage of a request */
	LEDGER_OVER, /* more was seen than counted, so that the counts prove nothing */
	LEDGER_GONE,
};

/* *ret_sectors: by how many the two differ. */
enum ledger_answer ledger_check(struct ledger *ledger, ledger_look_fn look, void *arg, uint64_t *ret_sectors);

#endif
