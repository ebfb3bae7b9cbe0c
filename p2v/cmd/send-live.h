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

struct send_live_options {
	const char *job;
	uint64_t downtime_ns, max_freeze_ns; /* 0: the default */
	bool cuts_over;
	const char *pre_freeze, *post_freeze; /* commands of the user's; NULL: none */
	enum live_fence fence;
	const char *tracker; /* a tier's name; NULL: the best */
	bool takes_all; /* also what nothing uses */
	const struct log *log;
};

/* "frozen", … */
struct err *send_live_parse_fence(const char *name, enum live_fence *ret_fence) ERR_MUST_CHECK;

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
/* A session has ended without a commit: lets the server go on. */
void send_live_fail(struct send_live *live, const struct err *why);
/* The copy is complete.  The error, ERR_REFUSED as trying again is no help, says what the server has become
 * instead. */
struct err *send_live_finish(struct send_live *live) ERR_MUST_CHECK;
void send_live_close(struct send_live *live); /* takes NULL */

DEFINE_CLEANUP(send_live, struct send_live *, send_live_close)
#define CLEANUP_SEND_LIVE CLEANUP(cleanup_send_live)

#endif
