/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The cutover of a server that is shut down (live-shutdown.h): what holds writers
 * is that there are none any more, and that its file systems are unmounted, or can
 * only be read.  One that can be neither is frozen.
 *
 * Up to the decision whatever fails ends in the server starting again, as it was; so
 * do we, with an error that is for good.  Behind it it goes off, and stays off.
 */
#include "p2v/base/mem.h"
#include "p2v/cmd/send-live-impl.h"

struct err *send_live_prepare_shutdown(struct send_live *live)
{
	TRY(live_shutdown_create(live->for_sender.freeze_limit_ns, &live->log.log, &live->shutdown));
	/* So that unmounting takes little time. */
	sync();
	return NULL;
}

/* Most often there is nothing left to freeze. */
static struct err *hold_what_is_left(struct send_live *live)
{
	TRY(send_live_find_mounted(live));
	for (size_t i = 0; i < live->points.count; i++)
		log_warning(&live->log.log, "%s: could not be unmounted: is frozen", live->points.items[i]);
	TRY(freeze_create(&live->points, live_shutdown_left_ns(live->shutdown), &live->freeze));
	return send_live_hold(live);
}

struct err *send_live_shut_down(void *arg)
{
	struct send_live *live = arg;

	live_neighbour_hurry(live->neighbour, true);
	TRY(live_shutdown_order(live->shutdown));
	live->is_shutting_down = true;
	live_orders_answer(live->orders,
			   "done: the server shuts down; it goes off when its copy is complete, and "
			   "starts again if that cannot be");
	log_info(&live->log.log, "waiting for the server to shut down");
	TRY(live_shutdown_wait(live->shutdown));
	log_info(&live->log.log, "the server has shut down: its last changes are sent");
	return hold_what_is_left(live);
}

bool send_live_is_over(void *arg)
{
	const struct send_live *live = arg;

	return live->is_shutting_down;
}

struct err *send_live_end_shutdown(struct send_live *live, struct err *err)
{
	CLEANUP_ERR struct err *cause = err;

	if (!err)
		return NULL;
	if (!live->is_kept)
		return err_advise(err_refused("the copy is not complete, the server starts again: %s",
					      err_message(cause)),
				  "when it is up, run the same command again: only what differs travels");
	return err_advise(
		err_refused("the server goes off: %s", err_message(cause)),
		"ask 'p2v status' at the receiver: if the job is complete, leave this server off; if it "
		"is held, 'p2v convert --take-held' there, or switch this server on again");
}
