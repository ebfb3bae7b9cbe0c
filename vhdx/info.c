/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a VHDX is and where its blocks are, as values. */
#include <inttypes.h>
#include <string.h>

#include "vhdx/device.h"
#include "vhdx/locator.h"

const char *vhdx_block_state_name(enum vhdx_block_state state)
{
	static const char *const names[VHDX_BLOCK_STATES] = {
		[VHDX_BLOCK_NOT_PRESENT] = "not present",
		[VHDX_BLOCK_UNDEFINED] = "undefined",
		[VHDX_BLOCK_ZERO] = "zero",
		[VHDX_BLOCK_UNMAPPED] = "unmapped",
		[VHDX_BLOCK_FULLY_PRESENT] = "present",
		[VHDX_BLOCK_PARTIALLY_PRESENT] = "partially present",
	};

	return (unsigned)state < VHDX_BLOCK_STATES && names[state] ? names[state] : "reserved";
}

const char *vhdx_type_name(enum vhdx_type type)
{
	static const char *const names[] = {
		[VHDX_TYPE_DYNAMIC] = "dynamic",
		[VHDX_TYPE_FIXED] = "fixed",
		[VHDX_TYPE_DIFFERENCING] = "differencing",
	};

	return names[type];
}

struct err *vhdx_map(struct blk *blk, vhdx_map_fn fn, void *arg)
{
	struct vhdx *vhdx = vhdx_of(blk);
	const struct vhdx_geometry *geometry;
	struct vhdx_run run;

	if (!vhdx)
		return err_failed("%s: is open as %s, not as VHDX", blk->name, blk->ops->kind);
	geometry = &vhdx->metadata.geometry;
	for (uint64_t block = 0; block < geometry->block_count; block += run.count) {
		struct vhdx_map_run out = {.offset = block << geometry->block_shift};

		TRY(vhdx_lookup(vhdx, block, UINT64_MAX, &run));
		out.len_bytes = run.count << geometry->block_shift;
		if (out.len_bytes > geometry->size_bytes - out.offset)
			out.len_bytes = geometry->size_bytes - out.offset;
		out.state = run.state;
		out.file_offset = run.file_offset;
		TRY(fn(arg, &out));
	}
	return NULL;
}

static struct err *count_run(void *arg, const struct vhdx_map_run *run)
{
	struct vhdx_disk_info *disk = arg;
	uint64_t count = (run->len_bytes + disk->block_bytes - 1) / disk->block_bytes;

	disk->blocks_by_state[run->state] += count;
	if (run->file_offset)
		disk->allocated_blocks += count;
	return NULL;
}

static struct err *copy_regions(const struct vhdx *vhdx, struct vhdx_info *info)
{
	info->regions = calloc(vhdx->regions.count + 1, sizeof *info->regions);
	if (!info->regions)
		return err_nomem();
	for (size_t i = 0; i < vhdx->regions.count; i++) {
		const struct vhdx_region *region = &vhdx->regions.items[i];

		info->regions[info->region_count++] = (struct vhdx_region_info){
			.guid = region->guid,
			.name = vhdx_region_name(&region->guid),
			.file_offset = region->file_offset,
			.length_bytes = region->length_bytes,
			.required = region->required,
		};
	}
	return NULL;
}

static struct err *copy_items(const struct vhdx *vhdx, struct vhdx_info *info)
{
	info->items = calloc(vhdx->metadata.count + 1, sizeof *info->items);
	if (!info->items)
		return err_nomem();
	for (size_t i = 0; i < vhdx->metadata.count; i++) {
		const struct vhdx_item *item = &vhdx->metadata.items[i];

		info->items[info->item_count++] = (struct vhdx_item_info){
			.guid = item->guid,
			.name = vhdx_item_name(item),
			.file_offset =
				item->length_bytes ? vhdx->regions.metadata.file_offset + item->offset : 0,
			.length_bytes = item->length_bytes,
			.flags = item->flags,
		};
	}
	return NULL;
}

static struct err *copy_locator(const struct vhdx *vhdx, struct vhdx_info *info)
{
	struct vhdx_locator locator;

	TRY(vhdx_locator_read(vhdx->io, &vhdx->regions.metadata, &vhdx->metadata, &locator));
	info->locator = locator.pairs;
	info->locator_count = locator.count;
	return NULL;
}

static void copy_values(struct vhdx *vhdx, struct vhdx_info *info)
{
	const struct vhdx_header *header = &vhdx->headers.current;
	const struct vhdx_geometry *geometry = &vhdx->metadata.geometry;

	info->file_bytes = vhdx->io->size_bytes;
	info->incomplete = vhdx->metadata.is_incomplete;
	info->disk = (struct vhdx_disk_info){
		.type = geometry->has_parent	  ? VHDX_TYPE_DIFFERENCING
			: vhdx->metadata.is_fixed ? VHDX_TYPE_FIXED
						  : VHDX_TYPE_DYNAMIC,
		.size_bytes = geometry->size_bytes,
		.block_bytes = geometry->block_bytes,
		.logical_sector_bytes = geometry->logical_sector_bytes,
		.physical_sector_bytes = geometry->physical_sector_bytes,
		.id = vhdx->metadata.disk_id,
		.block_count = geometry->block_count,
	};
	info->header = (struct vhdx_header_info){
		.file_offset = vhdx_header_offset(vhdx->headers.slot),
		.sequence_number = header->sequence_number,
		.version = header->version,
		.file_write_guid = header->file_write_guid,
		.data_write_guid = header->data_write_guid,
		.other_is_valid = vhdx->headers.other_is_valid,
	};
	info->log = (struct vhdx_log_info){
		.file_offset = header->log_offset,
		.length_bytes = header->log_length,
		.version = header->log_version,
		.guid = vhdx->log_found.guid,
		.replayed_entries = vhdx->log_found.replayed_entries,
	};
}

static struct err *fill_info(struct vhdx *vhdx, struct vhdx_info *info)
{
	LOCKED(&vhdx->commit.lock);

	copy_values(vhdx, info);
	TRY(vhdx_creator_read(vhdx->io, &info->creator));
	TRY(copy_regions(vhdx, info));
	TRY(copy_items(vhdx, info));
	TRY(copy_locator(vhdx, info));
	return vhdx_map(&vhdx->blk, count_run, &info->disk);
}

struct err *vhdx_get_info(struct blk *blk, struct vhdx_info *ret_info)
{
	CLEANUP_VHDX_INFO struct vhdx_info info = {0};
	struct vhdx *vhdx = vhdx_of(blk);

	if (!vhdx)
		return err_failed("%s: is open as %s, not as VHDX", blk->name, blk->ops->kind);
	TRY(fill_info(vhdx, &info));
	*ret_info = info;
	info = (struct vhdx_info){0};
	return NULL;
}

void vhdx_info_deinit(struct vhdx_info *info)
{
	for (size_t i = 0; i < info->locator_count; i++) {
		free(info->locator[i].key);
		free(info->locator[i].value);
	}
	free(info->locator);
	free(info->regions);
	free(info->items);
	free(info->creator);
	*info = (struct vhdx_info){0};
}
