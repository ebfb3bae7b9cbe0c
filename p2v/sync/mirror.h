/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Copies of a job's copies, taken while the receiver goes on writing to these: round after round, what
 * differs by the manifests is brought over, until nothing does.  The job's files are only read.
 *
 * A manifest says what is durable in a copy (manifest.h).  What is read has the hash that the manifest says,
 * or counts as not yet read: so whatever the receiver does at the same time, a block of the mirror is one
 * that the copy had.  After a round that has found nothing to do the whole mirror is what the manifests said
 * at the start of that round.
 */
#ifndef P2V_SYNC_MIRROR_H
#define P2V_SYNC_MIRROR_H

#include "p2v/base/blk.h"
#include "p2v/base/progress.h"
#include "p2v/sync/checkpoint.h"

struct mirror;

struct mirror_options {
	const char *folder; /* of the job */
	const struct checkpoint *job;
	/* Opens the copy of that number as it is on disk just now, for reading only.  What is found there may
	 * be nonsense, as it may be being written: that is noticed. */
	struct err *(*open)(void *arg, size_t number, struct blk **ret_blk);
	void *arg;
	struct blk *const *targets; /* one a disk, all zeros, of at least its size; they must live as long */
	const char *scratch_dir; /* for a few files that are of no use afterwards */
	struct progress *progress; /* or NULL: counts bytes that were looked for in copies */
};

struct mirror_round {
	uint64_t copied_bytes; /* or made zeros */
	uint64_t missing_bytes; /* that differ still, as they were being written */
};

/* What the options point to must live as long.  ERR_REFUSED: there are no manifests of these disks. */
struct err *mirror_create(const struct mirror_options *options, struct mirror **ret_mirror) ERR_MUST_CHECK;
void mirror_destroy(struct mirror *mirror); /* takes NULL */

/* How much there is at the moment that differs. */
struct err *mirror_count(struct mirror *mirror, uint64_t *ret_bytes) ERR_MUST_CHECK;

/* Once over all disks.  Errors are those of targets and manifests. */
struct err *mirror_go_round(struct mirror *mirror, struct mirror_round *ret_round) ERR_MUST_CHECK;

/* Why something could not be read in the last round; NULL: it was being written, or nothing is missing.  It
 * stays the mirror's. */
const struct err *mirror_read_error(const struct mirror *mirror);

DEFINE_CLEANUP(mirror, struct mirror *, mirror_destroy)
#define CLEANUP_MIRROR CLEANUP(cleanup_mirror)

#endif
