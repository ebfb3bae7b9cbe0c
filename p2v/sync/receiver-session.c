/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The control connection of a session: from JOB to COMMITTED. */
#include <string.h>

#include "p2v/sync/receiver-impl.h"

static struct err *send_alive(const struct session *session)
{
	const struct message alive = {.type = WIRE_ALIVE};

	return channel_send(session->control, &alive);
}

static struct err *send_ready(struct session *session)
{
	struct job *job = &session->job;
	uint8_t flags[WIRE_MAX_DISKS] = {0};
	struct message ready = {
		.type = WIRE_READY,
		.ready = {job->checkpoint.hash_key, flags, job->checkpoint.disk_count},
	};

	for (size_t i = 0; i < job->checkpoint.disk_count; i++)
		flags[i] = job->copies[i].fresh ? WIRE_DISK_FRESH : 0;
	return channel_send(session->control, &ready);
}

static void set_state(struct session *session, enum session_state state)
{
	LOCKED(&session->receiver->lock);

	session->state = state;
}

static struct err *take_machine(struct session *session, const struct message_machine *machine)
{
	const struct receiver_store *store = &session->receiver->options.store;

	if (!store->describe)
		return NULL;
	return store->describe(store->arg, session->job.folder, &session->job.checkpoint,
			       (const char *)machine->text, machine->text_bytes);
}

static struct err *check_hold(const struct session *session, const struct message_commit *commit,
			      bool is_held)
{
	if (!(commit->flags & WIRE_COMMIT_HOLD) || (session->version >= WIRE_HOLD_VERSION && !is_held))
		return NULL;
	return err_failed("the sender broke the protocol: COMMIT: %s",
			  is_held ? "to hold what is held" : "to hold, in a version that does not have that");
}

/* What it says instead of the last word: its server goes on, so the copy is none that could take over. */
static struct err *take_refusal(struct session *session, struct err *refusal)
{
	struct err *err = job_end_hold(&session->job);

	job_log(&session->job, session->peer, "not held any more: the sender goes on");
	return err_first(refusal, err);
}

/* Up to the commit that completes it. */
static struct err *serve(struct session *session, struct message *message)
{
	unsigned allowed = CHANNEL_TYPE(WIRE_ALIVE) | CHANNEL_TYPE(WIRE_COMMIT) | CHANNEL_TYPE(WIRE_MACHINE);
	bool is_held = false, end = false;

	for (;;) {
		struct err *err;

		message->type = 0;
		err = channel_receive(session->control, allowed, message, NULL);
		if (err)
			return is_held && message->type == WIRE_REFUSED ? take_refusal(session, err) : err;
		if (message->type == WIRE_MACHINE) {
			TRY(take_machine(session, &message->machine));
		} else if (message->type == WIRE_ALIVE) {
			TRY(send_alive(session));
		} else {
			TRY(check_hold(session, &message->commit, is_held));
			TRY(session_commit(session, &message->commit));
			if (!(message->commit.flags & WIRE_COMMIT_HOLD))
				break;
			is_held = true;
			allowed = CHANNEL_TYPE(WIRE_ALIVE) | CHANNEL_TYPE(WIRE_COMMIT);
		}
	}
	/* It is complete: how the connection ends changes nothing.  The next session may be taking over. */
	err_free(channel_receive(session->control, 0, message, &end));
	return NULL;
}

static struct err *open_session(struct session *session, const struct message *message)
{
	memcpy(session->name, message->job.name, message->job.name_bytes);
	TRY(session_claim_name(session, &message->job));
	TRY(job_open(&session->receiver->options, &message->job, session->peer, &session->job));
	job_log(&session->job, session->peer, "connected, %s",
		session->job.checkpoint.complete     ? "to bring a complete job up to date"
		: session->job.checkpoint.held_since ? "to a job that is held"
		: session->job.copies[0].fresh	     ? "to send all of it"
						     : "to go on where it was");
	TRY(writer_start(&session->job, &session->writer));
	session_begin_passes(session);
	log_info(session->receiver->options.log, "%s: job %s: %zu disk%s", session->peer, session->name,
		 session->job.checkpoint.disk_count, session->job.checkpoint.disk_count == 1 ? "" : "s");
	set_state(session, SESSION_OPEN);
	return send_ready(session);
}

struct err *session_run(struct session *session, struct message *message)
{
	struct err *err = open_session(session, message);

	if (!err)
		err = serve(session, message);
	if (err && session_is_taken_over(session)) {
		err_free(err);
		err = checkpoint_superseded();
		/* First of all, so that the sender knows it when its lanes end. */
		channel_refuse(session->control, WIRE_TAKEN_OVER, err);
	}
	if (err)
		job_log(&session->job, session->peer, "ended: %s", err_message(err));
	session_end_lanes(session);
	if (session->writer)
		session_end_passes(session);
	writer_stop(session->writer);
	job_close(&session->job);
	return err;
}
