/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The sender: brings a receiver's copies to what a machine's disks hold (wire.h). */
#ifndef P2V_SYNC_SENDER_H
#define P2V_SYNC_SENDER_H

#include "p2v/base/blk.h"
#include "p2v/base/log.h"
#include "p2v/base/progress.h"
#include "p2v/sync/hash.h"
#include "p2v/sync/key.h"
#include "p2v/sync/live.h"

/* What its extents report as zeros is not read: a used map is a struct blk in front of the disk. */
struct sender_disk {
	struct blk *blk;
	const char *id; /* as in struct wire_disk */
};

#define SENDER_VERIFY (1u << 0) /* the receiver reads its copies again before it completes them */
#define SENDER_ZERO_UNREADABLE (1u << 1) /* what cannot be read is sent as zeros; else it ends the run */

/* Zeros mean the default.  All must live as long as the run. */
struct sender_options {
	const struct key *key;
	/* Makes a connection to the receiver, a socket; called from several threads. */
	struct err *(*connect)(void *arg, int *ret_fd);
	void *connect_arg;
	const char *name; /* of the job */
	uint8_t run[WIRE_RUN_BYTES]; /* random; the same when the same is tried again */
	const char *machine_json; /* as in MACHINE; NULL: not known */
	const struct sender_disk *disks;
	size_t disk_count;
	uint32_t block_bytes; /* default WIRE_MIN_BLOCK_BYTES */
	unsigned lanes; /* default: two for each processor, as far as the receiver allows */
	uint64_t limit_bytes_per_second; /* on the wire; 0: none */
	uint64_t silence_limit_ns; /* default WIRE_SILENCE_SECONDS */
	/* NULL, or asked when all is there and before it is complete; an error ends the run, ERR_REFUSED for
	 * good. */
	struct err *(*before_commit)(void *arg);
	void *before_commit_arg;
	/* NULL: the disks do not change.  Else their extents are of no interest, and what is read of them
	 * must come from the disk itself, not from a cache. */
	const struct live_options *live;
	unsigned flags;
	const struct log *log;
	struct progress *progress; /* counts bytes read of the disks; its total is set */
};

/* Zero-initialise; what was done so far is in it also after an error. */
/* What a cutover took; all zeros where there was none.  Writers are held from its start on. */
struct sender_cutover {
	uint64_t freeze_ns; /* until they were */
	uint64_t rest_bytes; /* changed by then, and not brought over */
	uint64_t send_ns; /* until the receiver had that */
	uint64_t commit_ns; /* until it had the copy durable, compared and complete */
};

struct sender_result {
	uint64_t read_bytes; /* from the disks */
	uint64_t content_bytes; /* sent, before compression */
	uint64_t wire_bytes; /* both ways, TLS's own not counted */
	struct root root; /* of the job, as both ends have it */
	struct sender_cutover cutover;
	struct extents *unreadable; /* one for each disk */
	size_t disk_count;
};
void sender_result_deinit(struct sender_result *result);
#define CLEANUP_SENDER_RESULT CLEANUP(sender_result_deinit)

/* NULL: the receiver has all of it, durable and compared, and the job is complete.  ERR_FAILED: doing the
 * same again may help, and goes on where this ended.  ERR_REFUSED: it will not. */
struct err *sender_run(const struct sender_options *options, struct sender_result *result) ERR_MUST_CHECK;

#endif
