/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tells from SYNCs when a pass is over (wire.h, 5): when every lane has ended the same one.  Each lane says
 * SYNC once a pass, so its n-th ends its part of the n-th; a lane that has been given nothing yet must not be
 * taken for one that is through.  A lane that connects later has nothing of the first pass: what it would
 * bring waits for it.  A file that cannot be written stops nothing.
 */
#include "p2v/sync/receiver-impl.h"

static void save(struct session *session)
{
	struct err *err = passes_save(&session->passes, session->job.folder);

	if (err)
		log_debug(session->receiver->options.log, "%s", err_message(err));
	err_free(err);
}

void session_begin_passes(struct session *session)
{
	struct err *err = NULL;

	pthread_mutex_init(&session->passes_lock, NULL);
	session->pass = 0;
	session->lanes_there = session->lanes_through = 0;
	session->is_cut_off = false;
	session->passes = (struct passes){0};
	if (!session->job.copies[0].fresh)
		err = passes_load(session->job.folder, &session->passes);
	err_free(err);
	/* What the sender is about to bring is not known yet. */
	session->passes.is_between = false;
	session->passes.is_connected = true;
	save(session);
}

void session_end_passes(struct session *session)
{
	session->passes.is_connected = false;
	save(session);
	pthread_mutex_destroy(&session->passes_lock);
}

/* With passes_lock. */
static bool is_through(const struct session *session, const struct lane_pass *lane)
{
	return lane->ended == session->pass && !lane->has_content;
}

/* With passes_lock.  Passes with nothing in them leave everything as it was, and are not counted. */
static void look_whether_over(struct session *session)
{
	if (session->is_cut_off || session->passes.is_between || !session->pass ||
	    session->lanes_through < session->lanes_there)
		return;
	session->passes.is_between = true;
	session->passes.over++;
	save(session);
}

void session_lane_comes(struct session *session)
{
	LOCKED(&session->passes_lock);

	session->lanes_there++;
	/* Before the first pass is over nobody has ended any. */
	session->lanes_through += !session->pass;
}

void session_lane_ends_pass(struct session *session, struct lane_pass *lane)
{
	LOCKED(&session->passes_lock);

	lane->ended++;
	lane->has_content = false;
	if (lane->ended > session->pass) {
		session->pass = lane->ended;
		session->lanes_through = 0;
	}
	session->lanes_through += is_through(session, lane);
	look_whether_over(session);
}

void session_lane_brings(struct session *session, struct lane_pass *lane)
{
	LOCKED(&session->passes_lock);

	if (lane->has_content)
		return;
	session->lanes_through -= is_through(session, lane);
	lane->has_content = true;
	if (!session->passes.is_between)
		return;
	session->passes.is_between = false;
	save(session);
}

void session_lane_leaves(struct session *session, const struct lane_pass *lane)
{
	LOCKED(&session->passes_lock);

	session->lanes_there--;
	session->lanes_through -= is_through(session, lane);
	/* What it has not ended nobody will. */
	session->is_cut_off |= !is_through(session, lane);
	look_whether_over(session);
}
