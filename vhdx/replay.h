/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Log replay ([MS-VHDX] 2.3.3): a file as it will be once its log is applied.
 */
#ifndef VHDX_REPLAY_H
#define VHDX_REPLAY_H

#include "p2v/base/blk.h"
#include "vhdx/log.h"

/*
 * A read-only device (kind "vhdx-replayed") that shows the file with the sequence
 * applied, in memory; the file is not touched, stays the caller's and must live
 * longer.  Memory: what the log holds.
 */
struct err *vhdx_replay_create(struct blk *file, const struct vhdx_log_ring *ring,
			       const struct vhdx_log_sequence *sequence, struct blk **ret_replayed)
	ERR_MUST_CHECK;

/*
 * Applies it in the file, which becomes as long as the log says, and flushes.
 * Interrupted, it can be done again.  The caller empties the log afterwards.
 */
struct err *vhdx_replay_apply(struct blk *replayed) ERR_MUST_CHECK;

#endif
