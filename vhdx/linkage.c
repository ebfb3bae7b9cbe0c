/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Changing which content of its parent a child lies over: the parent locator is
 * written anew, in its place, or behind the other items where it has grown.
 */
#include <inttypes.h>
#include <string.h>

#include "vhdx/locator.h"
#include "vhdx/merge.h"

#define PAGE VHDX_LOG_SECTOR_BYTES

/* Pages of the metadata region, as they are and as they shall be. */
struct pages {
	uint64_t start; /* in the region */
	size_t bytes;
	uint8_t *old;
	uint8_t *new;
};

static void pages_deinit(struct pages *pages)
{
	free(pages->old);
	free(pages->new);
}

static struct err *pages_read(struct vhdx *vhdx, uint64_t start, uint64_t bytes, struct pages *ret_pages)
{
	uint64_t end = (start + bytes + PAGE - 1) / PAGE * PAGE;

	ret_pages->start = start / PAGE * PAGE;
	ret_pages->bytes = end - ret_pages->start;
	ret_pages->old = malloc(ret_pages->bytes);
	ret_pages->new = malloc(ret_pages->bytes);
	if (!ret_pages->old || !ret_pages->new)
		return err_nomem();
	TRY(blk_pread(vhdx->file, ret_pages->old, ret_pages->bytes,
		      vhdx->regions.metadata.file_offset + ret_pages->start));
	memcpy(ret_pages->new, ret_pages->old, ret_pages->bytes);
	return NULL;
}

/* Where an item of this length can go. */
static struct err *find_place(const struct vhdx *vhdx, const struct vhdx_item *item, uint32_t bytes,
			      uint32_t *ret_offset)
{
	uint32_t end = VHDX_METADATA_TABLE_BYTES;

	*ret_offset = item->offset;
	if (bytes <= item->length_bytes)
		return NULL;
	for (size_t i = 0; i < vhdx->metadata.count; i++) {
		const struct vhdx_item *other = &vhdx->metadata.items[i];

		if (other->length_bytes && other->offset + other->length_bytes > end)
			end = other->offset + other->length_bytes;
	}
	if (end > vhdx->regions.metadata.length_bytes || bytes > vhdx->regions.metadata.length_bytes - end)
		return err_refused("%s: its metadata has no room for a longer parent locator",
				   vhdx->blk.name);
	*ret_offset = end;
	return NULL;
}

static struct vhdx_change change_of(const struct vhdx *vhdx, const struct pages *pages)
{
	return (struct vhdx_change){
		.file_offset = vhdx->regions.metadata.file_offset + pages->start,
		.old = pages->old,
		.new = pages->new,
		.bytes = pages->bytes,
	};
}

/* The table is one page or more in front of all items, so that the two never share one. */
static struct err *replace_item(struct vhdx *vhdx, struct vhdx_item *item, const uint8_t *data,
				uint32_t bytes)
{
	__attribute__((cleanup(pages_deinit))) struct pages table = {0};
	__attribute__((cleanup(pages_deinit))) struct pages items = {0};
	uint64_t entry_at = sizeof(struct vhdx_disk_metadata_header) +
			    (uint64_t)(item - vhdx->metadata.items) * sizeof(struct vhdx_disk_metadata_entry);
	struct vhdx_disk_metadata_entry entry;
	struct vhdx_change changes[2];
	uint32_t offset;

	TRY(find_place(vhdx, item, bytes, &offset));
	TRY(pages_read(vhdx, entry_at, sizeof entry, &table));
	TRY(pages_read(vhdx, offset, bytes, &items));
	memcpy(&entry, table.new + (entry_at - table.start), sizeof entry);
	entry.offset = le32_make(offset);
	entry.length = le32_make(bytes);
	memcpy(table.new + (entry_at - table.start), &entry, sizeof entry);
	memcpy(items.new + (offset - items.start), data, bytes);
	changes[0] = change_of(vhdx, &table);
	changes[1] = change_of(vhdx, &items);
	TRY(vhdx_commit_changes(vhdx, changes, 2));
	TRY(blk_flush(vhdx->file));
	item->offset = offset;
	item->length_bytes = bytes;
	return NULL;
}

struct err *vhdx_set_linkage(struct vhdx *child, const struct vhdx_linkage *linkage)
{
	static const struct guid guid = VHDX_ITEM_PARENT_LOCATOR;
	struct vhdx_item *item = (struct vhdx_item *)vhdx_metadata_find(&child->metadata, &guid);
	CLEANUP_VHDX_LOCATOR struct vhdx_locator locator = {0};
	bool had_begun = atomic_load(&child->commit.begun);
	CLEANUP_FREE uint8_t *data = NULL;
	uint32_t bytes;

	TRY(vhdx_begin_changes_as(child, &child->headers.current.data_write_guid));
	LOCKED(&child->commit.lock);
	TRY(vhdx_locator_read(child->file, &child->regions.metadata, &child->metadata, &locator));
	TRY(vhdx_locator_set_guid(&locator, VHDX_LOCATOR_LINKAGE, &linkage->ids[0]));
	TRY(vhdx_locator_set_guid(&locator, VHDX_LOCATOR_LINKAGE_2, &linkage->ids[1]));
	TRY(vhdx_locator_encode(&locator, &data, &bytes));
	TRY(replace_item(child, item, data, bytes));
	return vhdx_end_hidden_changes(child, had_begun);
}
