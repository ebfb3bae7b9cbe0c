/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The two ends of an opening that writes: what the headers say before anything
 * changes, and what must be true of the file when it is finished or closed.
 *
 * Before the first change, both write GUIDs are new and durable, and the file is
 * long enough for what it holds, so that all that is added comes behind it.  At
 * the end there is no log to replay, and the file ends where its last part does.
 * The incomplete marker goes by one log entry, after everything else is durable.
 */
#include "vhdx/device.h"

/* How long the file must be before anything is added to it: the last block may end behind it. */
static struct err *find_end(struct vhdx *vhdx, uint64_t *ret_end)
{
	const struct vhdx_geometry *geometry = &vhdx->metadata.geometry;
	uint64_t end = (vhdx->file->size_bytes + VHDX_MIB - 1) / VHDX_MIB * VHDX_MIB;
	struct vhdx_run run;

	TRY(vhdx_lookup(vhdx, geometry->block_count - 1, 1, &run));
	if (run.file_offset && run.file_offset + geometry->block_bytes > end)
		end = run.file_offset + geometry->block_bytes;
	*ret_end = end;
	return NULL;
}

/* data_write_guid: what the file's content is called from now on; NULL: a new name, unless it got one since
 * it was opened. */
static struct err *begin_changes_locked(struct vhdx *vhdx, const struct guid *data_write_guid)
{
	struct vhdx_header header = vhdx->headers.current;
	uint64_t end;

	if (atomic_load(&vhdx->commit.begun) &&
	    (!data_write_guid || guid_equal(data_write_guid, &header.data_write_guid)))
		return NULL;
	TRY(find_end(vhdx, &end));
	TRY(guid_make(&header.file_write_guid));
	if (data_write_guid)
		header.data_write_guid = *data_write_guid;
	else
		TRY(guid_make(&header.data_write_guid));
	TRY(vhdx_headers_update(vhdx->file, &vhdx->headers, &header));
	if (atomic_load(&vhdx->commit.begun))
		return NULL;
	TRY(blk_resize(vhdx->file, end));
	pthread_mutex_lock(&vhdx->map_lock);
	vhdx->space.end = end;
	pthread_mutex_unlock(&vhdx->map_lock);
	atomic_store(&vhdx->commit.begun, true);
	return NULL;
}

struct err *vhdx_begin_changes(struct vhdx *vhdx)
{
	if (atomic_load(&vhdx->commit.begun))
		return NULL;
	LOCKED(&vhdx->commit.lock);

	return begin_changes_locked(vhdx, NULL);
}

struct err *vhdx_begin_changes_as(struct vhdx *vhdx, const struct guid *data_write_guid)
{
	LOCKED(&vhdx->commit.lock);

	return begin_changes_locked(vhdx, data_write_guid);
}

struct err *vhdx_end_hidden_changes(struct vhdx *vhdx, bool had_begun)
{
	if (!guid_is_zero(&vhdx->headers.current.log_guid))
		TRY(vhdx_log_empty(vhdx->file, &vhdx->commit.log, &vhdx->headers));
	atomic_store(&vhdx->commit.begun, had_begun);
	return NULL;
}

static struct err *finish_locked(struct vhdx *vhdx)
{
	if (!atomic_load(&vhdx->commit.begun) && !vhdx->metadata.is_incomplete &&
	    vhdx->file->size_bytes % VHDX_MIB == 0)
		return NULL; /* complete, and not touched */
	TRY(begin_changes_locked(vhdx, NULL));
	TRY(vhdx_commit_locked(vhdx));
	if (vhdx->metadata.is_incomplete)
		TRY(vhdx_write_marker(vhdx, false));
	if (!guid_is_zero(&vhdx->headers.current.log_guid))
		TRY(vhdx_log_empty(vhdx->file, &vhdx->commit.log, &vhdx->headers));
	vhdx->metadata.is_incomplete = false;
	TRY(vhdx_space_trim(&vhdx->space, vhdx->file));
	return blk_flush(vhdx->file);
}

struct err *vhdx_finish(struct blk *blk)
{
	struct vhdx *vhdx = vhdx_of(blk);

	if (!vhdx)
		return err_failed("%s: is open as %s, not as VHDX", blk->name, blk->ops->kind);
	if (blk->flags & BLK_READ_ONLY)
		return err_refused("%s: cannot be finished: opened read-only", blk->name);
	LOCKED(&vhdx->commit.lock);

	return finish_locked(vhdx);
}

struct err *vhdx_op_close(struct blk *blk)
{
	struct vhdx *vhdx = vhdx_of(blk);
	struct blk *file = vhdx->file, *parent = vhdx->parent;
	struct err *err = NULL;

	if (atomic_load(&vhdx->commit.begun) && !vhdx->commit.failed) {
		err = vhdx_commit_locked(vhdx);
		if (!err && !guid_is_zero(&vhdx->headers.current.log_guid))
			err = vhdx_log_empty(file, &vhdx->commit.log, &vhdx->headers);
		if (!err)
			err = vhdx_space_trim(&vhdx->space, file);
	}
	vhdx_device_destroy(vhdx);
	return err_first(err_first(err, blk_close(file)), blk_close(parent));
}
