/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What passes over disks in use (sender-live.c) and the cutover (sender-cutover.c) share.
 */
#ifndef P2V_SYNC_SENDER_LIVE_IMPL_H
#define P2V_SYNC_SENDER_LIVE_IMPL_H

#include "p2v/base/run.h"
#include "p2v/sync/forecast.h"
#include "p2v/sync/sender-impl.h"

#define NS_PER_SECOND 1000000000ull

struct live_disk {
	bool is_uncertain; /* all of it may differ */
	bool is_compared; /* as a whole, since it is frozen */
	struct extents used; /* when changes were taken last */
	struct extents pending, newest; /* whole blocks: that may differ, that were taken last */
	struct extents hot; /* changed again at once */
};

struct live {
	struct run *run;
	const struct live_options *options;
	const struct live_source *source;
	struct live_disk *disks;
	size_t disk_count;
	struct extents *sent; /* by the pass; one a disk */
	struct forecast forecast;
	double whole_seconds; /* of a pass by hash, of all disks */
	struct live_state state;
	uint64_t taken_ns; /* when changes were taken last */
	uint64_t began_ns; /* the pass */
	uint64_t progress_bytes; /* of all passes so far */
	bool is_frozen;
};

static inline double seconds_since(uint64_t start_ns)
{
	return (run_now_ns() - start_ns) / (double)NS_PER_SECOND;
}

/* sender-live.c */

/* Every change up to now becomes pending. */
struct err *live_take_changes(struct live *live) ERR_MUST_CHECK;
/* A pass over all that is pending, or without what changes all the time, and all of uncertain disks. */
struct err *live_send_pending(struct live *live, bool with_hot) ERR_MUST_CHECK;

/* sender-cutover.c */

/* *ret_is_done says whether it is done.  What has failed is undone, and is an error where nobody could order
 * another one. */
struct err *live_try_cutover(struct live *live, bool *ret_is_done) ERR_MUST_CHECK;

#endif
