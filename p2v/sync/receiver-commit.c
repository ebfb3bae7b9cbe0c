/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * COMMIT: whether the copies are what the sender has read, and that the job is
 * complete, or held, from then on.
 *
 * Nothing changes a copy without ending the hold first, durably (job_begin_changes()):
 * so the root that a held job remembers is that of its copies, and the commit that
 * completes it need not look at them again.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/sync/receiver-impl.h"

#define NS_PER_SECOND 1000000000ull
#define VERIFY_BYTES (4u << 20) /* read at a time; whole pages of blocks of any size are not needed */

/* Long work between two messages: says now and then that we are there. */
struct patience {
	struct session *session;
	uint64_t next_ns;
};

static struct err *stay_alive(struct patience *patience)
{
	const struct message alive = {.type = WIRE_ALIVE};

	if (session_is_taken_over(patience->session))
		return err_failed("taken over");
	if (run_now_ns() < patience->next_ns)
		return NULL;
	patience->next_ns = run_now_ns() + WIRE_ALIVE_SECONDS * NS_PER_SECOND;
	return channel_send(patience->session->control, &alive);
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

/* All that the manifests know against what the sender says. */
static struct err *compare_roots(struct session *session, const struct message_commit *commit)
{
	const struct job *job = &session->job;
	struct patience patience = {session, 0};

	for (size_t i = 0; i < job->checkpoint.disk_count; i++) {
		uint64_t in_doubt = 0;
		struct root root;

		TRY(manifest_root(job->copies[i].manifest, job->checkpoint.hash_key, i, &root, &in_doubt));
		if (in_doubt || memcmp(&root, &commit->roots[i], sizeof root))
			return differs(&job->checkpoint.disks[i]);
		TRY(stay_alive(&patience));
	}
	return NULL;
}

static struct err *find_root(const struct checkpoint *job, const struct message_commit *commit,
			     struct root *ret_root)
{
	CLEANUP_FREE uint64_t *sizes = xcalloc(job->disk_count, sizeof *sizes);

	if (commit->disk_count != job->disk_count)
		return err_failed("the sender broke the protocol: COMMIT: of another number of disks");
	for (size_t i = 0; i < job->disk_count; i++)
		sizes[i] = job->disks[i].size_bytes;
	root_of_job(job->hash_key, sizes, commit->roots, job->disk_count, ret_root);
	return NULL;
}

static bool is_held_as(const struct checkpoint *job, const struct root *root)
{
	return job->held_since && !memcmp(&job->root, root, sizeof *root);
}

struct err *session_commit(struct session *session, const struct message_commit *commit)
{
	struct job *job = &session->job;
	struct message committed = {.type = WIRE_COMMITTED};
	bool holds = commit->flags & WIRE_COMMIT_HOLD, verifies = commit->flags & WIRE_COMMIT_VERIFY;

	session_end_lanes(session);
	TRY(find_root(&job->checkpoint, commit, &committed.committed));
	if (!is_held_as(&job->checkpoint, &committed.committed))
		TRY(compare_roots(session, commit));
	if (verifies)
		TRY(verify(session));
	TRY(holds ? job_hold(job, &committed.committed) : job_complete(job, &committed.committed));
	job_log(job, session->peer, "%s%s",
		holds ? "held: all of it is here, but the sender may still go on" : "complete",
		verifies ? ", all of it read again" : "");
	log_info(session->receiver->options.log, "%s: job %s: %s", session->peer, session->name,
		 holds ? "held" : "complete");
	return channel_send(session->control, &committed);
}
