/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Every entry is judged when its page is read, so that what is in memory can be
 * trusted: no offset in it leads outside the file or into another structure.
 * The last block need be in the file only as far as the disk goes: QEMU's fixed
 * files end there.  (That two blocks do not share space is what checking is for.)  Sector bitmap
 * entries of a file without parent are not looked at: they mean nothing, and
 * QEMU before 7.2.2 wrote garbage there.
 */
#include "vhdx/bat.h"

#include <inttypes.h>
#include <string.h>

#include "vhdx/bits.h"

#define LOAD_PAGES 256u /* read at once at most */

struct err *vhdx_bat_init(struct vhdx_bat *bat, const struct vhdx_bat_limits *limits, unsigned flags)
{
	uint64_t words;

	*bat = (struct vhdx_bat){
		.limits = *limits,
		.file_offset = limits->regions->bat.file_offset,
		.page_count = (limits->geometry->bat_entry_count + VHDX_BAT_PAGE_ENTRIES - 1) /
			      VHDX_BAT_PAGE_ENTRIES,
	};
	words = (bat->page_count + 63) / 64;
	/* Memory from calloc() of this size is not there before it is touched. */
	bat->entries = calloc(bat->page_count, VHDX_BAT_PAGE_BYTES);
	bat->loaded = calloc(words, sizeof *bat->loaded);
	bat->dirty = calloc(words, sizeof *bat->dirty);
	if (!bat->entries || !bat->loaded || !bat->dirty) {
		vhdx_bat_deinit(bat);
		return err_nomem();
	}
	if (flags & VHDX_BAT_NEW)
		memset(bat->loaded, 0xff, words * sizeof *bat->loaded);
	return NULL;
}

void vhdx_bat_deinit(struct vhdx_bat *bat)
{
	free(bat->entries);
	free(bat->loaded);
	free(bat->dirty);
	*bat = (struct vhdx_bat){0};
}

bool vhdx_state_has_space(enum vhdx_block_state state)
{
	return state == VHDX_BLOCK_FULLY_PRESENT || state == VHDX_BLOCK_PARTIALLY_PRESENT;
}

static bool overlaps(uint64_t start, uint64_t end, uint64_t other_start, uint64_t other_bytes)
{
	return other_bytes && start < other_start + other_bytes && other_start < end;
}

/* A place of so many bytes, of which needed_bytes must be in the file. */
static enum vhdx_entry_status check_place(const struct vhdx_bat_limits *limits, uint64_t start,
					  uint64_t bytes, uint64_t needed_bytes)
{
	uint64_t end;

	if (start < VHDX_MIB)
		return VHDX_ENTRY_IN_HEADER;
	if (__builtin_add_overflow(start, bytes, &end) || start + needed_bytes > limits->file_bytes)
		return VHDX_ENTRY_PAST_END;
	if (overlaps(start, end, limits->log_offset, limits->log_length))
		return VHDX_ENTRY_IN_LOG;
	for (size_t i = 0; i < limits->regions->count; i++) {
		const struct vhdx_region *region = &limits->regions->items[i];

		/* An unknown region that does not fit the file protects nothing. */
		if (region->file_offset <= limits->file_bytes &&
		    overlaps(start, end, region->file_offset, region->length_bytes))
			return VHDX_ENTRY_IN_REGION;
	}
	return VHDX_ENTRY_OK;
}

enum vhdx_entry_status vhdx_entry_check(const struct vhdx_bat_limits *limits, uint64_t bat_index,
					uint64_t entry)
{
	const struct vhdx_geometry *geometry = limits->geometry;
	uint64_t state = entry & VHDX_BAT_STATE_MASK, start = entry & VHDX_BAT_OFFSET_MASK, block;

	if (!vhdx_geometry_block_at(geometry, bat_index, &block)) {
		if (state == VHDX_BITMAP_NOT_PRESENT)
			return VHDX_ENTRY_OK;
		if (!geometry->has_parent)
			return VHDX_ENTRY_NEEDS_PARENT;
		if (state != VHDX_BITMAP_PRESENT)
			return VHDX_ENTRY_RESERVED_STATE;
		return check_place(limits, start, VHDX_BITMAP_BLOCK_BYTES, VHDX_BITMAP_BLOCK_BYTES);
	}
	switch (state) {
	case VHDX_BLOCK_NOT_PRESENT:
	case VHDX_BLOCK_UNDEFINED:
	case VHDX_BLOCK_ZERO:
	case VHDX_BLOCK_UNMAPPED:
		return VHDX_ENTRY_OK;
	case VHDX_BLOCK_PARTIALLY_PRESENT:
		if (!geometry->has_parent)
			return VHDX_ENTRY_NEEDS_PARENT;
		return check_place(limits, start, geometry->block_bytes,
				   vhdx_geometry_used_bytes(geometry, block));
	case VHDX_BLOCK_FULLY_PRESENT:
		return check_place(limits, start, geometry->block_bytes,
				   vhdx_geometry_used_bytes(geometry, block));
	default:
		return VHDX_ENTRY_RESERVED_STATE;
	}
}

uint64_t vhdx_entry_anchor(uint64_t entry)
{
	uint64_t state = entry & VHDX_BAT_STATE_MASK;

	return state == VHDX_BLOCK_UNDEFINED || state == VHDX_BLOCK_UNMAPPED ? entry & VHDX_BAT_OFFSET_MASK
									     : 0;
}

enum vhdx_entry_status vhdx_anchor_check(const struct vhdx_bat_limits *limits, uint64_t block, uint64_t entry)
{
	uint64_t start = vhdx_entry_anchor(entry);

	return start ? check_place(limits, start, limits->geometry->block_bytes,
				   vhdx_geometry_used_bytes(limits->geometry, block))
		     : VHDX_ENTRY_OK;
}

const char *vhdx_entry_status_text(enum vhdx_entry_status status)
{
	static const char *const texts[] = {
		[VHDX_ENTRY_OK] = "is fine",
		[VHDX_ENTRY_RESERVED_STATE] = "has a state that does not exist",
		[VHDX_ENTRY_NEEDS_PARENT] = "makes sense only in a differencing file",
		[VHDX_ENTRY_IN_HEADER] = "points into the header section",
		[VHDX_ENTRY_IN_REGION] = "points into a region",
		[VHDX_ENTRY_IN_LOG] = "points into the log",
		[VHDX_ENTRY_PAST_END] = "points behind the end of the file, which may be truncated",
	};

	return texts[status];
}

static struct err *refuse_entry(struct blk *file, uint64_t i, bool is_payload, enum vhdx_entry_status status)
{
	return err_advise(err_refused("%s: BAT entry %" PRIu64 " (%s) %s", file->name, i,
				      is_payload ? "payload" : "sector bitmap",
				      vhdx_entry_status_text(status)),
			  "the file is damaged: copy it again from where it came from; "
			  "'p2v vhdx check' lists all that is wrong");
}

/* Reads pages [first, first + count), none of which is loaded. */
static struct err *load_pages(struct vhdx_bat *bat, struct blk *file, uint64_t first, uint64_t count)
{
	uint64_t from = first * VHDX_BAT_PAGE_ENTRIES, to = (first + count) * VHDX_BAT_PAGE_ENTRIES;

	TRY(blk_pread(file, bat->entries + from, count * VHDX_BAT_PAGE_BYTES,
		      bat->file_offset + first * VHDX_BAT_PAGE_BYTES));
	if (to > bat->limits.geometry->bat_entry_count)
		to = bat->limits.geometry->bat_entry_count;
	for (uint64_t i = from; i < to; i++) {
		uint64_t entry = le64_get(bat->entries[i]), block;
		enum vhdx_entry_status status;

		bool is_payload = vhdx_geometry_block_at(bat->limits.geometry, i, &block);

		if (!entry || (!is_payload && !bat->limits.geometry->has_parent))
			continue;
		status = vhdx_entry_check(&bat->limits, i, entry);
		if (status != VHDX_ENTRY_OK)
			return refuse_entry(file, i, is_payload, status);
	}
	for (uint64_t page = first; page < first + count; page++)
		bit_set(bat->loaded, page, true);
	return NULL;
}

/* Loads what is missing of [first, last]. */
static struct err *load(struct vhdx_bat *bat, struct blk *file, uint64_t first, uint64_t last)
{
	while (first <= last) {
		uint64_t count = 0;

		if (bit_get(bat->loaded, first)) {
			first++;
			continue;
		}
		while (first + count <= last && count < LOAD_PAGES && !bit_get(bat->loaded, first + count))
			count++;
		TRY(load_pages(bat, file, first, count));
		first += count;
	}
	return NULL;
}

struct err *vhdx_bat_load_all(struct vhdx_bat *bat, struct blk *file)
{
	return load(bat, file, 0, bat->page_count - 1);
}

static uint64_t entry_of(const struct vhdx_bat *bat, uint64_t block)
{
	return le64_get(bat->entries[vhdx_geometry_bat_index(bat->limits.geometry, block)]);
}

struct err *vhdx_bat_get(struct vhdx_bat *bat, struct blk *file, uint64_t block, uint64_t max_count,
			 struct vhdx_run *ret_run)
{
	const struct vhdx_geometry *geometry = bat->limits.geometry;
	uint64_t page = vhdx_geometry_bat_index(geometry, block) / VHDX_BAT_PAGE_ENTRIES;
	struct vhdx_run run = {.count = 1};
	uint64_t entry;

	if (!bit_get(bat->loaded, page))
		TRY(load(bat, file, page, page));
	entry = entry_of(bat, block);
	run.state = (enum vhdx_block_state)(entry & VHDX_BAT_STATE_MASK);
	if (vhdx_state_has_space(run.state))
		run.file_offset = entry & VHDX_BAT_OFFSET_MASK;
	for (; run.count < max_count && block + run.count < geometry->block_count; run.count++) {
		page = vhdx_geometry_bat_index(geometry, block + run.count) / VHDX_BAT_PAGE_ENTRIES;
		if (!bit_get(bat->loaded, page))
			TRY(load(bat, file, page, page));
		entry = entry_of(bat, block + run.count);
		if ((entry & VHDX_BAT_STATE_MASK) != (uint64_t)run.state)
			break;
		if (run.file_offset &&
		    (entry & VHDX_BAT_OFFSET_MASK) != run.file_offset + (run.count << geometry->block_shift))
			break;
	}
	*ret_run = run;
	return NULL;
}

uint64_t vhdx_bat_get_anchor(const struct vhdx_bat *bat, uint64_t block)
{
	return vhdx_entry_anchor(entry_of(bat, block));
}

void vhdx_bat_set(struct vhdx_bat *bat, uint64_t block, enum vhdx_block_state state, uint64_t file_offset)
{
	uint64_t i = vhdx_geometry_bat_index(bat->limits.geometry, block);

	bat->entries[i] = le64_make(file_offset | (uint64_t)state);
	vhdx_bat_set_dirty(bat, i / VHDX_BAT_PAGE_ENTRIES, true);
}

struct err *vhdx_bat_get_bitmap(struct vhdx_bat *bat, struct blk *file, uint64_t chunk, uint64_t *ret_offset)
{
	uint64_t i = vhdx_geometry_bitmap_index(bat->limits.geometry, chunk), entry;

	if (!bit_get(bat->loaded, i / VHDX_BAT_PAGE_ENTRIES))
		TRY(load(bat, file, i / VHDX_BAT_PAGE_ENTRIES, i / VHDX_BAT_PAGE_ENTRIES));
	entry = le64_get(bat->entries[i]);
	*ret_offset = (entry & VHDX_BAT_STATE_MASK) == VHDX_BITMAP_PRESENT ? entry & VHDX_BAT_OFFSET_MASK : 0;
	return NULL;
}

void vhdx_bat_set_bitmap(struct vhdx_bat *bat, uint64_t chunk, uint64_t file_offset)
{
	uint64_t i = vhdx_geometry_bitmap_index(bat->limits.geometry, chunk);

	bat->entries[i] =
		le64_make(file_offset ? file_offset | VHDX_BITMAP_PRESENT : VHDX_BITMAP_NOT_PRESENT);
	vhdx_bat_set_dirty(bat, i / VHDX_BAT_PAGE_ENTRIES, true);
}

bool vhdx_bat_is_settled(const struct vhdx_bat *bat, uint64_t block)
{
	uint64_t page = vhdx_geometry_bat_index(bat->limits.geometry, block) / VHDX_BAT_PAGE_ENTRIES;

	return bit_get(bat->loaded, page) && !bit_get(bat->dirty, page) &&
	       (entry_of(bat, block) & VHDX_BAT_STATE_MASK) == VHDX_BLOCK_FULLY_PRESENT;
}

uint64_t vhdx_bat_next_dirty(const struct vhdx_bat *bat, uint64_t page)
{
	return bit_next(bat->dirty, page, bat->page_count);
}

void vhdx_bat_set_dirty(struct vhdx_bat *bat, uint64_t page, bool dirty)
{
	if (bit_get(bat->dirty, page) != dirty)
		bat->dirty_count += dirty ? 1 : -1;
	bit_set(bat->dirty, page, dirty);
}

const le64 *vhdx_bat_page(const struct vhdx_bat *bat, uint64_t page)
{
	return bat->entries + page * VHDX_BAT_PAGE_ENTRIES;
}
