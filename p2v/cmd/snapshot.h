/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The disks of a job that is still being received, as they were at one moment, in files of our own.  The
 * job's files are only read.
 */
#ifndef P2V_CMD_SNAPSHOT_H
#define P2V_CMD_SNAPSHOT_H

#include "p2v/base/blk.h"
#include "p2v/base/log.h"
#include "p2v/base/progress.h"
#include "p2v/base/strv.h"
#include "p2v/sync/checkpoint.h"

struct snapshot {
	struct checkpoint job;
	uint64_t passes; /* of the sender that it has all of */
	bool is_settled; /* taken between two passes, or of a job that is at rest; else in the midst of one */
	bool is_final; /* of a job that is complete, or held: its server does not write any more */
	struct strv files; /* a VHDX for each disk, in order */
};

/* Makes DISKn.vhdx in work_dir, which has to have room for all that the disks hold: ERR_REFUSED if it has
 * not, or if not even the sender's first pass is here.  ret_snapshot must be zero-initialised. */
struct err *snapshot_take(const char *folder, const char *work_dir, enum progress_style style,
			  const struct log *log, struct snapshot *ret_snapshot) ERR_MUST_CHECK;
void snapshot_deinit(struct snapshot *snapshot);
#define CLEANUP_SNAPSHOT CLEANUP(snapshot_deinit)

/* For struct mirror_options, with the job's folder as arg. */
struct err *snapshot_open_copy(void *arg, size_t number, struct blk **ret_blk) ERR_MUST_CHECK;
/* ERR_REFUSED if so much, and what a conversion adds, does not fit there. */
struct err *snapshot_check_space(const char *work_dir, uint64_t wanted_bytes) ERR_MUST_CHECK;

#endif
