/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A thread beside guestfs_launch(), which blocks and cannot be interrupted: it
 * ends a launch that takes too long by killing every process that the launch
 * has started, and tells the guardian what must not be left behind.
 */
#ifndef P2V_GUEST_LAUNCH_WATCH_H
#define P2V_GUEST_LAUNCH_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "p2v/base/err.h"
#include "p2v/base/guardian.h"

struct launch_watch;

/* From here on, new children of this process are the launch's. */
struct err *launch_watch_start(uint64_t limit_ns, struct guardian *guardian, struct launch_watch **ret_watch)
	ERR_MUST_CHECK;

/* Ends the watch and frees it.  True if the time was up. */
bool launch_watch_stop(struct launch_watch *watch);

#endif
