// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Making the disk larger.
 *
 * Everything that the larger disk needs is made durable first, where the smaller
 * one does not look: entries behind those in use, or a larger BAT at the end of
 * the file; zeros behind its end in the last block, which a differencing file says
 * are its own.  Then one log entry changes all that says how large the disk is: the
 * metadata item, and the region tables if the BAT has moved.  So after a power cut
 * the disk has either the one size or the other.
 *
 * Nothing else runs meanwhile: the whole disk is held.  A disk is never made
 * smaller: what is at its end may be in use.
 */
#include <inttypes.h>
#include <string.h>

#include "vhdx/child.h"

#define PAGE VHDX_LOG_SECTOR_BYTES
#define CHUNK_ENTRIES (VHDX_MIB / VHDX_BAT_ENTRY_BYTES)

struct resize {
	struct vhdx *vhdx;
	struct vhdx_geometry old, new;
	struct vhdx_region bat; /* as it will be */
	struct vhdx_bat map; /* that of the larger disk */
	struct vhdx_bitmap bitmap;
	uint64_t first_place; /* of a fixed file's new blocks */
};

static void resize_deinit(struct resize *resize)
{
	vhdx_bitmap_deinit(&resize->bitmap);
	vhdx_bat_deinit(&resize->map);
}

static struct err *check_size(struct resize *resize, uint64_t size_bytes)
{
	const char *name = resize->vhdx->blk.name;
	enum vhdx_geometry_status status;

	if (size_bytes < resize->old.size_bytes)
		return err_advise(err_refused("%s: cannot be made smaller (from %" PRIu64 " to %" PRIu64
					      " bytes): what is at its end may be in use",
					      name, resize->old.size_bytes, size_bytes),
				  "shrink what is on it, and copy that to a new, smaller disk");
	resize->new = resize->old;
	resize->new.size_bytes = size_bytes;
	status = vhdx_geometry_derive(&resize->new);
	if (status != VHDX_GEOMETRY_OK)
		return err_advise(err_refused("%s: cannot have %" PRIu64 " bytes: %s", name, size_bytes,
					      vhdx_geometry_status_text(status)),
				  "choose another size");
	return NULL;
}

/* Zeros behind the disk's end: what is left of the last block becomes part of the disk. */
static struct err *clear_tail(struct resize *resize)
{
	uint64_t block = resize->old.block_count - 1, used = vhdx_geometry_used_bytes(&resize->old, block);
	struct vhdx_run run;

	TRY(vhdx_lookup(resize->vhdx, block, 1, &run));
	if (!run.file_offset || used == resize->old.block_bytes)
		return NULL;
	return blk_zero(resize->vhdx->file, resize->old.block_bytes - used, run.file_offset + used, 0);
}

/* Copies the BAT as it lies in the file to its new place, which reads as zeros. */
static struct err *copy_bat(struct resize *resize)
{
	const struct vhdx_region *from = &resize->vhdx->regions.bat;
	uint64_t bytes = resize->old.bat_entry_count * VHDX_BAT_ENTRY_BYTES;
	CLEANUP_FREE uint8_t *buf = malloc(VHDX_MIB);

	if (!buf)
		return err_nomem();
	for (uint64_t at = 0; at < bytes; at += VHDX_MIB) {
		uint64_t part = bytes - at < VHDX_MIB ? bytes - at : VHDX_MIB;

		TRY(blk_pread(resize->vhdx->file, buf, part, from->file_offset + at));
		TRY(blk_pwrite_data(resize->vhdx->file, buf, part, resize->bat.file_offset + at));
	}
	return NULL;
}

static struct err *place_bat(struct resize *resize)
{
	struct vhdx *vhdx = resize->vhdx;
	uint64_t bytes = resize->new.bat_entry_count *VHDX_BAT_ENTRY_BYTES;
	struct err *err;

	resize->bat = vhdx->regions.bat;
	if (bytes <= resize->bat.length_bytes)
		return NULL;
	bytes = (bytes + VHDX_MIB - 1) / VHDX_MIB * VHDX_MIB;
	pthread_mutex_lock(&vhdx->map_lock);
	err = vhdx_space_grow(&vhdx->space, vhdx->file, bytes, &resize->bat.file_offset);
	pthread_mutex_unlock(&vhdx->map_lock);
	TRY(err);
	resize->bat.length_bytes = (uint32_t)bytes;
	return copy_bat(resize);
}

/* A fixed file has a place for each block. */
static struct err *place_blocks(struct resize *resize)
{
	struct vhdx *vhdx = resize->vhdx;
	uint64_t count = resize->new.block_count - resize->old.block_count;
	LOCKED(&vhdx->map_lock);

	if (!vhdx->metadata.is_fixed || !count)
		return NULL;
	return vhdx_space_grow(&vhdx->space, vhdx->file, count << resize->new.block_shift,
			       &resize->first_place);
}

/* What a new block's entry says.  Where a parent has something, the child must say that it reads as zeros. */
static uint64_t new_entry(const struct resize *resize, uint64_t block)
{
	const struct blk *parent = resize->vhdx->parent;

	if (resize->first_place)
		return (resize->first_place +
			((block - resize->old.block_count) << resize->new.block_shift)) |
		       VHDX_BLOCK_FULLY_PRESENT;
	return parent && block << resize->new.block_shift < parent->size_bytes ? VHDX_BLOCK_ZERO : 0;
}

/* The entries behind those of the smaller disk, whatever was there. */
static struct err *write_entries(struct resize *resize)
{
	CLEANUP_FREE le64 *entries = malloc(CHUNK_ENTRIES * sizeof *entries);
	uint64_t end = resize->new.bat_entry_count;

	if (!entries)
		return err_nomem();
	for (uint64_t first = resize->old.bat_entry_count; first < end; first += CHUNK_ENTRIES) {
		uint64_t count = end - first < CHUNK_ENTRIES ? end - first : CHUNK_ENTRIES;
		uint64_t at = resize->bat.file_offset + first * VHDX_BAT_ENTRY_BYTES, block;
		bool is_moved = resize->bat.file_offset != resize->vhdx->regions.bat.file_offset;

		for (uint64_t i = 0; i < count; i++)
			entries[i] = le64_make(vhdx_geometry_block_at(&resize->new, first + i, &block) &&
							       block >= resize->old.block_count &&
							       block < resize->new.block_count
						       ? new_entry(resize, block)
						       : 0);
		if (!blk_is_zero(entries, count * sizeof *entries))
			TRY(blk_pwrite(resize->vhdx->file, entries, count * sizeof *entries, at, 0));
		else if (!is_moved)
			TRY(blk_zero(resize->vhdx->file, count * sizeof *entries, at, 0));
	}
	return NULL;
}

/* A differencing file's table is longer than its last block: what is new of it lies before its end too. */
static struct err *write_child_entries(struct resize *resize)
{
	for (uint64_t block = resize->old.block_count; block < resize->new.block_count; block++) {
		uint64_t i = vhdx_geometry_bat_index(&resize->new, block);
		le64 entry = le64_make(new_entry(resize, block));

		if (i >= resize->old.bat_entry_count)
			return NULL;
		TRY(blk_pwrite(resize->vhdx->file, &entry, sizeof entry,
			       resize->bat.file_offset + i * VHDX_BAT_ENTRY_BYTES, 0));
	}
	return NULL;
}

/* The item's place: a device that has just been made knows values alone. */
static struct err *find_size(const struct vhdx *vhdx, uint64_t *ret_offset)
{
	static const struct guid guid = VHDX_ITEM_DISK_SIZE;
	CLEANUP_FINDINGS struct findings findings = {.name = vhdx->blk.name};
	__attribute__((cleanup(vhdx_metadata_deinit))) struct vhdx_metadata metadata = {0};

	TRY(vhdx_metadata_read(vhdx->file, &vhdx->regions.metadata, &findings, &metadata));
	TRY(findings_take_error(&findings));
	*ret_offset = vhdx->regions.metadata.file_offset + vhdx_metadata_find(&metadata, &guid)->offset;
	return NULL;
}

/* What tells how large the disk is, as it is and as it will be. */
#define SIZE_PAGES_BYTES (2 * PAGE) /* the item may lie across the border of two */
struct tellers {
	uint8_t old_size[SIZE_PAGES_BYTES], new_size[SIZE_PAGES_BYTES];
	uint8_t old_tables[2][VHDX_REGION_TABLE_BYTES], new_table[VHDX_REGION_TABLE_BYTES];
};

static void set_bat_region(struct vhdx_regions *regions, const struct vhdx_region *bat)
{
	for (size_t i = 0; i < regions->count; i++)
		if (guid_equal(&regions->items[i].guid, &bat->guid))
			regions->items[i] = *bat;
	regions->bat = *bat;
}

static void encode_regions(struct resize *resize, uint8_t *ret_table)
{
	struct vhdx_regions *regions = &resize->vhdx->regions;
	const struct vhdx_region old = regions->bat;

	set_bat_region(regions, &resize->bat);
	vhdx_region_table_encode(regions->items, regions->count, ret_table);
	set_bat_region(regions, &old);
}

/* All that was written before is durable; then the disk is larger, at once. */
static struct err *switch_over(struct resize *resize)
{
	struct vhdx *vhdx = resize->vhdx;
	CLEANUP_FREE struct tellers *t = calloc(1, sizeof *t);
	bool moves = resize->bat.file_offset != vhdx->regions.bat.file_offset;
	le64 size = le64_make(resize->new.size_bytes);
	uint64_t size_at, pages_at;

	if (!t)
		return err_nomem();
	TRY(find_size(vhdx, &size_at));
	pages_at = size_at / PAGE * PAGE;
	TRY(blk_pread(vhdx->file, t->old_size, sizeof t->old_size, pages_at));
	memcpy(t->new_size, t->old_size, sizeof t->new_size);
	memcpy(t->new_size + (size_at - pages_at), &size, sizeof size);
	TRY(blk_pread(vhdx->file, t->old_tables[0], VHDX_REGION_TABLE_BYTES, VHDX_REGION_TABLE_1_OFFSET));
	TRY(blk_pread(vhdx->file, t->old_tables[1], VHDX_REGION_TABLE_BYTES, VHDX_REGION_TABLE_2_OFFSET));
	encode_regions(resize, t->new_table);
	const struct vhdx_change changes[] = {
		{pages_at, t->old_size, t->new_size, sizeof t->new_size},
		{VHDX_REGION_TABLE_1_OFFSET, t->old_tables[0], t->new_table, VHDX_REGION_TABLE_BYTES},
		{VHDX_REGION_TABLE_2_OFFSET, t->old_tables[1], t->new_table, VHDX_REGION_TABLE_BYTES},
	};

	TRY(vhdx_commit_changes(vhdx, changes, moves ? 3 : 1));
	return vhdx_log_empty(vhdx->file, &vhdx->commit.log, &vhdx->headers);
}

/* The map of the larger disk, empty: it is read as it is needed. */
static struct err *make_map(struct resize *resize, const struct vhdx_regions *regions)
{
	struct vhdx_bat_limits limits = resize->vhdx->bat.limits;

	limits.geometry = &resize->new;
	limits.regions = regions;
	limits.file_bytes = resize->vhdx->file->size_bytes;
	TRY(vhdx_bat_init(&resize->map, &limits, 0));
	resize->map.limits.geometry = &resize->vhdx->metadata.geometry;
	resize->map.limits.regions = &resize->vhdx->regions;
	if (!resize->new.has_parent)
		return NULL;
	resize->map.limits.geometry = &resize->new;
	TRY(vhdx_bitmap_init(&resize->bitmap, &resize->map));
	resize->map.limits.geometry = &resize->vhdx->metadata.geometry;
	resize->bitmap.bat = &resize->vhdx->bat;
	return NULL;
}

static void take_over(struct resize *resize)
{
	struct vhdx *vhdx = resize->vhdx;
	struct vhdx_bat old_map = vhdx->bat;
	struct vhdx_bitmap old_bitmap = vhdx->bitmap;
	LOCKED(&vhdx->map_lock);

	set_bat_region(&vhdx->regions, &resize->bat);
	vhdx->metadata.geometry = resize->new;
	vhdx->bat = resize->map;
	vhdx->bitmap = resize->bitmap;
	resize->map = old_map;
	resize->bitmap = old_bitmap;
	__atomic_store_n(&vhdx->blk.size_bytes, resize->new.size_bytes, __ATOMIC_RELAXED);
}

/* Under commit.lock, the map written out.  An error before the switch leaves the disk as it is. */
static struct err *grow(struct resize *resize)
{
	struct vhdx *vhdx = resize->vhdx;
	struct vhdx_region old_bat = vhdx->regions.bat;
	struct vhdx_regions regions = {.bat = old_bat};
	struct err *err;

	TRY(clear_tail(resize));
	TRY(place_bat(resize));
	TRY(place_blocks(resize));
	if (resize->new.has_parent)
		TRY(write_child_entries(resize));
	TRY(write_entries(resize));
	regions.bat = resize->bat;
	TRY(make_map(resize, &regions));
	err = switch_over(resize);
	if (err) {
		/* Which size the disk has is for the next opening to find out. */
		vhdx->commit.failed = true;
		return err;
	}
	take_over(resize);
	/* The space is reused after the next opening; until then it shall cost nothing. */
	if (old_bat.file_offset != resize->bat.file_offset)
		TRY(blk_discard(vhdx->file, old_bat.length_bytes, old_bat.file_offset));
	return NULL;
}

static struct err *grow_locked(struct resize *resize)
{
	LOCKED(&resize->vhdx->commit.lock);

	TRY(vhdx_commit_locked(resize->vhdx));
	return grow(resize);
}

/* Of a differencing file: what is behind its end in the last block is its own from now on, for there the
 * parent may have something.  While the disk is the smaller one nobody looks there. */
static struct err *hide_parent(struct resize *resize)
{
	uint64_t start = resize->old.size_bytes, end = resize->old.block_count << resize->old.block_shift;
	const struct blk *parent = resize->vhdx->parent;

	if (!parent || parent->size_bytes <= start || start == end)
		return NULL;
	return vhdx_child_claim(resize->vhdx, end - start, start);
}

struct err *vhdx_op_resize(struct blk *blk, uint64_t size_bytes)
{
	struct vhdx *vhdx = vhdx_of(blk);
	__attribute__((cleanup(resize_deinit))) struct resize resize = {.vhdx = vhdx,
									.old = vhdx->metadata.geometry};
	struct vhdx_range whole = {.start = 0, .end = UINT64_MAX, .exclusive = true};
	struct err *err;

	TRY(check_size(&resize, size_bytes));
	TRY(vhdx_begin_changes(vhdx));
	vhdx_range_acquire(&vhdx->ranges, &whole);
	err = hide_parent(&resize);
	if (!err)
		err = grow_locked(&resize);
	vhdx_range_release(&vhdx->ranges, &whole);
	return err;
}
