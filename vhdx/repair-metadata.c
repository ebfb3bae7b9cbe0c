// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Repairing the metadata region.  It has no checksum: what is damaged is what
 * makes no sense.
 *
 * Where anything is wrong, every entry is taken by itself: what makes sense stays,
 * what is missing is concluded from the rest of the file (repair-guess.c), and the
 * region is written anew from its start: the items that every file has, then all
 * others that were whole.
 */
#include <inttypes.h>
#include <string.h>

#include "vhdx/bat.h"
#include "vhdx/repair-plan.h"

/* An item that is kept as it is. */
struct kept_item {
	struct vhdx_disk_metadata_entry entry;
	uint8_t *value;
	uint32_t length_bytes;
};

struct salvage {
	struct vhdx_repair *r;
	uint8_t *table;
	struct vhdx_metadata values; /* what is not yet known is 0 */
	bool has_parameters, has_id;
	struct kept_item *kept;
	size_t kept_count;
	struct extents taken; /* of the region, by items so far */
};

static void salvage_deinit(struct salvage *s)
{
	for (size_t i = 0; i < s->kept_count; i++)
		free(s->kept[i].value);
	free(s->kept);
	free(s->table);
	extents_deinit(&s->taken);
}

static bool is_power_of_two_between(uint64_t v, uint64_t low, uint64_t high)
{
	return v >= low && v <= high && !(v & (v - 1));
}

static bool is_sector_bytes(uint32_t bytes)
{
	return bytes == 512 || bytes == 4096;
}

/* Takes from `found`, into which one item was decoded, what makes sense by itself; the first one wins. */
static void take_sensible(struct salvage *s, const struct vhdx_metadata *found)
{
	struct vhdx_geometry *to = &s->values.geometry;
	const struct vhdx_geometry *from = &found->geometry;

	if (!s->has_parameters &&
	    is_power_of_two_between(from->block_bytes, VHDX_MIN_BLOCK_BYTES, VHDX_MAX_BLOCK_BYTES)) {
		to->block_bytes = from->block_bytes;
		to->has_parent = from->has_parent;
		s->values.is_fixed = found->is_fixed;
		s->has_parameters = true;
	}
	if (!to->size_bytes && from->size_bytes <= VHDX_MAX_DISK_BYTES && from->size_bytes % 512 == 0)
		to->size_bytes = from->size_bytes;
	if (!to->logical_sector_bytes && is_sector_bytes(from->logical_sector_bytes))
		to->logical_sector_bytes = from->logical_sector_bytes;
	if (!to->physical_sector_bytes && is_sector_bytes(from->physical_sector_bytes))
		to->physical_sector_bytes = from->physical_sector_bytes;
	if (!s->has_id && !guid_is_zero(&found->disk_id)) {
		s->values.disk_id = found->disk_id;
		s->has_id = true;
	}
}

/* The item lies in the region, and in no other's place. */
static bool is_placed(const struct salvage *s, const struct vhdx_item *item)
{
	const struct vhdx_region *region = &s->r->regions.metadata;
	uint64_t end = (uint64_t)item->offset + item->length_bytes;
	size_t i = extents_find(&s->taken, item->offset);

	if (!item->length_bytes)
		return true;
	return item->length_bytes <= VHDX_METADATA_MAX_ITEM_BYTES &&
	       item->offset >= VHDX_METADATA_TABLE_BYTES && end <= region->length_bytes &&
	       (i == s->taken.count || s->taken.ranges[i].start >= end);
}

static struct err *keep(struct salvage *s, const struct vhdx_item *item)
{
	CLEANUP_FREE uint8_t *value = malloc(item->length_bytes + 1u);
	struct kept_item *kept = reallocarray(s->kept, s->kept_count + 1, sizeof *kept);

	if (kept)
		s->kept = kept;
	if (!kept || !value)
		return err_nomem();
	TRY(blk_pread(s->r->io, value, item->length_bytes,
		      s->r->regions.metadata.file_offset + item->offset));
	s->kept[s->kept_count++] = (struct kept_item){
		.entry = {.item_id = item->guid, .flags = le32_make(item->flags)},
		.length_bytes = item->length_bytes,
		.value = take_ptr(value),
	};
	return NULL;
}

/* An item that every file has: its value, if that makes sense.  Items follow one another in all files that
 * are known, so a place that is lost is where the entry before ends. */
static struct err *take_basic(struct salvage *s, struct vhdx_item *place, uint32_t follows_at)
{
	struct vhdx_item item = *place;
	const struct vhdx_region *region = &s->r->regions.metadata;
	struct vhdx_metadata found = {0};
	bool is_basic;

	if (!item.length_bytes || !is_placed(s, &item)) {
		item.offset = follows_at;
		if (!is_placed(s, &item))
			return NULL;
		TRY(repair_note(s->r, region->file_offset + follows_at,
				"the place of metadata item %s is lost: taken for the next one",
				vhdx_item_name(&item)));
	}
	TRY(vhdx_metadata_take(s->r->io, region, &item, &found, &is_basic));
	if (is_basic)
		take_sensible(s, &found);
	*place = item;
	return NULL;
}

/* One entry of the table, by its own word. */
static struct err *take_item(struct salvage *s, struct vhdx_item *item, uint32_t follows_at)
{
	static const struct guid marker = VHDX_ITEM_INCOMPLETE;
	const struct vhdx_region *region = &s->r->regions.metadata;
	bool placed = is_placed(s, item);
	char text[GUID_TEXT_BYTES];

	guid_format(&item->guid, text);
	if (vhdx_metadata_nearest(item))
		return take_basic(s, item, follows_at);
	if (guid_equal(&item->guid, &marker)) {
		s->values.is_incomplete = true;
		return NULL;
	}
	if (!vhdx_item_name(item) && item->flags & VHDX_METADATA_IS_REQUIRED)
		return repair_refuse(s->r, "its metadata item %s must be understood, but is unknown", text);
	if (placed)
		return keep(s, item);
	return repair_note(s->r, region->file_offset, "metadata item %s lies outside its region: taken out",
			   text);
}

/* As many entries as the header says, or, should that be nonsense, until one is empty. */
static struct err *take_items(struct salvage *s)
{
	struct vhdx_disk_metadata_header header;
	uint32_t follows_at = VHDX_METADATA_TABLE_BYTES;
	size_t count;
	bool trusted;

	memcpy(&header, s->table, sizeof header);
	count = le16_get(header.entry_count);
	trusted = le64_get(header.signature) == VHDX_METADATA_SIGNATURE && count &&
		  count <= VHDX_METADATA_MAX_ENTRIES;
	if (!trusted)
		count = VHDX_METADATA_MAX_ENTRIES;
	for (size_t i = 0; i < count; i++) {
		struct vhdx_disk_metadata_entry entry;
		struct vhdx_item item;

		memcpy(&entry, s->table + sizeof header + i * sizeof entry, sizeof entry);
		item = (struct vhdx_item){entry.item_id, le32_get(entry.offset), le32_get(entry.length),
					  le32_get(entry.flags) &
						  (VHDX_METADATA_IS_USER | VHDX_METADATA_IS_VIRTUAL_DISK |
						   VHDX_METADATA_IS_REQUIRED)};
		if (guid_is_zero(&item.guid)) {
			if (trusted)
				continue;
			break;
		}
		TRY(take_item(s, &item, follows_at));
		if (!item.length_bytes || !is_placed(s, &item))
			continue;
		follows_at = item.offset + item.length_bytes;
		extents_add(&s->taken, item.offset, follows_at);
	}
	return NULL;
}

/* What was found out, and how; a guess puts the disk in doubt. */
static struct err *note_value(struct vhdx_repair *r, const char *what, uint64_t value, const char *how,
			      bool guess)
{
	TRY(repair_note(r, r->regions.metadata.file_offset, "the %s is lost: %" PRIu64 ", %s", what, value,
			how));
	return guess ? repair_lose(r, 0, UINT64_MAX, VHDX_LOSS_DOUBT, "a property of the disk is a guess")
		     : NULL;
}

/* Up to the last block that the BAT has. */
static struct err *count_size_bytes(struct vhdx_repair *r, const struct vhdx_geometry *geometry,
				    uint64_t *ret_bytes)
{
	/* Large enough for every entry of the region to be in the table. */
	struct vhdx_geometry most = *geometry;
	le64 entries[VHDX_BAT_PAGE_ENTRIES];
	uint64_t block;

	*ret_bytes = 0;
	most.size_bytes = VHDX_MAX_DISK_BYTES;
	if (vhdx_geometry_derive(&most) != VHDX_GEOMETRY_OK)
		return NULL;
	for (uint64_t at = 0; at < r->regions.bat.length_bytes; at += sizeof entries) {
		TRY(blk_pread(r->io, entries, sizeof entries, r->regions.bat.file_offset + at));
		for (size_t i = 0; i < VHDX_BAT_PAGE_ENTRIES; i++)
			if (le64_get(entries[i]) &&
			    vhdx_geometry_block_at(&most, at / VHDX_BAT_ENTRY_BYTES + i, &block) &&
			    block < most.block_count)
				*ret_bytes = (block + 1) << most.block_shift;
	}
	return NULL;
}

/* Whether the BAT has room for the disk: it was made for it. */
static bool bat_suffices(const struct vhdx_repair *r, struct vhdx_geometry geometry)
{
	return !r->regions.bat.length_bytes || vhdx_geometry_derive(&geometry) != VHDX_GEOMETRY_OK ||
	       geometry.bat_entry_count * VHDX_BAT_ENTRY_BYTES <= r->regions.bat.length_bytes;
}

/* Size and block size that make sense by themselves, but not with the BAT: one of them is wrong. */
static struct err *fit_to_bat(struct salvage *s)
{
	struct vhdx_geometry *geometry = &s->values.geometry, other = *geometry;

	if (!geometry->size_bytes || bat_suffices(s->r, *geometry))
		return NULL;
	TRY(repair_guess_block_bytes(s->r, &other.block_bytes));
	if (other.block_bytes > geometry->block_bytes && bat_suffices(s->r, other)) {
		geometry->block_bytes = other.block_bytes;
		return note_value(s->r, "block size", other.block_bytes, "by the distance of the blocks",
				  true);
	}
	geometry->size_bytes = 0;
	return NULL;
}

static struct err *find_size(struct salvage *s)
{
	struct vhdx_geometry *geometry = &s->values.geometry;
	uint64_t unit = geometry->logical_sector_bytes;

	TRY(fit_to_bat(s));
	if (geometry->size_bytes && geometry->size_bytes % unit == 0)
		return NULL;
	TRY(repair_guess_size_bytes(s->r, &geometry->size_bytes));
	if (geometry->size_bytes)
		return note_value(s->r, "disk's size", geometry->size_bytes, "by the disk's partition table",
				  false);
	TRY(count_size_bytes(s->r, geometry, &geometry->size_bytes));
	if (geometry->size_bytes)
		return note_value(s->r, "disk's size", geometry->size_bytes, "by its last block", true);
	return repair_refuse(s->r, "the disk's size is lost, and nothing tells it");
}

static struct err *find_sectors(struct salvage *s)
{
	struct vhdx_geometry *geometry = &s->values.geometry;
	bool known = geometry->logical_sector_bytes;

	if (!known) {
		TRY(repair_guess_sector_bytes(s->r, &geometry->logical_sector_bytes));
		known = geometry->logical_sector_bytes;
		if (!known)
			geometry->logical_sector_bytes = 512;
		TRY(note_value(s->r, "logical sector size", geometry->logical_sector_bytes,
			       known ? "by the disk's partition table" : "as nearly always", !known));
	}
	if (geometry->physical_sector_bytes)
		return NULL;
	geometry->physical_sector_bytes = 4096;
	return note_value(s->r, "physical sector size", 4096, "which suits every system", false);
}

static struct err *find_block_size(struct salvage *s)
{
	if (s->has_parameters)
		return NULL;
	TRY(repair_guess_block_bytes(s->r, &s->values.geometry.block_bytes));
	if (!s->values.geometry.block_bytes)
		return repair_refuse(s->r, "its block size is lost, and nothing tells it");
	return note_value(s->r, "block size", s->values.geometry.block_bytes, "by the distance of the blocks",
			  true);
}

static bool has_locator(const struct salvage *s)
{
	static const struct guid locator = VHDX_ITEM_PARENT_LOCATOR;

	for (size_t i = 0; i < s->kept_count; i++)
		if (guid_equal(&s->kept[i].entry.item_id, &locator))
			return true;
	return false;
}

/* The locator, a long item, is believed rather than the bit that says whether there is one. */
static struct err *settle_parent(struct salvage *s)
{
	uint64_t at = s->r->regions.metadata.file_offset;
	bool has = has_locator(s);

	if (has == s->values.geometry.has_parent)
		return NULL;
	s->values.geometry.has_parent = has;
	if (has)
		return repair_note(s->r, at, "there is a parent locator: the file is a differencing one");
	TRY(repair_lose(s->r, 0, UINT64_MAX, VHDX_LOSS_DOUBT,
			"the file may have had a parent, and nothing names it"));
	return repair_note(s->r, at, "there is no parent locator: the file stands for itself");
}

/* The values that every file must have; sectors first, in which a size counts. */
static struct err *complete(struct salvage *s)
{
	TRY(find_sectors(s));
	TRY(find_block_size(s));
	TRY(settle_parent(s));
	TRY(find_size(s));
	if (s->has_id)
		return NULL;
	TRY(guid_make(&s->values.disk_id));
	return repair_note(s->r, s->r->regions.metadata.file_offset,
			   "the disk's id is lost: a new one, by which systems know it for another disk");
}

/* The region from its start on: the basic items, then those kept. */
static struct err *write_region(struct salvage *s)
{
	const struct vhdx_region *region = &s->r->regions.metadata;
	CLEANUP_FREE uint8_t *bytes = malloc(VHDX_METADATA_NEW_BYTES);
	uint32_t offset = VHDX_METADATA_NEW_BYTES;
	struct vhdx_disk_metadata_header header;
	uint16_t count;

	if (!bytes)
		return err_nomem();
	vhdx_metadata_encode(&s->values, bytes);
	memcpy(&header, bytes, sizeof header);
	count = le16_get(header.entry_count);
	for (size_t i = 0; i < s->kept_count && count < VHDX_METADATA_MAX_ENTRIES; i++) {
		struct kept_item *item = &s->kept[i];

		if (item->length_bytes > region->length_bytes - offset)
			return repair_refuse(s->r, "its metadata has no room to be written anew");
		item->entry.length = le32_make(item->length_bytes);
		item->entry.offset = le32_make(item->length_bytes ? offset : 0);
		memcpy(bytes + sizeof header + count * sizeof item->entry, &item->entry, sizeof item->entry);
		count++;
		TRY(blk_pwrite(s->r->io, item->value, item->length_bytes, region->file_offset + offset, 0));
		offset += item->length_bytes;
	}
	header.entry_count = le16_make(count);
	memcpy(bytes, &header, sizeof header);
	return blk_pwrite(s->r->io, bytes, VHDX_METADATA_NEW_BYTES, region->file_offset, 0);
}

static struct err *salvage_all(struct vhdx_repair *r)
{
	__attribute__((cleanup(salvage_deinit))) struct salvage s = {.r = r};

	if (r->regions.metadata.length_bytes < VHDX_METADATA_NEW_BYTES)
		return repair_refuse(r, "its metadata region is too small");
	s.table = malloc(VHDX_METADATA_TABLE_BYTES);
	if (!s.table)
		return err_nomem();
	TRY(blk_pread(r->io, s.table, VHDX_METADATA_TABLE_BYTES, r->regions.metadata.file_offset));
	TRY(take_items(&s));
	TRY(complete(&s));
	TRY(write_region(&s));
	return repair_note(r, r->regions.metadata.file_offset, "the metadata is damaged: written anew");
}

static struct err *read_metadata(struct vhdx_repair *r, bool *ret_clean)
{
	static const struct guid locator = VHDX_ITEM_PARENT_LOCATOR;
	CLEANUP_FINDINGS struct findings findings = {.name = r->io->name};
	bool has_locator;

	vhdx_metadata_deinit(&r->metadata);
	TRY(vhdx_metadata_read(r->io, &r->regions.metadata, &findings, &r->metadata));
	has_locator = vhdx_metadata_find(&r->metadata, &locator);
	*ret_clean = !findings.counts.errors && !findings.counts.warnings &&
		     has_locator == r->metadata.geometry.has_parent && !guid_is_zero(&r->metadata.disk_id) &&
		     bat_suffices(r, r->metadata.geometry);
	return findings_take_error(&findings);
}

static struct err *remove_marker(struct vhdx_repair *r)
{
	uint64_t at = r->regions.metadata.file_offset;
	CLEANUP_FREE uint8_t *table = malloc(VHDX_METADATA_TABLE_BYTES);

	if (!table)
		return err_nomem();
	TRY(blk_pread(r->io, table, VHDX_METADATA_TABLE_BYTES, at));
	vhdx_metadata_table_complete(table);
	TRY(blk_pwrite(r->io, table, VHDX_METADATA_TABLE_BYTES, at, 0));
	r->metadata.is_incomplete = false;
	TRY(repair_lose(r, 0, UINT64_MAX, VHDX_LOSS_DOUBT, "what was writing the file had not finished"));
	return repair_note(r, at, "the file is incomplete: the mark that says so is taken away");
}

struct err *repair_metadata(struct vhdx_repair *r)
{
	bool clean = false;
	struct err *err = read_metadata(r, &clean);

	if (err && err_kind(err) != ERR_REFUSED)
		return err;
	err_free(err);
	if (!clean) {
		TRY(salvage_all(r));
		TRY(read_metadata(r, &clean));
	}
	return r->metadata.is_incomplete && r->flags & VHDX_REPAIR_COMPLETE ? remove_marker(r) : NULL;
}
