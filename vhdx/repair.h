/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Repairing a damaged VHDX: first a plan, which tells what will be changed and
 * what is lost; then, if that is wanted, the changes.
 *
 * A plan is made in memory and judged there by the same check that judges files:
 * what cannot be brought to open is refused, and nothing was touched.  A backup of
 * all that the changes overwrite can be written before, and put back later.
 *
 * What is saved: a damaged copy of a header or region table (from the other one, or
 * from what lies in the file); a log that cannot be replayed (as far as it is
 * whole); BAT entries that lead nowhere, or two to one place; metadata, where a value
 * follows from others; a file cut off or of odd length.
 */
#ifndef VHDX_REPAIR_H
#define VHDX_REPAIR_H

#include "p2v/base/blk.h"
#include "vhdx/vhdx.h"

#define VHDX_REPAIR_COMPLETE (1u << 0) /* take the incomplete marker away: accept what is there */

/* One thing that is put right. */
struct vhdx_repair_step {
	uint64_t file_offset;
	char *text; /* what was wrong, and what is done about it */
};

enum vhdx_loss_kind {
	VHDX_LOSS_GONE, /* what was there cannot be read: zeros, or the parent's data */
	VHDX_LOSS_DOUBT, /* something is there, but perhaps not what was written last */
};

const char *vhdx_loss_kind_name(enum vhdx_loss_kind kind); /* "lost", "in doubt" */

/* A part of the virtual disk that could not be saved. */
struct vhdx_loss {
	uint64_t offset;
	uint64_t len_bytes;
	enum vhdx_loss_kind kind;
	const char *text; /* why; static */
};

/* A plan, and what came of it. */
struct vhdx_repair;

struct vhdx_repair_summary {
	bool needed; /* else nothing is wrong at all */
	const struct vhdx_repair_step *steps;
	size_t step_count;
	const struct vhdx_loss *losses; /* in no order; all are the plan's own */
	size_t loss_count;
	const struct vhdx_repair_step *left; /* errors that stay: what nobody can put right */
	size_t left_count;
	uint64_t backup_bytes; /* that are overwritten in the file, about */
};

/*
 * Makes a plan for a file, which is only read, stays the caller's and must live
 * longer.  ERR_REFUSED: not a VHDX, one with parts unknown to us, or beyond repair;
 * also a file whose only fault is the incomplete marker, without
 * VHDX_REPAIR_COMPLETE.
 */
struct err *vhdx_repair_plan(struct blk *file, unsigned flags, struct vhdx_repair **ret_repair)
	ERR_MUST_CHECK;
void vhdx_repair_destroy(struct vhdx_repair *repair); /* takes NULL */
DEFINE_CLEANUP(vhdx_repair, struct vhdx_repair *, vhdx_repair_destroy)
#define CLEANUP_VHDX_REPAIR CLEANUP(cleanup_vhdx_repair)

struct vhdx_repair_summary vhdx_repair_summarize(const struct vhdx_repair *repair);

/* Writes what the changes will overwrite into `backup`, a device of size 0 that can be resized, and
 * flushes it; vhdx/repair-backup.c describes the format. */
struct err *vhdx_repair_back_up(const struct vhdx_repair *repair, struct blk *backup) ERR_MUST_CHECK;

/*
 * Makes the changes in `file`: the one that the plan was made for, opened for
 * writing, or an exact copy of it.  Flushed when it returns.  Interrupted, the file
 * may be worse than before: undo it, or plan again.
 */
struct err *vhdx_repair_apply(const struct vhdx_repair *repair, struct blk *file) ERR_MUST_CHECK;

/*
 * Puts back what a backup holds.  ERR_REFUSED, and nothing is changed: not a backup,
 * a damaged one, or the file was changed since by somebody else.  A repair that was
 * interrupted, and an undo that was, can be undone.
 */
struct err *vhdx_repair_undo(struct blk *file, struct blk *backup) ERR_MUST_CHECK;

/* Plan and apply in one, without a backup: for devices that can spare it. */
struct err *vhdx_repair_on(struct blk *file, unsigned flags) ERR_MUST_CHECK;

#endif
