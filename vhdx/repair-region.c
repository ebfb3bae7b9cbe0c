// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Repairing the region tables.
 *
 * A table is tried by writing it into both places of the overlay and reading it
 * the usual way: first those with a right checksum, then those that had one.  If
 * none will do, the regions are searched for: the metadata by its signature, the
 * BAT by its content, which must make sense from end to end and be the only such
 * place.
 */
#include <inttypes.h>
#include <string.h>

#include "vhdx/bat.h"
#include "vhdx/repair-plan.h"

static const uint64_t table_offsets[2] = {VHDX_REGION_TABLE_1_OFFSET, VHDX_REGION_TABLE_2_OFFSET};

/* Where it is there already nothing is written, so that the backup stays small. */
static struct err *write_tables(struct vhdx_repair *r, const uint8_t *table)
{
	CLEANUP_FREE uint8_t *now = malloc(VHDX_REGION_TABLE_BYTES);

	if (!now)
		return err_nomem();
	for (unsigned i = 0; i < 2; i++) {
		TRY(blk_pread(r->io, now, VHDX_REGION_TABLE_BYTES, table_offsets[i]));
		if (memcmp(now, table, VHDX_REGION_TABLE_BYTES))
			TRY(blk_pwrite(r->io, table, VHDX_REGION_TABLE_BYTES, table_offsets[i], 0));
	}
	return NULL;
}

struct err *repair_write_regions(struct vhdx_repair *r)
{
	CLEANUP_FREE uint8_t *table = malloc(VHDX_REGION_TABLE_BYTES);

	if (!table)
		return err_nomem();
	vhdx_region_table_encode(r->regions.items, r->regions.count, table);
	return write_tables(r, table);
}

/* Reads r->regions by the tables in the overlay; true if they can be worked with. */
static struct err *read_regions(struct vhdx_repair *r, bool *ret_usable, uint64_t *ret_findings)
{
	CLEANUP_FINDINGS struct findings findings = {.name = r->io->name};
	const struct vhdx_header *header = &r->headers.current;

	vhdx_regions_deinit(&r->regions);
	TRY(vhdx_regions_read(r->io, header->log_offset, header->log_length, &findings, &r->regions));
	*ret_usable = !findings.fatal;
	*ret_findings = findings.counts.errors + findings.counts.warnings;
	return NULL;
}

/* Whether the first page of a place holds entries of a BAT and nothing else. */
static struct err *looks_like_bat(struct vhdx_repair *r, uint64_t offset, bool *ret_does)
{
	le64 entries[VHDX_BAT_PAGE_ENTRIES];
	bool has_any = false, makes_sense = true;

	TRY(blk_pread(r->io, entries, sizeof entries, offset));
	for (size_t i = 0; i < VHDX_BAT_PAGE_ENTRIES; i++) {
		uint64_t entry = le64_get(entries[i]);

		has_any |= entry;
		makes_sense &= !(entry & VHDX_BAT_RESERVED_MASK) && entry < r->io->size_bytes;
	}
	*ret_does = has_any && makes_sense;
	return NULL;
}

/* A log that is in the way of regions: if these are what they should be, it is elsewhere. */
static struct err *try_without_log(struct vhdx_repair *r, bool *ret_usable, uint64_t *ret_findings)
{
	struct vhdx_header *header = &r->headers.current;
	struct vhdx_header kept = *header;

	header->log_offset = 0;
	header->log_length = 0;
	TRY(read_regions(r, ret_usable, ret_findings));
	if (*ret_usable)
		TRY(looks_like_bat(r, r->regions.bat.file_offset, ret_usable));
	if (!*ret_usable) {
		*header = kept;
		return NULL;
	}
	r->has_log_place = false;
	return repair_note(r, kept.log_offset, "the log's place is also a region's: the log gets another");
}

/* Unknown regions that are damaged protect nothing: out with them.  What is known is good here. */
static struct err *drop_bad_regions(struct vhdx_repair *r)
{
	size_t kept = 0;

	for (size_t i = 0; i < r->regions.count; i++) {
		const struct vhdx_region region = r->regions.items[i];
		bool is_bad = region.file_offset % VHDX_MIB || region.length_bytes % VHDX_MIB ||
			      region.file_offset < VHDX_MIB || !region.length_bytes ||
			      region.file_offset > r->io->size_bytes ||
			      region.length_bytes > r->io->size_bytes - region.file_offset;

		if (is_bad && !vhdx_region_name(&region.guid)) {
			char text[GUID_TEXT_BYTES];

			guid_format(&region.guid, text);
			TRY(repair_note(r, VHDX_REGION_TABLE_1_OFFSET,
					"region %s, which nothing here needs, leads nowhere: taken out",
					text));
			continue;
		}
		r->regions.items[kept++] = region;
	}
	r->regions.count = kept;
	return NULL;
}

/* By what a place shows that metadata is there. */
struct metadata_signs {
	bool signature;
	unsigned item_count; /* of known items, among the first entries */
};

static struct err *look_for_metadata(struct vhdx_repair *r, uint64_t offset, struct metadata_signs *ret_signs)
{
	struct {
		struct vhdx_disk_metadata_header header;
		struct vhdx_disk_metadata_entry entries[8];
	} start;

	TRY(blk_pread(r->io, &start, sizeof start, offset));
	*ret_signs = (struct metadata_signs){.signature = le64_get(start.header.signature) ==
							  VHDX_METADATA_SIGNATURE};
	for (size_t i = 0; i < 8; i++) {
		const struct vhdx_item item = {.guid = start.entries[i].item_id,
					       .flags = le32_get(start.entries[i].flags)};

		ret_signs->item_count += vhdx_item_name(&item) != NULL;
	}
	return NULL;
}

/* Tries one table; *ret_usable tells whether it is now the one. */
static struct err *try_table(struct vhdx_repair *r, const uint8_t *table, bool *ret_usable)
{
	struct metadata_signs signs;
	uint64_t finding_count;

	TRY(write_tables(r, table));
	TRY(read_regions(r, ret_usable, &finding_count));
	if (!*ret_usable && r->has_log_place)
		TRY(try_without_log(r, ret_usable, &finding_count));
	if (*ret_usable) {
		TRY(look_for_metadata(r, r->regions.metadata.file_offset, &signs));
		*ret_usable = signs.signature || signs.item_count;
	}
	if (!*ret_usable || !finding_count)
		return NULL;
	TRY(repair_note(r, VHDX_REGION_TABLE_1_OFFSET,
			"the region tables are written anew without oddities"));
	TRY(drop_bad_regions(r));
	return repair_write_regions(r);
}

/* Whether a region must be understood that we do not know: that is no damage. */
static bool has_unknown_required(const struct vhdx_regions *regions)
{
	for (size_t i = 0; i < regions->count; i++)
		if (regions->items[i].required && !vhdx_region_name(&regions->items[i].guid))
			return true;
	return false;
}

/* Tries both tables as they are, then with signature and checksum set right. */
static struct err *try_tables(struct vhdx_repair *r, uint8_t *tables, bool *ret_usable)
{
	bool valid[2], differ = memcmp(tables, tables + VHDX_REGION_TABLE_BYTES, VHDX_REGION_TABLE_BYTES);

	for (unsigned i = 0; i < 2; i++)
		valid[i] = vhdx_region_table_is_valid(tables + i * VHDX_REGION_TABLE_BYTES);
	for (unsigned attempt = 0; attempt < 4; attempt++) {
		unsigned i = attempt % 2;
		uint8_t *table = tables + i * VHDX_REGION_TABLE_BYTES;
		const le32 signature = le32_make(VHDX_REGION_SIGNATURE);

		if (valid[i] != (attempt < 2))
			continue;
		if (!valid[i]) {
			memcpy(table, &signature, sizeof signature);
			vhdx_checksum_set(table, VHDX_REGION_TABLE_BYTES);
		}
		if (!vhdx_region_table_is_valid(table))
			continue;
		TRY(try_table(r, table, ret_usable));
		if (!*ret_usable && valid[i] && has_unknown_required(&r->regions))
			return repair_refuse(r, "it has a region that must be understood, but is unknown");
		if (*ret_usable && !valid[i])
			return repair_note(
				r, table_offsets[i],
				"both region tables are damaged: written anew from what table %u holds",
				i + 1);
		if (*ret_usable)
			return differ ? repair_note(r, table_offsets[!i],
						    "region table %u: written anew from table %u", !i + 1,
						    i + 1)
				      : NULL;
	}
	return NULL;
}

/* Searching for regions. */

/* Calls fn for each MiB of the file that holds something, until it says that it is done. */
typedef struct err *(*place_fn)(struct vhdx_repair *r, uint64_t offset);

static struct err *search(struct vhdx_repair *r, place_fn fn)
{
	CLEANUP_EXTENTS struct extents data = {0};

	/* Holes of the file itself; what the overlay has changed was found already. */
	TRY(blk_data_extents(r->file, r->file->size_bytes, 0, &data));
	for (uint64_t offset = VHDX_MIB; offset + VHDX_MIB <= r->file->size_bytes; offset += VHDX_MIB) {
		size_t i = extents_find(&data, offset);

		if (i == data.count)
			break;
		if (data.ranges[i].start >= offset + VHDX_MIB) {
			offset = data.ranges[i].start / VHDX_MIB * VHDX_MIB - VHDX_MIB;
			continue;
		}
		TRY(fn(r, offset));
	}
	return NULL;
}

/* Keeps the first place that has both signs of metadata. */
static struct err *try_metadata(struct vhdx_repair *r, uint64_t offset)
{
	struct metadata_signs signs;

	if (r->regions.metadata.length_bytes)
		return NULL;
	TRY(look_for_metadata(r, offset, &signs));
	if (!signs.signature || !signs.item_count)
		return NULL;
	r->regions.metadata = (struct vhdx_region){
		.guid = VHDX_REGION_METADATA,
		.file_offset = offset,
		.length_bytes = VHDX_MIB,
		.required = true,
	};
	return NULL;
}

/* A BAT region of this place would have room, and be in nobody's way. */
static bool bat_fits(const struct vhdx_repair *r, uint64_t offset, uint64_t bytes)
{
	const struct vhdx_region *metadata = &r->regions.metadata;
	const struct vhdx_header *header = &r->headers.current;

	if (bytes > r->io->size_bytes || offset > r->io->size_bytes - bytes)
		return false;
	if (offset < metadata->file_offset + metadata->length_bytes && metadata->file_offset < offset + bytes)
		return false;
	return !header->log_length || offset >= header->log_offset + header->log_length ||
	       header->log_offset >= offset + bytes;
}

/* How much of a BAT a place is. */
struct bat_signs {
	uint64_t block_count; /* entries of blocks that can be there */
	uint64_t bad_count; /* entries that make no sense */
};

static void count_entry(const struct vhdx_bat_limits *limits, uint64_t i, uint64_t entry,
			struct bat_signs *signs)
{
	uint64_t state = entry & VHDX_BAT_STATE_MASK;

	if (entry & VHDX_BAT_RESERVED_MASK || (entry && vhdx_entry_check(limits, i, entry) != VHDX_ENTRY_OK))
		signs->bad_count++;
	else
		signs->block_count += vhdx_state_has_space((enum vhdx_block_state)state);
}

static struct err *look_for_bat(struct vhdx_repair *r, uint64_t offset, struct bat_signs *ret_signs)
{
	const struct vhdx_geometry *geometry = &r->metadata.geometry;
	uint64_t total = geometry->bat_entry_count;
	uint64_t region_bytes = (total * VHDX_BAT_ENTRY_BYTES + VHDX_MIB - 1) / VHDX_MIB * VHDX_MIB;
	const struct vhdx_header *header = &r->headers.current;
	le64 entries[VHDX_BAT_PAGE_ENTRIES];
	struct vhdx_region regions[2] = {
		r->regions.metadata,
		{.file_offset = offset, .length_bytes = (uint32_t)region_bytes},
	};
	const struct vhdx_regions both = {.items = regions, .count = 2};
	const struct vhdx_bat_limits limits = {geometry, &both, header->log_offset, header->log_length,
					       r->io->size_bytes};

	*ret_signs = (struct bat_signs){.bad_count = 1};
	if (!bat_fits(r, offset, region_bytes))
		return NULL;
	ret_signs->bad_count = 0;
	for (uint64_t first = 0; first < total; first += VHDX_BAT_PAGE_ENTRIES) {
		uint64_t count =
			total - first < VHDX_BAT_PAGE_ENTRIES ? total - first : VHDX_BAT_PAGE_ENTRIES;

		TRY(blk_pread(r->io, entries, count * VHDX_BAT_ENTRY_BYTES,
			      offset + first * VHDX_BAT_ENTRY_BYTES));
		for (uint64_t i = 0; i < count; i++)
			count_entry(&limits, first + i, le64_get(entries[i]), ret_signs);
		/* In a search most places show at once that they are none. */
		if (ret_signs->bad_count > VHDX_BAT_PAGE_ENTRIES / 2 && !ret_signs->block_count)
			return NULL;
	}
	return NULL;
}

/* Keeps the place in r->regions.bat; a second one makes that unsure: length 0, offset not. */
static struct err *try_bat(struct vhdx_repair *r, uint64_t offset)
{
	struct bat_signs signs;

	TRY(look_for_bat(r, offset, &signs));
	if (!signs.block_count || signs.bad_count)
		return NULL;
	if (r->regions.bat.file_offset && r->regions.bat.file_offset != offset) {
		r->regions.bat.length_bytes = 0;
		return NULL;
	}
	r->regions.bat = (struct vhdx_region){
		.guid = VHDX_REGION_BAT,
		.file_offset = offset,
		.length_bytes = VHDX_MIB,
		.required = true,
	};
	return NULL;
}

/* What the last table that was tried says of a known region, if that can be. */
static uint64_t place_by_table(const struct vhdx_regions *regions, const char *name)
{
	for (size_t i = 0; i < regions->count; i++) {
		const char *known = vhdx_region_name(&regions->items[i].guid);

		if (known && !strcmp(known, name))
			return regions->items[i].file_offset;
	}
	return 0;
}

static bool is_place(const struct vhdx_repair *r, uint64_t offset)
{
	return offset >= VHDX_MIB && offset % VHDX_MIB == 0 && offset <= r->io->size_bytes - VHDX_MIB;
}

/* The metadata region, without a table to go by; the BAT's place as a table has it, if it may be right. */
static struct err *search_regions(struct vhdx_repair *r)
{
	uint64_t metadata_at = place_by_table(&r->regions, "metadata");
	uint64_t bat_at = place_by_table(&r->regions, "BAT");

	vhdx_regions_deinit(&r->regions);
	if (is_place(r, metadata_at))
		TRY(try_metadata(r, metadata_at));
	TRY(search(r, try_metadata));
	if (!r->regions.metadata.length_bytes)
		return repair_refuse(r, "both region tables are damaged, and no metadata is to be found");
	if (is_place(r, bat_at) && bat_at != r->regions.metadata.file_offset)
		r->regions.bat.file_offset = bat_at;
	return repair_note(r, VHDX_REGION_TABLE_1_OFFSET,
			   "both region tables are damaged: metadata found at offset %" PRIu64,
			   r->regions.metadata.file_offset);
}

struct err *repair_regions(struct vhdx_repair *r)
{
	CLEANUP_FREE uint8_t *tables = malloc(2 * VHDX_REGION_TABLE_BYTES);
	bool usable = false;

	if (!tables)
		return err_nomem();
	for (unsigned i = 0; i < 2; i++)
		TRY(blk_pread(r->io, tables + i * VHDX_REGION_TABLE_BYTES, VHDX_REGION_TABLE_BYTES,
			      table_offsets[i]));
	TRY(try_tables(r, tables, &usable));
	return usable ? NULL : search_regions(r);
}

static struct err *find_bat(struct vhdx_repair *r)
{
	uint64_t named_at = r->regions.bat.file_offset;
	struct bat_signs signs = {0};

	/* A table that was damaged elsewhere may well be right about it. */
	if (named_at)
		TRY(look_for_bat(r, named_at, &signs));
	r->regions.bat = (struct vhdx_region){0};
	if (signs.block_count && !signs.bad_count)
		return try_bat(r, named_at);
	TRY(search(r, try_bat));
	if (r->regions.bat.length_bytes)
		return NULL;
	return repair_refuse(r, r->regions.bat.file_offset ? "its BAT is lost, and several places could be it"
							   : "its BAT is lost, and none is to be found");
}

/* The table has two entries then: others are lost with the tables. */
static struct err *make_regions(struct vhdx_repair *r)
{
	struct vhdx_region *items = calloc(2, sizeof *items);

	if (!items)
		return err_nomem();
	items[0] = r->regions.bat;
	items[1] = r->regions.metadata;
	free(r->regions.items);
	r->regions.items = items;
	r->regions.count = 2;
	return NULL;
}

/* A BAT that makes more nonsense than sense is none, if there is a good one elsewhere. */
static struct err *doubt_bat(struct vhdx_repair *r)
{
	struct vhdx_region kept = r->regions.bat;
	struct bat_signs signs;

	TRY(look_for_bat(r, kept.file_offset, &signs));
	if (signs.bad_count <= signs.block_count)
		return NULL;
	r->regions.bat = (struct vhdx_region){0};
	TRY(search(r, try_bat));
	if (r->regions.bat.length_bytes)
		r->regions.bat.length_bytes = 0; /* found, not yet in the table */
	else
		r->regions.bat = kept;
	return NULL;
}

struct err *repair_bat_region(struct vhdx_repair *r)
{
	uint64_t bytes = r->metadata.geometry.bat_entry_count * VHDX_BAT_ENTRY_BYTES;

	if (r->regions.bat.length_bytes)
		TRY(doubt_bat(r));
	if (r->regions.bat.length_bytes)
		return NULL;
	TRY(find_bat(r));
	r->regions.bat.length_bytes = (uint32_t)((bytes + VHDX_MIB - 1) / VHDX_MIB * VHDX_MIB);
	TRY(make_regions(r));
	TRY(repair_note(r, VHDX_REGION_TABLE_1_OFFSET,
			"both region tables are written anew: BAT found at offset %" PRIu64,
			r->regions.bat.file_offset));
	return repair_write_regions(r);
}
