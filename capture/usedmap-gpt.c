/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * GPT (UEFI 2.10, 5.3).  The primary header counts alone, and only with both
 * checksums right: a disk that needs its backup header needs a person.
 */
#include <stdlib.h>

#include "capture/checksum.h"
#include "capture/usedmap-table.h"
#include "p2v/base/guid.h"

struct gpt_header {
	char signature[8];
	le32 revision, header_bytes, header_crc, reserved;
	le64 my_lba, alternate_lba, first_usable_lba, last_usable_lba;
	struct guid disk_guid;
	le64 entries_lba;
	le32 entry_count, entry_bytes, entries_crc;
} __attribute__((packed));
_Static_assert(sizeof(struct gpt_header) == 92, "a GPT header has 92 bytes");

struct gpt_entry {
	struct guid type, id;
	le64 first_lba, last_lba, attributes;
	le16 name[36];
};
_Static_assert(sizeof(struct gpt_entry) == 128, "a GPT entry has 128 bytes");

#define MAX_ENTRIES_BYTES \
	(4u << 20) /* 128 entries of 128 bytes are 16 KiB; a header that lies takes no more */

static const uint32_t sector_sizes[] = {512, 4096, 0};

/* The size of sectors that the header's place shows (its own number in it, as well); 0 if there is none. */
static uint32_t find_sector_bytes(const uint8_t *start)
{
	for (const uint32_t *size = sector_sizes; *size; size++) {
		const struct gpt_header *header = (const struct gpt_header *)(start + *size);

		if (!memcmp(header->signature, "EFI PART", 8) && le64_get(header->my_lba) == 1)
			return *size;
	}
	return 0;
}

static bool gpt_recognise(const uint8_t start[USEDMAP_START_BYTES], uint64_t size_bytes)
{
	return size_bytes > 4096 && find_sector_bytes(start);
}

static uint32_t crc_of(const void *data, size_t bytes)
{
	return ~checksum_crc32(~0u, data, bytes);
}

static struct err *check_header(const uint8_t *raw, uint32_t sector_bytes, uint64_t disk_bytes,
				struct gpt_header *ret_header)
{
	uint8_t copy[4096];
	struct gpt_header header;
	uint32_t bytes;
	static const uint8_t zero[4];

	memcpy(&header, raw, sizeof header);
	bytes = le32_get(header.header_bytes);
	if (bytes < sizeof header || bytes > sector_bytes)
		return usedmap_doubt("its GPT header makes no sense");
	memcpy(copy, raw, bytes);
	memcpy(copy + offsetof(struct gpt_header, header_crc), zero, sizeof zero);
	if (crc_of(copy, bytes) != le32_get(header.header_crc))
		return usedmap_doubt("the checksum of its GPT header is wrong");
	if (le32_get(header.entry_bytes) < sizeof(struct gpt_entry) || le32_get(header.entry_bytes) % 8 ||
	    (uint64_t)le32_get(header.entry_bytes) * le32_get(header.entry_count) > MAX_ENTRIES_BYTES ||
	    le64_get(header.first_usable_lba) > le64_get(header.last_usable_lba) ||
	    le64_get(header.last_usable_lba) >= disk_bytes / sector_bytes ||
	    le64_get(header.entries_lba) >= disk_bytes / sector_bytes)
		return usedmap_doubt("its GPT header makes no sense");
	*ret_header = header;
	return NULL;
}

static struct err *take_entries(const struct gpt_header *header, const uint8_t *entries,
				uint32_t sector_bytes, struct table *table)
{
	uint64_t first_usable = le64_get(header->first_usable_lba);
	uint64_t last_usable = le64_get(header->last_usable_lba);

	for (uint32_t i = 0; i < le32_get(header->entry_count); i++) {
		struct gpt_entry entry;
		uint64_t first, last;

		memcpy(&entry, entries + (size_t)i * le32_get(header->entry_bytes), sizeof entry);
		if (guid_is_zero(&entry.type))
			continue;
		first = le64_get(entry.first_lba);
		last = le64_get(entry.last_lba);
		if (first < first_usable || last > last_usable || first > last)
			return usedmap_doubt("its partition %u lies outside of the disk", i + 1);
		table_add(table, i + 1, first * sector_bytes, (last + 1) * sector_bytes);
	}
	return NULL;
}

static struct err *gpt_map(struct usedmap_walk *walk, struct blk *blk, struct extents *ret_used)
{
	CLEANUP_TABLE struct table table = {.flags = TABLE_GAPS_ARE_FREE};
	CLEANUP_FREE uint8_t *start = NULL;
	CLEANUP_FREE uint8_t *entries = NULL;
	struct gpt_header header;
	uint32_t sector_bytes;
	uint64_t entries_start, entries_bytes;

	TRY(usedmap_read(blk, 0, 2 * 4096 < blk->size_bytes ? 2 * 4096 : blk->size_bytes, &start));
	sector_bytes = find_sector_bytes(start);
	if (!sector_bytes || blk->size_bytes < 2 * 4096)
		return usedmap_doubt("its GPT header makes no sense");
	TRY(check_header(start + sector_bytes, sector_bytes, blk->size_bytes, &header));
	entries_start = le64_get(header.entries_lba) * sector_bytes;
	entries_bytes = (uint64_t)le32_get(header.entry_bytes) * le32_get(header.entry_count);
	TRY(usedmap_read(blk, entries_start, entries_bytes, &entries));
	if (crc_of(entries, entries_bytes) != le32_get(header.entries_crc))
		return usedmap_doubt("the checksum of its GPT is wrong");
	TRY(take_entries(&header, entries, sector_bytes, &table));
	extents_add(&table.kept, 0, le64_get(header.first_usable_lba) * sector_bytes);
	extents_add(&table.kept, entries_start, entries_start + entries_bytes);
	extents_add(&table.kept, (le64_get(header.last_usable_lba) + 1) * sector_bytes, blk->size_bytes);
	return table_map(walk, blk, &table, ret_used);
}

const struct usedmap_kind usedmap_gpt = {
	.name = "gpt",
	.recognise = gpt_recognise,
	.map = gpt_map,
};
