/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * FAT12, FAT16 and FAT32, by Microsoft's "FAT: General Overview of On-Disk
 * Format" 1.03: everything before the clusters, and the clusters that the
 * table does not call free or bad.  The copies of the table must be equal.
 */
#include <stdlib.h>

#include "capture/usedmap-impl.h"

struct fat_boot {
	uint8_t jump[3], oem[8];
	le16 sector_bytes;
	uint8_t cluster_sectors;
	le16 reserved_sectors;
	uint8_t fat_count;
	le16 root_entries, sectors_16;
	uint8_t media;
	le16 fat_sectors_16, track_sectors, heads;
	le32 hidden_sectors, sectors_32;
	union {
		struct {
			uint8_t drive, state, signature;
		} small;
		struct {
			le32 fat_sectors;
			le16 flags, version;
			le32 root_cluster;
			le16 info_sector, backup_sector;
			uint8_t reserved[12], drive, state, signature;
		} __attribute__((packed)) wide;
	};
} __attribute__((packed));
_Static_assert(offsetof(struct fat_boot, wide.state) == 0x41, "BS_Reserved1 of FAT32");

#define STATE_DIRTY 1
#define STATE_ERRORS 2
#define FLAG_NOT_MIRRORED 0x80

struct fat {
	const struct usedmap_walk *walk;
	struct blk *blk;
	unsigned bits; /* 12, 16, 32 */
	unsigned copies;
	uint64_t fat_start, fat_bytes;
	uint64_t data_start, cluster_bytes, clusters, end;
};

static bool is_power_of_two(uint32_t n)
{
	return n && !(n & (n - 1));
}

static bool fat_recognise(const uint8_t start[USEDMAP_START_BYTES], uint64_t size_bytes)
{
	const struct fat_boot *boot = (const struct fat_boot *)start;
	uint32_t sector_bytes = le16_get(boot->sector_bytes);

	return size_bytes >= 512 && (boot->jump[0] == 0xeb || boot->jump[0] == 0xe9) &&
	       is_power_of_two(sector_bytes) && sector_bytes >= 512 && sector_bytes <= 4096 &&
	       is_power_of_two(boot->cluster_sectors) && le16_get(boot->reserved_sectors) &&
	       boot->fat_count >= 1 && boot->fat_count <= 4 && (boot->media >= 0xf8 || boot->media == 0xf0);
}

static struct err *read_geometry(struct fat *fat, const struct fat_boot *boot)
{
	uint64_t sector_bytes = le16_get(boot->sector_bytes), sectors = le16_get(boot->sectors_16);
	uint64_t fat_sectors = le16_get(boot->fat_sectors_16), root_sectors, data_sector;
	bool is_wide = !fat_sectors;
	unsigned state;

	if (!sectors)
		sectors = le32_get(boot->sectors_32);
	if (is_wide)
		fat_sectors = le32_get(boot->wide.fat_sectors);
	root_sectors = (le16_get(boot->root_entries) * 32ull + sector_bytes - 1) / sector_bytes;
	data_sector = le16_get(boot->reserved_sectors) + boot->fat_count * fat_sectors + root_sectors;
	if (!fat_sectors || data_sector >= sectors)
		return usedmap_doubt("its boot sector makes no sense");
	if (sectors > fat->blk->size_bytes / sector_bytes)
		return usedmap_doubt("it is larger than the device it is on");
	fat->copies = boot->fat_count;
	fat->fat_start = le16_get(boot->reserved_sectors) * sector_bytes;
	fat->fat_bytes = fat_sectors * sector_bytes;
	fat->data_start = data_sector * sector_bytes;
	fat->cluster_bytes = boot->cluster_sectors * sector_bytes;
	fat->clusters = (sectors - data_sector) / boot->cluster_sectors;
	fat->end = fat->data_start + fat->clusters * fat->cluster_bytes;
	fat->bits = fat->clusters < 4085 ? 12 : fat->clusters < 65525 ? 16 : 32;
	if ((fat->bits == 32) != is_wide || fat->fat_bytes * 8 / fat->bits < fat->clusters + 2)
		return usedmap_doubt("its boot sector makes no sense");
	state = is_wide ? boot->wide.state : boot->small.state;
	if (state & (STATE_DIRTY | STATE_ERRORS))
		return usedmap_doubt("it is not marked clean");
	if (is_wide && (le16_get(boot->wide.flags) & FLAG_NOT_MIRRORED || le16_get(boot->wide.version)))
		return usedmap_doubt("it has features that p2v does not know");
	return NULL;
}

/* Entries do not cross pieces of this size, whatever their width: it is a multiple of 3. */
#define PIECE_BYTES (3u << 18)

static uint32_t get_entry(const struct fat *fat, const uint8_t *piece, uint64_t index)
{
	const uint8_t *at = piece + index * fat->bits / 8;

	switch (fat->bits) {
	case 12:
		return index & 1 ? (at[0] | at[1] << 8) >> 4 : (at[0] | at[1] << 8) & 0xfff;
	case 16:
		return at[0] | at[1] << 8;
	default:
		return (at[0] | at[1] << 8 | at[2] << 16 | (uint32_t)at[3] << 24) & 0x0fffffff;
	}
}

static bool holds_data(const struct fat *fat, uint32_t entry)
{
	static const uint32_t bad_12 = 0xff7, bad_16 = 0xfff7, bad_32 = 0x0ffffff7;

	return entry && entry != (fat->bits == 12 ? bad_12 : fat->bits == 16 ? bad_16 : bad_32);
}

/* FAT 1.03, "FAT[1]": a bit each for a clean unmount and for no errors met. */
static struct err *check_marks(const struct fat *fat, uint32_t entry)
{
	uint32_t wanted = fat->bits == 16 ? 0xc000 : fat->bits == 32 ? 0x0c000000 : 0;

	if ((entry & wanted) != wanted)
		return usedmap_doubt("it is not marked clean");
	return NULL;
}

static struct err *map_piece(const struct fat *fat, uint64_t offset, struct extents *ret_used)
{
	uint64_t bytes = fat->fat_bytes - offset < PIECE_BYTES ? fat->fat_bytes - offset : PIECE_BYTES;
	uint64_t first = offset * 8 / fat->bits, entries = bytes * 8 / fat->bits;
	CLEANUP_FREE uint8_t *piece = NULL;

	TRY(usedmap_read(fat->blk, fat->fat_start + offset, bytes, &piece));
	for (unsigned copy = 1; copy < fat->copies; copy++) {
		CLEANUP_FREE uint8_t *other = NULL;

		TRY(usedmap_read(fat->blk, fat->fat_start + copy * fat->fat_bytes + offset, bytes, &other));
		if (memcmp(piece, other, bytes))
			return usedmap_doubt("the copies of its table differ");
	}
	if (!offset)
		TRY(check_marks(fat, get_entry(fat, piece, 1)));
	for (uint64_t i = 0; i < entries && first + i < fat->clusters + 2; i++)
		if (first + i >= 2 && holds_data(fat, get_entry(fat, piece, i)))
			usedmap_add(fat->walk, ret_used,
				    fat->data_start + (first + i - 2) * fat->cluster_bytes,
				    fat->data_start + (first + i - 1) * fat->cluster_bytes);
	return NULL;
}

static struct err *fat_map(struct usedmap_walk *walk, struct blk *blk, struct extents *ret_used)
{
	struct fat fat = {.walk = walk, .blk = blk};
	struct fat_boot boot;
	uint8_t sector[512];

	TRY(blk_pread(blk, sector, sizeof sector, 0));
	memcpy(&boot, sector, sizeof boot);
	TRY(read_geometry(&fat, &boot));
	usedmap_add(walk, ret_used, 0, fat.data_start);
	for (uint64_t offset = 0; offset < fat.fat_bytes; offset += PIECE_BYTES)
		TRY(map_piece(&fat, offset, ret_used));
	usedmap_add(walk, ret_used, fat.end, blk->size_bytes);
	return NULL;
}

const struct usedmap_kind usedmap_fat = {
	.name = "vfat",
	.recognise = fat_recognise,
	.map = fat_map,
};
