/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The region table exists twice; the first good copy counts.  Regions that are
 * neither known nor required are kept in the list, so that nothing is ever
 * written over them.
 */
#include "vhdx/region.h"

#include <inttypes.h>
#include <string.h>

static const struct {
	struct guid guid;
	const char *name;
} known_regions[] = {
	{VHDX_REGION_BAT, "BAT"},
	{VHDX_REGION_METADATA, "metadata"},
};
#define KNOWN_COUNT (sizeof known_regions / sizeof known_regions[0])

void vhdx_regions_deinit(struct vhdx_regions *regions)
{
	free(regions->items);
	*regions = (struct vhdx_regions){0};
}

const char *vhdx_region_name(const struct guid *guid)
{
	for (size_t i = 0; i < KNOWN_COUNT; i++)
		if (guid_equal(guid, &known_regions[i].guid))
			return known_regions[i].name;
	return NULL;
}

void vhdx_region_table_encode(const struct vhdx_region *items, size_t count, uint8_t *ret_table)
{
	struct vhdx_disk_region_header header = {
		.signature = le32_make(VHDX_REGION_SIGNATURE),
		.entry_count = le32_make((uint32_t)count),
	};
	uint8_t *at = ret_table + sizeof header;

	memset(ret_table, 0, VHDX_REGION_TABLE_BYTES);
	memcpy(ret_table, &header, sizeof header);
	for (size_t i = 0; i < count; i++) {
		struct vhdx_disk_region_entry entry = {
			.guid = items[i].guid,
			.file_offset = le64_make(items[i].file_offset),
			.length = le32_make(items[i].length_bytes),
			.flags = le32_make(items[i].required ? VHDX_REGION_REQUIRED : 0),
		};

		memcpy(at + i * sizeof entry, &entry, sizeof entry);
	}
	vhdx_checksum_set(ret_table, VHDX_REGION_TABLE_BYTES);
}

bool vhdx_region_table_is_valid(const uint8_t *table)
{
	struct vhdx_disk_region_header header;

	memcpy(&header, table, sizeof header);
	return le32_get(header.signature) == VHDX_REGION_SIGNATURE &&
	       vhdx_checksum_is_right(table, VHDX_REGION_TABLE_BYTES) &&
	       le32_get(header.entry_count) <= VHDX_REGION_MAX_ENTRIES;
}

static struct err *decode(const uint8_t *table, uint64_t at, struct findings *findings,
			  struct vhdx_regions *regions)
{
	struct vhdx_disk_region_header header;

	memcpy(&header, table, sizeof header);
	regions->count = le32_get(header.entry_count);
	regions->items = calloc(regions->count ? regions->count : 1, sizeof *regions->items);
	if (!regions->items)
		return err_nomem();
	if (le32_get(header.reserved))
		findings_add(findings, FINDING_WARNING, at,
			     "a reserved field of the region table is not zero");
	for (size_t i = 0; i < regions->count; i++) {
		uint64_t entry_at = sizeof header + i * sizeof(struct vhdx_disk_region_entry);
		struct vhdx_disk_region_entry entry;

		memcpy(&entry, table + entry_at, sizeof entry);
		regions->items[i] = (struct vhdx_region){
			.guid = entry.guid,
			.file_offset = le64_get(entry.file_offset),
			.length_bytes = le32_get(entry.length),
			.required = le32_get(entry.flags) & VHDX_REGION_REQUIRED,
		};
		if (le32_get(entry.flags) & ~VHDX_REGION_REQUIRED)
			findings_add(findings, FINDING_WARNING, at + entry_at,
				     "reserved bits of region %zu are not zero", i);
	}
	return NULL;
}

/* "BAT", or the GUID of a region without a name. */
static const char *describe(const struct vhdx_region *region, char text[GUID_TEXT_BYTES])
{
	const char *name = vhdx_region_name(&region->guid);

	if (name)
		return name;
	guid_format(&region->guid, text);
	return text;
}

static void check_region(const struct vhdx_region *region, uint64_t at, uint64_t file_bytes,
			 struct findings *findings)
{
	char text[GUID_TEXT_BYTES];
	const char *name = describe(region, text);
	bool known = name != text;
	enum finding_level level = known ? FINDING_FATAL : FINDING_ERROR;

	if (!known && region->required)
		findings_add_fatal(findings, at, "convert it where it was made",
				   "has a part (region %s) that must be understood, but is unknown", name);
	if (region->file_offset % VHDX_MIB || region->length_bytes % VHDX_MIB ||
	    region->file_offset < VHDX_MIB || !region->length_bytes)
		findings_add(findings, level, at,
			     "region %s (%" PRIu32 " bytes at offset %" PRIu64 ") is not aligned to 1 MiB",
			     name, region->length_bytes, region->file_offset);
	else if (region->file_offset > file_bytes || region->length_bytes > file_bytes - region->file_offset)
		findings_add(findings, level, at,
			     "the file is truncated: region %s (%" PRIu32 " bytes at offset %" PRIu64
			     ") reaches behind its end (%" PRIu64 ")",
			     name, region->length_bytes, region->file_offset, file_bytes);
}

/* Saturates: an offset that is out of bounds has been reported, and must not wrap around here. */
static uint64_t end_of(const struct vhdx_region *region)
{
	uint64_t end;

	return __builtin_add_overflow(region->file_offset, region->length_bytes, &end) ? UINT64_MAX : end;
}

static bool overlap(const struct vhdx_region *a, const struct vhdx_region *b)
{
	return a->length_bytes && b->length_bytes && a->file_offset < end_of(b) && b->file_offset < end_of(a);
}

/* Duplicates and overlaps, each pair looked at: a table has 2 entries, and can have 2047.  One finding
 * for each region is enough. */
static void check_pairs(const struct vhdx_regions *regions, const struct vhdx_region *log, uint64_t at,
			struct findings *findings)
{
	char text[GUID_TEXT_BYTES], other[GUID_TEXT_BYTES];

	for (size_t i = 0; i < regions->count; i++) {
		const struct vhdx_region *region = &regions->items[i];

		if (overlap(region, log))
			findings_add(findings, FINDING_FATAL, at, "region %s and the log overlap",
				     describe(region, text));
		for (size_t j = 0; j < i; j++) {
			if (guid_equal(&region->guid, &regions->items[j].guid)) {
				findings_add(findings, FINDING_FATAL, at, "region %s is there twice",
					     describe(region, text));
				break;
			}
			if (overlap(region, &regions->items[j])) {
				findings_add(findings, FINDING_FATAL, at, "regions %s and %s overlap",
					     describe(&regions->items[j], other), describe(region, text));
				break;
			}
		}
	}
}

static void find_known(struct vhdx_regions *regions, uint64_t at, struct findings *findings)
{
	struct vhdx_region *targets[KNOWN_COUNT] = {&regions->bat, &regions->metadata};

	for (size_t k = 0; k < KNOWN_COUNT; k++) {
		for (size_t i = 0; i < regions->count && !targets[k]->length_bytes; i++)
			if (guid_equal(&regions->items[i].guid, &known_regions[k].guid))
				*targets[k] = regions->items[i];
		if (!targets[k]->length_bytes)
			findings_add(findings, FINDING_FATAL, at, "there is no %s region",
				     known_regions[k].name);
	}
}

/* The offset of the table that counts, read into ret_table; 0 if both are damaged. */
static struct err *choose_table(struct blk *file, struct findings *findings, uint8_t *ret_table,
				uint64_t *ret_offset)
{
	CLEANUP_FREE uint8_t *second = malloc(VHDX_REGION_TABLE_BYTES);
	bool first_is_valid, second_is_valid;

	if (!second)
		return err_nomem();
	TRY(blk_pread(file, ret_table, VHDX_REGION_TABLE_BYTES, VHDX_REGION_TABLE_1_OFFSET));
	TRY(blk_pread(file, second, VHDX_REGION_TABLE_BYTES, VHDX_REGION_TABLE_2_OFFSET));
	first_is_valid = vhdx_region_table_is_valid(ret_table);
	second_is_valid = vhdx_region_table_is_valid(second);
	*ret_offset = VHDX_REGION_TABLE_1_OFFSET;
	if (first_is_valid && second_is_valid && memcmp(ret_table, second, VHDX_REGION_TABLE_BYTES))
		findings_add(findings, FINDING_ERROR, VHDX_REGION_TABLE_2_OFFSET,
			     "the two region tables differ; the first is used");
	if (first_is_valid && !second_is_valid)
		findings_add(findings, FINDING_WARNING, VHDX_REGION_TABLE_2_OFFSET,
			     "region table 2 is damaged; region table 1 is used");
	if (first_is_valid)
		return NULL;
	if (!second_is_valid) {
		findings_add(findings, FINDING_FATAL, VHDX_REGION_TABLE_1_OFFSET,
			     "both region tables are damaged");
		*ret_offset = 0;
		return NULL;
	}
	findings_add(findings, FINDING_WARNING, VHDX_REGION_TABLE_1_OFFSET,
		     "region table 1 is damaged; region table 2 is used");
	memcpy(ret_table, second, VHDX_REGION_TABLE_BYTES);
	*ret_offset = VHDX_REGION_TABLE_2_OFFSET;
	return NULL;
}

struct err *vhdx_regions_read(struct blk *file, uint64_t log_offset, uint32_t log_length,
			      struct findings *findings, struct vhdx_regions *ret_regions)
{
	struct vhdx_region log = {.file_offset = log_offset, .length_bytes = log_length};
	CLEANUP_FREE uint8_t *table = malloc(VHDX_REGION_TABLE_BYTES);
	uint64_t at;

	if (!table)
		return err_nomem();
	TRY(choose_table(file, findings, table, &at));
	if (!at)
		return NULL;
	TRY(decode(table, at, findings, ret_regions));
	for (size_t i = 0; i < ret_regions->count; i++)
		check_region(&ret_regions->items[i],
			     at + sizeof(struct vhdx_disk_region_header) +
				     i * sizeof(struct vhdx_disk_region_entry),
			     file->size_bytes, findings);
	check_pairs(ret_regions, &log, at, findings);
	find_known(ret_regions, at, findings);
	return NULL;
}
