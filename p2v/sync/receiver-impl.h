/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The receiver's parts, for receiver*.c alone:
 *
 *	receiver.c          connections: who may come in, and to which session
 *	receiver-session.c  the control connection: a job from JOB to COMMITTED
 *	receiver-commit.c   what COMMIT asks for
 *	receiver-job.c      a job's folder, copies and manifests
 *	receiver-log.c      a job's log
 *	receiver-lane.c     a lane: checks content, gathers it in batches
 *	receiver-writer.c   makes batches durable, in the order that manifest.h wants
 *	receiver-content.c  writes what is in them
 *	receiver-passes.c   tells when all of a pass is there
 *	receiver-announce.c machines that announce themselves
 *	receiver-bundle.c   what they bring
 *
 * Threads: one for each connection; for each session one that writes, with a few helpers, and one that
 * settles what was written.  Lanes share nothing but the queue of the writer.
 */
#ifndef P2V_SYNC_RECEIVER_IMPL_H
#define P2V_SYNC_RECEIVER_IMPL_H

#include <pthread.h>

#include "p2v/sync/announced.h"
#include "p2v/sync/channel.h"
#include "p2v/sync/manifest.h"
#include "p2v/sync/passes.h"
#include "p2v/sync/receiver.h"

/* receiver-job.c */

struct copy {
	struct blk *blk;
	struct manifest *manifest;
	uint64_t block_count;
	uint32_t block_bytes;
	bool fresh; /* was made by this session */
};

struct job {
	char *folder;
	int lock_fd; /* of the folder */
	struct checkpoint checkpoint;
	struct copy *copies; /* checkpoint.disk_count */
	const struct receiver_store *store;
	bool is_changing; /* this session has begun to change the copies */
};

/* The peer is for the job's log. */
struct err *job_open(const struct receiver_options *options, const struct message_job *message,
		     const char *peer, struct job *ret_job) ERR_MUST_CHECK;
void job_close(struct job *job);
/* Before the first change: from then on neither the job is complete nor does any of its copies look so. */
struct err *job_begin_changes(struct job *job) ERR_MUST_CHECK;
/* All is there, with this root, but nothing looks complete. */
struct err *job_hold(struct job *job, const struct root *root) ERR_MUST_CHECK;
struct err *job_end_hold(struct job *job) ERR_MUST_CHECK;
/* Completes the copies, then the job, which has this root. */
struct err *job_complete(struct job *job, const struct root *root) ERR_MUST_CHECK;
/* Bytes of that many blocks: the last block of a disk may be short. */
size_t copy_bytes(const struct copy *copy, uint64_t first_block, size_t count);
bool copy_has_blocks(const struct copy *copy, uint64_t first_block, uint64_t count);

/* receiver-log.c */

/* Adds a line on what happened to the job's own log, as far as that works. */
#define JOB_LOG_FILE "log"
void job_log(const struct job *job, const char *peer, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* What lanes and the writer hand to each other. */

struct batch_op {
	uint32_t disk;
	bool is_zero;
	bool is_change; /* set by the writer: the copy does not have it already */
	uint64_t first_block, block_count;
	size_t data_offset; /* of content, in the batch */
	wire_hash hashes[WIRE_MAX_DATA_BLOCKS]; /* of content */
};

enum batch_state { BATCH_FREE, BATCH_QUEUED, BATCH_DURABLE, BATCH_FAILED };

/* A lane fills it while it is free, then it is the writer's until it is durable or has failed. */
struct batch {
	struct batch *next;
	/* Changes under the writer's lock, but for what the lane does; whether it is free a lane asks
	 * without. */
	_Atomic enum batch_state state;
	struct batch_op *ops;
	size_t op_count, op_capacity;
	uint8_t *data;
	size_t data_bytes;
	uint32_t cost_bytes; /* in terms of credit */
};

/* receiver-content.c */

/* What is done with a range of blocks of a copy. */
typedef struct err *(*range_fn)(struct batch_op *op, struct copy *copy, uint64_t first_block, uint64_t count);
/* Calls fn for each run of the operation's blocks that the manifest does not know to be zeros. */
struct err *content_for_runs(struct batch_op *op, struct copy *copy, range_fn fn) ERR_MUST_CHECK;
/* Writes the changes to the copies.  After an error any of them may be there, whole or in part. */
struct err *content_write(struct job *job, const struct batch *batches) ERR_MUST_CHECK;
/* Whether any two operations, of the one list or the other, have a block in common; also if that cannot be
 * told for want of memory.  Either may be NULL. */
bool content_do_overlap(const struct batch *a, const struct batch *b);

/* receiver-writer.c */

struct writer;
/* The job must live as long. */
struct err *writer_start(struct job *job, struct writer **ret_writer) ERR_MUST_CHECK;
void writer_stop(struct writer *writer); /* takes NULL; what is queued is written first */
void writer_submit(struct writer *writer, struct batch *batch);
/* Whether it is durable by now; waits for that if asked to.  The error is that of the writer, which has
 * failed for good then. */
struct err *writer_check(struct writer *writer, struct batch *batch, bool wait, bool *ret_durable)
	ERR_MUST_CHECK;

/* receiver-session.c */

enum session_state { SESSION_OPENING, SESSION_OPEN, SESSION_ENDING };

struct session {
	struct session *next;
	struct receiver *receiver;
	struct channel *control;
	const char *peer;
	unsigned version; /* that is spoken */
	char name[WIRE_MAX_NAME_BYTES + 1];
	uint8_t token[WIRE_TOKEN_BYTES];
	struct job job;
	struct writer *writer;
	pthread_mutex_t passes_lock; /* of what follows, up to is_cut_off */
	struct passes passes;
	uint64_t pass; /* the newest that a lane has ended; 0: none */
	unsigned lanes_there;
	unsigned lanes_through; /* that have ended this pass, and brought nothing since */
	bool is_cut_off; /* a lane has left before its end */
	/* Under the receiver's lock: */
	enum session_state state;
	bool taken_over;
	struct channel *lanes[WIRE_MAX_LANES];
	unsigned lane_count;
};

struct receiver {
	struct receiver_options options;
	uint32_t window_bytes; /* of a lane */
	struct announcements *announcements;
	pthread_mutex_t lock;
	pthread_cond_t changed; /* a session or a lane has left */
	struct session *sessions;
	unsigned session_count;
	bool stopped;
};

/* Runs a control connection, from JOB on, which is in `message`. */
struct err *session_run(struct session *session, struct message *message) ERR_MUST_CHECK;

/* receiver-commit.c */

/* Ends the lanes, compares, completes the job or holds it, and answers. */
struct err *session_commit(struct session *session, const struct message_commit *commit) ERR_MUST_CHECK;

/* receiver-passes.c */

/* How far a lane is; all zeros at first. */
struct lane_pass {
	uint64_t ended; /* passes: SYNCs that it has said */
	bool has_content; /* of the next one */
};

/* With the job open, and before it is closed. */
void session_begin_passes(struct session *session);
void session_end_passes(struct session *session);
/* Before its sender knows that it is there. */
void session_lane_comes(struct session *session);
/* It has said SYNC, and all that it brought is durable. */
void session_lane_ends_pass(struct session *session, struct lane_pass *lane);
/* It brings content: called before any of it is written. */
void session_lane_brings(struct session *session, struct lane_pass *lane);
/* When nothing of it is being written any more. */
void session_lane_leaves(struct session *session, const struct lane_pass *lane);

/* receiver-announce.c */

struct announcements;
/* A connection of a machine. */
struct announcing {
	struct announcing *next;
	struct announcements *announcements;
	const struct receiver_options *options;
	struct channel *channel;
	const char *peer;
	char id[ANNOUNCED_ID_BYTES];
	bool has_bundle; /* is bringing one */
	uint64_t changes_ns; /* that it has told are paid for up to then */
};

/* The options must live as long. */
struct err *announcements_create(const struct receiver_options *options,
				 struct announcements **ret_announcements) ERR_MUST_CHECK;
void announcements_destroy(struct announcements *announcements); /* takes NULL */
void announcements_stop(struct announcements *announcements);
/* Runs a connection, from ANNOUNCE on, which is in `message`. */
struct err *announcing_run(struct announcements *announcements, struct channel *channel, const char *peer,
			   struct message *message) ERR_MUST_CHECK;
/* Now. */
struct err *announcing_was_heard(struct announcing *connection) ERR_MUST_CHECK;
/* False: this machine is bringing one already. */
bool announcing_begin_bundle(struct announcing *connection);
void announcing_end_bundle(struct announcing *connection);

/* receiver-bundle.c */

/* Takes in a bundle of that size, from behind BUNDLE up to the last PART; `message` is for these. */
struct err *bundle_receive(struct announcing *connection, uint64_t bytes, struct message *message)
	ERR_MUST_CHECK;

/* receiver.c */

/* Makes the session the one of its job: an older one of the same disks is ended first. */
struct err *session_claim_name(struct session *session, const struct message_job *message) ERR_MUST_CHECK;
/* Whether a newer one has come for it. */
bool session_is_taken_over(struct session *session);
/* No lane is there, nor will be one, when it returns. */
void session_end_lanes(struct session *session);

/* receiver-lane.c */

/* Runs a lane of the session, from behind its WELCOME, to its end; `pass` is what it counts in. */
struct err *lane_run(struct session *session, struct channel *channel, struct lane_pass *pass) ERR_MUST_CHECK;

#endif
