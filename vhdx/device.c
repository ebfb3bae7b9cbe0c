/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What all parts of an open VHDX share: its making and ending, and the look-up of blocks. */
#include "vhdx/device.h"

#include <string.h>

static const struct blk_ops vhdx_ops = {
	.kind = "vhdx",
	.pread = vhdx_op_pread,
	.pwrite = vhdx_op_pwrite,
	.zero = vhdx_op_zero,
	.discard = vhdx_op_discard,
	.extents = vhdx_op_extents,
	.flush = vhdx_op_flush,
	.locate = vhdx_op_locate,
	.can_clone = vhdx_op_can_clone,
	.clone = vhdx_op_clone,
	.resize = vhdx_op_resize,
	.close = vhdx_op_close,
};

struct vhdx *vhdx_of(struct blk *blk)
{
	return blk->ops == &vhdx_ops ? (struct vhdx *)blk : NULL;
}

struct err *vhdx_device_create(struct blk *file, const struct log *log, struct vhdx **ret_vhdx)
{
	struct vhdx *vhdx = calloc(1, sizeof *vhdx);

	if (!vhdx)
		return err_nomem();
	vhdx->blk.ops = &vhdx_ops;
	vhdx->blk.name = strdup(file->name);
	vhdx->file = file;
	vhdx->io = file;
	vhdx->log = log;
	vhdx_range_lock_init(&vhdx->ranges);
	pthread_mutex_init(&vhdx->commit.lock, NULL);
	pthread_mutex_init(&vhdx->map_lock, NULL);
	atomic_init(&vhdx->commit.begun, false);
	atomic_init(&vhdx->commit.count, 0);
	if (!vhdx->blk.name) {
		vhdx_device_destroy(vhdx);
		return err_nomem();
	}
	*ret_vhdx = vhdx;
	return NULL;
}

/* The file stays open: whether it is ours is for the caller to know. */
void vhdx_device_destroy(struct vhdx *vhdx)
{
	vhdx_bitmap_deinit(&vhdx->bitmap);
	vhdx_bat_deinit(&vhdx->bat);
	vhdx_space_deinit(&vhdx->space);
	vhdx_metadata_deinit(&vhdx->metadata);
	vhdx_regions_deinit(&vhdx->regions);
	err_free(blk_close(vhdx->replayed));
	vhdx_range_lock_deinit(&vhdx->ranges);
	pthread_mutex_destroy(&vhdx->commit.lock);
	pthread_mutex_destroy(&vhdx->map_lock);
	free(vhdx->blk.name);
	free(vhdx);
}

struct err *vhdx_device_start(struct vhdx *vhdx, unsigned blk_flags, unsigned bat_flags)
{
	const struct vhdx_geometry *geometry = &vhdx->metadata.geometry;
	struct vhdx_bat_limits limits = {
		.geometry = geometry,
		.regions = &vhdx->regions,
		.log_offset = vhdx->headers.current.log_offset,
		.log_length = vhdx->headers.current.log_length,
		.file_bytes = vhdx->io->size_bytes,
	};

	vhdx->blk.size_bytes = geometry->size_bytes;
	vhdx->blk.logical_sector_bytes = geometry->logical_sector_bytes;
	vhdx->blk.physical_sector_bytes = geometry->physical_sector_bytes;
	if (vhdx->blk.physical_sector_bytes < vhdx->blk.logical_sector_bytes)
		vhdx->blk.physical_sector_bytes = vhdx->blk.logical_sector_bytes;
	vhdx->blk.preferred_bytes = geometry->block_bytes;
	vhdx->blk.flags = blk_flags;
	vhdx->commit.log.ring.file_offset = limits.log_offset;
	vhdx->commit.log.ring.length_bytes = vhdx->headers.current.log_length;
	vhdx->space.end = vhdx->io->size_bytes;
	TRY(vhdx_bat_init(&vhdx->bat, &limits, bat_flags));
	return geometry->has_parent ? vhdx_bitmap_init(&vhdx->bitmap, &vhdx->bat) : NULL;
}

struct err *vhdx_lookup(struct vhdx *vhdx, uint64_t block, uint64_t max_count, struct vhdx_run *ret_run)
{
	LOCKED(&vhdx->map_lock);

	return vhdx_bat_get(&vhdx->bat, vhdx->io, block, max_count, ret_run);
}

uint64_t vhdx_map_page_count(const struct vhdx *vhdx)
{
	return vhdx->bat.page_count + vhdx->bitmap.page_count;
}

uint64_t vhdx_map_dirty_count(const struct vhdx *vhdx)
{
	return vhdx->bat.dirty_count + vhdx->bitmap.dirty_count;
}

uint64_t vhdx_map_next_dirty(const struct vhdx *vhdx, uint64_t page)
{
	uint64_t bat_pages = vhdx->bat.page_count, next = vhdx_bat_next_dirty(&vhdx->bat, page);

	if (next < bat_pages)
		return next;
	return bat_pages + vhdx_bitmap_next_dirty(&vhdx->bitmap, page > bat_pages ? page - bat_pages : 0);
}

void vhdx_map_set_dirty(struct vhdx *vhdx, uint64_t page, bool dirty)
{
	if (page < vhdx->bat.page_count)
		vhdx_bat_set_dirty(&vhdx->bat, page, dirty);
	else
		vhdx_bitmap_set_dirty(&vhdx->bitmap, page - vhdx->bat.page_count, dirty);
}

const void *vhdx_map_page_data(const struct vhdx *vhdx, uint64_t page)
{
	return page < vhdx->bat.page_count
		       ? vhdx_bat_page(&vhdx->bat, page)
		       : vhdx_bitmap_page_data(&vhdx->bitmap, page - vhdx->bat.page_count);
}

uint64_t vhdx_map_page_offset(const struct vhdx *vhdx, uint64_t page)
{
	return page < vhdx->bat.page_count
		       ? vhdx->bat.file_offset + page * VHDX_BAT_PAGE_BYTES
		       : vhdx_bitmap_page_offset(&vhdx->bitmap, page - vhdx->bat.page_count);
}
