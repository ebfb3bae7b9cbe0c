/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The MBR's table and the chain of logical partitions.
 *
 * It has no checksum and does not tell the size of its sectors, so a gap in it
 * is always kept: a table that was misread loses nothing.
 */
#include "capture/usedmap-table.h"

#define TABLE_OFFSET 446
#define SIGNATURE_OFFSET 510
#define TYPE_PROTECTIVE 0xee

struct dos_entry {
	uint8_t status, first_chs[3], type, last_chs[3];
	le32 start_lba, sectors;
};
_Static_assert(sizeof(struct dos_entry) == 16, "an MBR entry has 16 bytes");

static void get_entries(const uint8_t *sector, struct dos_entry entries[4])
{
	memcpy(entries, sector + TABLE_OFFSET, 4 * sizeof *entries);
}

static bool has_signature(const uint8_t *sector)
{
	return sector[SIGNATURE_OFFSET] == 0x55 && sector[SIGNATURE_OFFSET + 1] == 0xaa;
}

static bool is_extended(const struct dos_entry *entry)
{
	return entry->type == 0x05 || entry->type == 0x0f || entry->type == 0x85;
}

static bool dos_recognise(const uint8_t start[USEDMAP_START_BYTES], uint64_t size_bytes)
{
	struct dos_entry entries[4];
	unsigned found = 0;

	if (size_bytes < 512 || !has_signature(start))
		return false;
	get_entries(start, entries);
	for (int i = 0; i < 4; i++) {
		if (entries[i].status & 0x7f || entries[i].type == TYPE_PROTECTIVE)
			return false;
		found += entries[i].type && le32_get(entries[i].sectors);
	}
	return found;
}

/* Checked against the disk; start_lba counts from base_lba. */
static struct err *take_partition(const struct blk *blk, const struct dos_entry *entry, uint64_t base_lba,
				  unsigned number, struct table *table)
{
	uint64_t sector_bytes = blk->logical_sector_bytes;
	uint64_t start = base_lba + le32_get(entry->start_lba), end = start + le32_get(entry->sectors);

	if (end > blk->size_bytes / sector_bytes || !start)
		return usedmap_doubt("its partition %u lies outside of the disk", number);
	table_add(table, number, start * sector_bytes, end * sector_bytes);
	return NULL;
}

/* Each link holds one partition and the place of the next; they must ascend, so the chain ends. */
static struct err *take_logical(struct blk *blk, const struct dos_entry *extended, unsigned first_number,
				struct table *table)
{
	uint64_t base = le32_get(extended->start_lba), link = base, next;

	for (unsigned number = first_number;; link = next) {
		struct dos_entry entries[4];
		uint8_t sector[512];
		uint64_t offset = link * blk->logical_sector_bytes;

		if (offset > blk->size_bytes || blk->size_bytes - offset < sizeof sector)
			return usedmap_doubt("its logical partitions lie outside of the disk");
		TRY(blk_pread(blk, sector, sizeof sector, offset));
		if (!has_signature(sector))
			return usedmap_doubt("its chain of logical partitions is broken");
		get_entries(sector, entries);
		next = 0;
		for (int i = 0; i < 4; i++) {
			if (!entries[i].type || !le32_get(entries[i].sectors))
				continue;
			if (is_extended(&entries[i]) && !next)
				next = base + le32_get(entries[i].start_lba);
			else
				TRY(take_partition(blk, &entries[i], link, number++, table));
		}
		if (!next)
			return NULL;
		if (next <= link)
			return usedmap_doubt("its chain of logical partitions turns back");
	}
}

static struct err *dos_map(struct usedmap_walk *walk, struct blk *blk, struct extents *ret_used)
{
	CLEANUP_TABLE struct table table = {0};
	struct dos_entry entries[4];
	uint8_t sector[512];
	unsigned logical = 5;

	TRY(blk_pread(blk, sector, sizeof sector, 0));
	get_entries(sector, entries);
	for (int i = 0; i < 4; i++) {
		if (!entries[i].type || !le32_get(entries[i].sectors))
			continue;
		if (!is_extended(&entries[i])) {
			TRY(take_partition(blk, &entries[i], 0, i + 1, &table));
			continue;
		}
		if (logical != 5)
			return usedmap_doubt("it has two extended partitions");
		TRY(take_logical(blk, &entries[i], logical, &table));
		logical = 0;
	}
	return table_map(walk, blk, &table, ret_used);
}

const struct usedmap_kind usedmap_dos = {
	.name = "dos",
	.recognise = dos_recognise,
	.map = dos_map,
};
