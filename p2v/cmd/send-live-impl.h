/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The parts of send --live, for send-live*.c alone:
 *
 *	send-live.c          from the beginning to the end, and what is ordered meanwhile
 *	send-live-used.c     what of the disks counts, and what has changed of it
 *	send-live-space.c    what of them is used when tracking has begun
 *	send-live-cutover.c  freeze, look, decide, fence; or let it go on
 *	send-live-shutdown.c the same where the server is shut down instead
 */
#ifndef P2V_CMD_SEND_LIVE_IMPL_H
#define P2V_CMD_SEND_LIVE_IMPL_H

#include "capture/arrays.h"
#include "capture/freeze.h"
#include "capture/swapped.h"
#include "capture/track.h"
#include "p2v/cmd/live-log.h"
#include "p2v/cmd/live-neighbour.h"
#include "p2v/cmd/live-orders.h"
#include "p2v/cmd/live-quiesce.h"
#include "p2v/cmd/live-shutdown.h"
#include "p2v/cmd/send-live.h"

struct live_disk {
	struct extents used; /* or was written since we began */
	struct extents late; /* what the next one who takes gets as well */
	bool is_late_uncertain;
	struct changes_look look; /* when it was frozen */
};

struct send_live {
	const struct send_live_options *options;
	const struct send_disks *disks;
	struct live_disk *live_disks;
	struct live_source source;
	struct live_options for_sender;
	struct live_log log;
	struct tracker *tracker;
	struct swapped swapped; /* its content is left out */
	struct live_orders *orders;
	struct live_neighbour *neighbour;
	struct live_quiesce *quiesce;
	struct arrays arrays; /* since the latest cutover began */
	struct freeze *freeze; /* NULL but in a cutover */
	struct live_shutdown *shutdown; /* the same, in that mode */
	bool is_shutting_down; /* it was ordered */
	struct live_state state; /* the latest */
	unsigned told_pass;
	struct strv points; /* mount points that are frozen in a cutover, in this order */
	bool was_prepared; /* the user's command has run, and the other one has not yet */
	bool is_kept; /* it stays frozen for good */
};

/* send-live-used.c */

/* Whatever of all disks is in use now, once they are tracked; what becomes used later is a change. */
struct err *send_live_find_used(struct send_live *live) ERR_MUST_CHECK;
/* What was left out as swap, and is none any more, counts from now on. */
struct err *send_live_take_swaps_back(struct send_live *live) ERR_MUST_CHECK;
/* An error if there is any of that. */
struct err *send_live_check_swaps(const struct send_live *live) ERR_MUST_CHECK;
/* While nobody may write, and behind the last take: an error if anybody has, but for what writes for itself.
 */
struct err *send_live_check_late(struct send_live *live, size_t disk) ERR_MUST_CHECK;
/* For struct live_source. */
struct err *send_live_take_changes(void *arg, size_t disk, struct extents *ret_changed, bool *ret_is_certain)
	ERR_MUST_CHECK;
struct err *send_live_tell_used(void *arg, size_t disk, struct extents *ret_used) ERR_MUST_CHECK;

/* send-live-cutover.c */

/* The numbers of the disks ("8:0"), in their order. */
struct err *send_live_list_disks(const struct send_live *live, struct strv *ret_numbers) ERR_MUST_CHECK;
/* That it can be frozen at all is known before anything is read: tells what is to be. */
struct err *send_live_tell_mounted(struct send_live *live) ERR_MUST_CHECK;
struct err *send_live_find_mounted(struct send_live *live) ERR_MUST_CHECK;
/* Freezes what live->freeze has, and waits until arrays have noted so, and the disks are quiet. */
struct err *send_live_hold(struct send_live *live) ERR_MUST_CHECK;
/* For struct live_source, each with that name. */
void send_live_find_own(void *arg, size_t disk, struct extents *ret_own);
struct err *send_live_prepare(void *arg) ERR_MUST_CHECK;
struct err *send_live_freeze(void *arg) ERR_MUST_CHECK;
struct err *send_live_check_frozen(void *arg) ERR_MUST_CHECK;
struct err *send_live_check(void *arg) ERR_MUST_CHECK;
void send_live_thaw(void *arg, const struct err *why);
struct err *send_live_keep(void *arg) ERR_MUST_CHECK;
struct err *send_live_check_kept(void *arg) ERR_MUST_CHECK;

/* send-live-shutdown.c: the server is shut down instead */

struct err *send_live_prepare_shutdown(struct send_live *live) ERR_MUST_CHECK;
/* For struct live_source, in place of freeze(), and is_over(). */
struct err *send_live_shut_down(void *arg) ERR_MUST_CHECK;
bool send_live_is_over(void *arg);
/* The end of a run that has ordered it: what is to be told. */
struct err *send_live_end_shutdown(struct send_live *live, struct err *err) ERR_MUST_CHECK;

#endif
