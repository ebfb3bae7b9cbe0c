/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The control connection of a session: from JOB to COMMITTED. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/sync/receiver-impl.h"

#define NS_PER_SECOND 1000000000ull
#define VERIFY_BYTES (4u << 20) /* read at a time; whole pages of blocks of any size are not needed */

static struct err *send_alive(struct session *session)
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

/* Long work between two messages: says now and then that we are there. */
struct patience {
	struct session *session;
	uint64_t next_ns;
};

static struct err *stay_alive(struct patience *patience)
{
	if (session_is_taken_over(patience->session))
		return err_failed("taken over");
	if (run_now_ns() < patience->next_ns)
		return NULL;
	patience->next_ns = run_now_ns() + WIRE_ALIVE_SECONDS * NS_PER_SECOND;
	return send_alive(patience->session);
}

struct verification {
	struct patience patience;
	struct job *job;
	size_t disk;
	uint8_t *data;
	uint64_t wrong_blocks;
};

/* Compares the copy with what the manifest says; what differs is in doubt from then on. */
static struct err *verify_blocks(struct verification *verification, uint64_t first_block, size_t count,
				 const wire_hash *hashes)
{
	struct copy *copy = &verification->job->copies[verification->disk];
	size_t bytes = copy_bytes(copy, first_block, count);
	wire_hash found[VERIFY_BYTES / WIRE_MIN_BLOCK_BYTES];

	TRY(blk_pread(copy->blk, verification->data, bytes, first_block * copy->block_bytes));
	hash_blocks(verification->job->checkpoint.hash_key, verification->data, bytes, copy->block_bytes,
		    found);
	for (size_t i = 0; i < count; i++) {
		if (hash_equal(found[i], hashes[i]))
			continue;
		verification->wrong_blocks++;
		TRY(manifest_fill(copy->manifest, first_block + i, 1, hash_in_doubt));
	}
	return stay_alive(&verification->patience);
}

/* All of the copy, holes of the manifest too: what should be zeros may not be. */
static struct err *verify_copy(struct verification *verification)
{
	struct copy *copy = &verification->job->copies[verification->disk];
	size_t step = VERIFY_BYTES / copy->block_bytes, count;
	wire_hash hashes[VERIFY_BYTES / WIRE_MIN_BLOCK_BYTES];

	for (uint64_t block = 0; block < copy->block_count; block += count) {
		count = copy->block_count - block < step ? copy->block_count - block : step;
		TRY(manifest_read(copy->manifest, block, count, hashes));
		TRY(verify_blocks(verification, block, count, hashes));
	}
	return manifest_sync(copy->manifest);
}

static struct err *verify(struct session *session)
{
	CLEANUP_FREE uint8_t *data = malloc(VERIFY_BYTES);
	struct verification verification = {.patience = {session, 0}, .job = &session->job, .data = data};

	if (!data)
		return err_nomem();
	for (size_t i = 0; i < session->job.checkpoint.disk_count; i++) {
		verification.disk = i;
		TRY(verify_copy(&verification));
	}
	if (!verification.wrong_blocks)
		return NULL;
	TRY(job_begin_changes(&session->job));
	return err_advise(
		err_failed("%" PRIu64 " blocks of the copies are not what was written",
			   verification.wrong_blocks),
		"see whether the receiver's disk is failing; then send again: only these blocks travel");
}

static struct err *differs(const struct checkpoint_disk *disk)
{
	return err_advise(err_failed("the copy of disk %s differs from what was sent", disk->id),
			  "run the same command again: what differs is sent again");
}

static struct err *compare_roots(struct session *session, const struct message_commit *commit)
{
	struct job *job = &session->job;
	struct patience patience = {session, 0};
	CLEANUP_FREE struct root *roots = xcalloc(job->checkpoint.disk_count, sizeof *roots);
	CLEANUP_FREE uint64_t *sizes = xcalloc(job->checkpoint.disk_count, sizeof *sizes);

	if (commit->disk_count != job->checkpoint.disk_count)
		return err_failed("the sender broke the protocol: COMMIT: of another number of disks");
	for (size_t i = 0; i < job->checkpoint.disk_count; i++) {
		uint64_t in_doubt = 0;

		TRY(manifest_root(job->copies[i].manifest, job->checkpoint.hash_key, i, &roots[i],
				  &in_doubt));
		if (in_doubt || memcmp(&roots[i], &commit->roots[i], sizeof *roots))
			return differs(&job->checkpoint.disks[i]);
		sizes[i] = job->checkpoint.disks[i].size_bytes;
		TRY(stay_alive(&patience));
	}
	root_of_job(job->checkpoint.hash_key, sizes, roots, job->checkpoint.disk_count,
		    &job->checkpoint.root);
	return NULL;
}

static struct err *commit(struct session *session, const struct message_commit *message)
{
	struct job *job = &session->job;
	struct message committed = {.type = WIRE_COMMITTED};

	session_end_lanes(session);
	TRY(compare_roots(session, message));
	if (message->flags & WIRE_COMMIT_VERIFY)
		TRY(verify(session));
	TRY(job_complete(job));
	job_log(job, session->peer, "complete%s",
		message->flags & WIRE_COMMIT_VERIFY ? ", all of it read again" : "");
	log_info(session->receiver->options.log, "%s: job %s: complete", session->peer, session->name);
	committed.committed = job->checkpoint.root;
	return channel_send(session->control, &committed);
}

static struct err *take_machine(struct session *session, const struct message_machine *machine)
{
	const struct receiver_store *store = &session->receiver->options.store;

	if (!store->describe)
		return NULL;
	return store->describe(store->arg, session->job.folder, &session->job.checkpoint,
			       (const char *)machine->text, machine->text_bytes);
}

static struct err *serve(struct session *session, struct message *message)
{
	const unsigned allowed =
		CHANNEL_TYPE(WIRE_ALIVE) | CHANNEL_TYPE(WIRE_COMMIT) | CHANNEL_TYPE(WIRE_MACHINE);
	bool end = false;

	for (;;) {
		TRY(channel_receive(session->control, allowed, message, NULL));
		if (message->type == WIRE_COMMIT)
			break;
		if (message->type == WIRE_MACHINE)
			TRY(take_machine(session, &message->machine));
		else
			TRY(send_alive(session));
	}
	TRY(commit(session, &message->commit));
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
		session->job.checkpoint.complete ? "to bring a complete job up to date"
		: session->job.copies[0].fresh	 ? "to send all of it"
						 : "to go on where it was");
	TRY(writer_start(&session->job, &session->writer));
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
	writer_stop(session->writer);
	job_close(&session->job);
	return err;
}
