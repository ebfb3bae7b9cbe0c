/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The receiver: takes in jobs over connections that its user accepts (wire.h).
 *
 * A job is a folder below `dir`, named as the job: job.json (checkpoint.h), a log, a manifest a disk, and the
 * copies, which its user makes through `store`.  Senders are not believed: what they say is checked
 * against the protocol, the disks and the space there is, and none of it becomes a path but a checked job
 * name.
 *
 * Machines that only announce themselves are remembered beside the jobs: announced.h.
 */
#ifndef P2V_SYNC_RECEIVER_H
#define P2V_SYNC_RECEIVER_H

#include "p2v/base/blk.h"
#include "p2v/base/log.h"
#include "p2v/sync/checkpoint.h"
#include "p2v/sync/key.h"

struct receiver;

/* Where copies live.  Calls for one job come one at a time, for several jobs at once. */
struct receiver_store {
	void *arg;
	/* Makes the copy of the disk of that number, all zeros, in the job's folder.  What an interrupted
	 * attempt has left under its name is not wanted any more. */
	struct err *(*make)(void *arg, const char *folder, size_t number, const struct checkpoint_disk *disk,
			    struct blk **ret_blk);
	/* Opens it for writing, complete or not. */
	struct err *(*open)(void *arg, const char *folder, size_t number, const struct checkpoint_disk *disk,
			    struct blk **ret_blk);
	/* Called in each session before the first change of any copy of the job: from then on, and durably
	 * so, this one must not be taken for a complete one.  It may be such already. */
	struct err *(*begin)(void *arg, struct blk *blk);
	/* Called when all of a job is there, durable and compared: completes the copy. */
	struct err *(*finish)(void *arg, struct blk *blk);
	/* Keeps what the sender says of the machine, JSON of any content; ERR_REFUSED if it is not that of
	 * this job.  NULL: of no interest. */
	struct err *(*describe)(void *arg, const char *folder, const struct checkpoint *job, const char *text,
				size_t bytes);
};

/* Zeros mean the default. */
struct receiver_options {
	const char *dir;
	const struct key *key;
	struct receiver_store store;
	const struct log *log;
	unsigned max_sessions; /* at once; default 16 */
	unsigned max_lanes; /* of a session; default 4 */
	unsigned max_machines; /* that are known to have announced themselves; default 256 */
	uint32_t window_bytes; /* of all lanes of a session together, and so half of the memory it takes */
	uint64_t reserve_bytes; /* of free space that is left alone; default 256 MiB */
	uint64_t silence_limit_ns; /* default WIRE_SILENCE_SECONDS */
	uint64_t forget_seconds; /* after which a machine that is gone may be forgotten; default: a week */
};

/* Key, log and dir must live as long. */
struct err *receiver_create(const struct receiver_options *options, struct receiver **ret_receiver)
	ERR_MUST_CHECK;

/*
 * Serves one connection, a socket, to its end, in the calling thread; fd is closed in any case.  To be called
 * in a thread each.  The error says why the connection did not end well; it has been told to the other end,
 * where there is one, and logged.  `peer` is for the log.
 */
struct err *receiver_serve(struct receiver *receiver, int fd, const char *peer) ERR_MUST_CHECK;

/* Ends all sessions, now and later. */
void receiver_stop(struct receiver *receiver);

/* No receiver_serve() may be under way.  Takes NULL. */
void receiver_destroy(struct receiver *receiver);

#endif
