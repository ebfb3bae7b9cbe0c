/* SPDX-License-Identifier: GPL-3.0-or-later */
/* p2v send --live: the running server as the sender sees it (p2v/sync/live.h). */
#ifndef P2V_CMD_SEND_LIVE_H
#define P2V_CMD_SEND_LIVE_H

#include "p2v/cmd/send-disks.h"
#include "p2v/sync/live.h"

/* What becomes of the server when its copy is complete. */
enum live_fence {
	LIVE_FENCE_FROZEN, /* it stays frozen */
	LIVE_FENCE_NETWORK, /* the same, and its interfaces are down */
	LIVE_FENCE_POWEROFF,
	LIVE_FENCE_NONE, /* it goes on: the copy is one more server */
};

/* How nobody writes any more. */
enum live_mode {
	LIVE_MODE_FREEZE, /* file systems are frozen */
	LIVE_MODE_SHUTDOWN, /* the server is shut down, and they are unmounted */
};

struct send_live_options {
	const char *job;
	enum live_mode mode;
	uint64_t downtime_ns, max_freeze_ns; /* 0: the default */
	bool cuts_over;
	struct strv quiesce; /* services, as in live-quiesce.h */
	const char *pre_freeze, *post_freeze; /* commands of the user's; NULL: none */
	enum live_fence fence;
	const char *tracker; /* as tracker_options_parse() takes it; NULL: the best */
	bool takes_all; /* also what nothing uses */
	const struct log *log;
};

/* "frozen", … */
struct err *send_live_parse_fence(const char *name, enum live_fence *ret_fence) ERR_MUST_CHECK;
/* "freeze", "shutdown" */
struct err *send_live_parse_mode(const char *name, enum live_mode *ret_mode) ERR_MUST_CHECK;

struct send_live;
/* Begins to track the disks, which must be devices; options and disks must live as long.  ERR_REFUSED: it
 * cannot work here. */
struct err *send_live_open(const struct send_disks *disks, const struct send_live_options *options,
			   struct send_live **ret_live) ERR_MUST_CHECK;
const struct live_options *send_live_for_sender(const struct send_live *live);
/* Where messages go: while it is frozen, to memory. */
const struct log *send_live_log(const struct send_live *live);
/* For struct sender_options, as before_commit() with the struct as its argument. */
struct err *send_live_may_commit(void *arg) ERR_MUST_CHECK;
/* sender_run() has ended, as err says, which it takes: the server is fenced, or goes on, or, where that is
 * not known to be right, stays frozen.  The error is ERR_REFUSED where trying again is no help. */
struct err *send_live_end(struct send_live *live, struct err *err) ERR_MUST_CHECK;
void send_live_close(struct send_live *live); /* takes NULL */

DEFINE_CLEANUP(send_live, struct send_live *, send_live_close)
#define CLEANUP_SEND_LIVE CLEANUP(cleanup_send_live)

#endif
