/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The incomplete marker, and making a complete file one under construction again.
 *
 * The marker goes into the metadata table by one log entry: after a power cut it
 * is there or not.  Once it is there the log is emptied before anything else is written: from then
 * on the map is changed in place (commit.c), and replaying an older entry would
 * bring an older map back.
 */
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "vhdx/device.h"

struct err *vhdx_write_marker(struct vhdx *vhdx, bool is_incomplete)
{
	uint64_t at = vhdx->regions.metadata.file_offset;
	CLEANUP_FREE uint8_t *old = malloc(2 * VHDX_METADATA_TABLE_BYTES);
	uint8_t *new;

	if (!old)
		return err_nomem();
	new = old + VHDX_METADATA_TABLE_BYTES;
	TRY(blk_pread(vhdx->file, old, VHDX_METADATA_TABLE_BYTES, at));
	memcpy(new, old, VHDX_METADATA_TABLE_BYTES);
	if (!is_incomplete)
		vhdx_metadata_table_complete(new);
	else if (!vhdx_metadata_table_mark(new))
		return err_refused(
			"%s: the metadata table is full: there is no room for the incomplete marker",
			vhdx->blk.name);
	return vhdx_commit_changes(vhdx, &(struct vhdx_change){at, old, new, VHDX_METADATA_TABLE_BYTES}, 1);
}

struct err *vhdx_mark_incomplete(struct blk *blk)
{
	struct vhdx *vhdx = vhdx_of(blk);

	if (!vhdx)
		return err_failed("%s: is open as %s, not as VHDX", blk->name, blk->ops->kind);
	if (blk->flags & BLK_READ_ONLY)
		return err_refused("%s: cannot be marked as incomplete: opened read-only", blk->name);
	if (vhdx->metadata.is_incomplete)
		return NULL;
	TRY(vhdx_begin_changes(vhdx));
	LOCKED(&vhdx->commit.lock);
	TRY(vhdx_commit_locked(vhdx));
	TRY(vhdx_write_marker(vhdx, true));
	TRY(vhdx_log_empty(vhdx->file, &vhdx->commit.log, &vhdx->headers));
	vhdx->metadata.is_incomplete = true;
	return NULL;
}
