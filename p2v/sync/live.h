/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Sending disks while a server writes to them: what the sender needs to know of the source, and what it lets
 * be known.
 *
 * All of the disks is brought over once, then, pass after pass, what has changed meanwhile; until so little
 * is left that it fits in the time for which the server may stand still.  Then the source is frozen, the rest
 * follows, and what is committed is the content of that moment.
 *
 * The sender believes nothing that was not read after the freeze or is known not to have changed since it was
 * read: a disk of which that is not certain is compared as a whole by hash.
 */
#ifndef P2V_SYNC_LIVE_H
#define P2V_SYNC_LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "p2v/base/err.h"
#include "p2v/base/extents.h"

/* How it stands before a pass. */
struct live_state {
	unsigned pass; /* from 1, the first of what has changed */
	uint64_t rest_bytes; /* changed, and not brought over */
	uint64_t changed_bytes_per_second; /* lately; 0: not known */
	uint64_t bytes_per_second; /* brought over; 0: not known */
	double downtime_seconds; /* of a cutover now */
	bool is_certain; /* every change of every disk is known */
	bool is_ready; /* the downtime is not longer than wanted */
	bool is_converging; /* the rest shrinks, or is small enough */
};

enum live_order {
	LIVE_GO_ON,
	LIVE_CUT_OVER,
	LIVE_END, /* without a cutover; the job stays incomplete */
};

/* One call at a time, but for the first ones of find_used(). */
struct live_source {
	void *arg;
	/* Adds what was written to the disk, or discarded, since the last call; more does no harm.  What is
	 * read after it has returned is at least as new as what it has told.  *ret_is_certain: there is
	 * nothing else. */
	struct err *(*take_changes)(void *arg, size_t disk, struct extents *ret_changed,
				    bool *ret_is_certain);
	/* What of the disk holds data by now: called behind take_changes(), so that what becomes used later
	 * will be told as a change.  The rest need not be the same in the copy.  Also called before all
	 * others, for how much it is. */
	struct err *(*find_used)(void *arg, size_t disk, struct extents *ret_used);
	/* NULL, or adds the bytes of the disk that nobody but the server's volumes write to, for themselves,
	 * also while all writers are held: what changes there is brought over, and betrays no writer. */
	void (*find_own)(void *arg, size_t disk, struct extents *ret_own);
	/* Tells how it stands, and waits for an order, up to limit_ns (0: only looks). */
	enum live_order (*wait)(void *arg, const struct live_state *state, uint64_t limit_ns);
	/* NULL, or asked now and then while a pass is made and writers work: how much to hold back for them,
	 * 0 not at all.  A disk is then read for 1 / (n + 1) of the time. */
	unsigned (*hold_back)(void *arg);
	/* The cutover begins: what is to be done before the freeze, and takes its time. */
	struct err *(*prepare)(void *arg);
	/* Holds all writers.  When it returns nothing is under way to the disks any more. */
	struct err *(*freeze)(void *arg);
	/* Asked now and then while the rest is brought over: whether all is still frozen. */
	struct err *(*check_frozen)(void *arg);
	/* Asked when it is over.  NULL: since freeze() returned nobody can have written to what is used, nor
	 * has. */
	struct err *(*check)(void *arg);
	/* The cutover has failed: lets writers go on.  Also where prepare() or freeze() has failed. */
	void (*thaw)(void *arg, const struct err *why);
	/* NULL, or asked after that: nobody goes on who could write, or be captured.  The run then ends. */
	bool (*is_over)(void *arg);
	/* NULL: it goes on once its copy is complete, and is not asked.  Else the receiver has everything,
	 * but has completed nothing.  What check() asks, and then the decision: from here on nobody lets
	 * writers go on.  An error: there is none, all is as before. */
	struct err *(*keep)(void *arg);
	/* Asked before the receiver is told once more: an error if somebody else has let writers go on. */
	struct err *(*check_kept)(void *arg);
};

struct live_options {
	const struct live_source *source;
	uint64_t downtime_ns; /* wanted */
	uint64_t freeze_limit_ns; /* longer is not possible */
	uint64_t pause_ns; /* between passes, where there is little to do; default 1 s */
	uint64_t patience_ns; /* after keep(), until the receiver has answered; default 10 minutes */
	bool cuts_over; /* as soon as it is ready; else when it is ordered */
};

#endif
