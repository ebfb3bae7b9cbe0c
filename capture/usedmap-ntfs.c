/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * NTFS: the clusters that $Bitmap marks, where the volume is not marked dirty
 * and $LogFile has nothing to replay.  Source: the layout that linux-ntfs
 * documents and ntfs-3g's layout.h has.
 *
 * A hibernated Windows, or one shut down by "fast startup", leaves its log open:
 * that is seen there.  Left out: a $Bitmap so fragmented that its list of runs
 * needs a second MFT record.
 */
#include <stdlib.h>

#include "capture/usedmap-impl.h"
#include "p2v/base/mem.h"

struct ntfs_boot {
	uint8_t jump[3];
	char oem[8];
	le16 sector_bytes;
	uint8_t cluster_sectors; /* above 0x80: 2 to the power of 256 - this */
	uint8_t reserved[26];
	le64 sectors, mft_cluster, mft_mirror_cluster;
	int8_t record_clusters; /* negative: 2 to the power of its amount, in bytes */
} __attribute__((packed));
_Static_assert(offsetof(struct ntfs_boot, record_clusters) == 0x40, "clusters per MFT record");

struct ntfs_record {
	char magic[4];
	le16 fixup_offset, fixup_count;
	le64 log_lsn;
	le16 sequence, links, attributes_offset, flags;
	le32 used_bytes, allocated_bytes;
};
_Static_assert(sizeof(struct ntfs_record) == 32, "the part of an MFT record's header that is read here");
#define RECORD_IN_USE 1

struct ntfs_attribute {
	le32 type, bytes;
	uint8_t is_non_resident, name_length;
	le16 name_offset, flags, instance;
	union {
		struct {
			le32 value_bytes;
			le16 value_offset;
		} resident;
		struct {
			le64 first_vcn, last_vcn;
			le16 runs_offset, compression_unit;
			le32 reserved;
			le64 allocated_bytes, data_bytes, initialized_bytes;
		} __attribute__((packed)) away;
	};
} __attribute__((packed));
_Static_assert(sizeof(struct ntfs_attribute) == 64, "a non-resident attribute's header");
#define RESIDENT_BYTES 24
#define TYPE_ATTRIBUTE_LIST 0x20
#define TYPE_VOLUME_INFORMATION 0x70
#define TYPE_DATA 0x80
#define TYPE_END 0xffffffffu

enum { MFT_SELF = 0, MFT_LOG = 2, MFT_VOLUME = 3, MFT_BITMAP = 6 };
#define VOLUME_FLAG_CHKDSK_WAS_HERE 0x8000 /* the one flag of a volume that says nothing bad */

#define FIXUP_SECTOR_BYTES 512
#define MAX_RECORD_BYTES 65536

struct ntfs {
	const struct usedmap_walk *walk;
	struct blk *blk;
	uint64_t cluster_bytes, clusters, end;
	uint32_t record_bytes;
	uint64_t mft_start;
};

/* Where the data of a non-resident attribute lies. */
struct ntfs_data {
	struct view_run *runs;
	size_t count, capacity;
	uint64_t bytes;
};

static void data_deinit(struct ntfs_data *data)
{
	free(data->runs);
}
#define CLEANUP_DATA CLEANUP(data_deinit)

static bool ntfs_recognise(const uint8_t start[USEDMAP_START_BYTES], uint64_t size_bytes)
{
	return size_bytes >= 512 && !memcmp(start + 3, "NTFS    ", 8);
}

static bool is_power_of_two(uint64_t n)
{
	return n && !(n & (n - 1));
}

static struct err *read_geometry(struct ntfs *ntfs)
{
	uint64_t sector_bytes, cluster_sectors, sectors;
	struct ntfs_boot boot;

	TRY(blk_pread(ntfs->blk, &boot, sizeof boot, 0));
	sector_bytes = le16_get(boot.sector_bytes);
	cluster_sectors = boot.cluster_sectors;
	if (cluster_sectors > 0x80)
		cluster_sectors = 256 - cluster_sectors < 16 ? 1u << (256 - cluster_sectors) : 0;
	sectors = le64_get(boot.sectors);
	ntfs->cluster_bytes = sector_bytes * cluster_sectors;
	if (!is_power_of_two(sector_bytes) || sector_bytes < 256 || sector_bytes > 4096 ||
	    !is_power_of_two(ntfs->cluster_bytes) || ntfs->cluster_bytes > 2 << 20)
		return usedmap_doubt("its boot sector makes no sense");
	if (sectors > ntfs->blk->size_bytes / sector_bytes)
		return usedmap_doubt("it is larger than the device it is on");
	ntfs->clusters = sectors / cluster_sectors;
	ntfs->end = ntfs->clusters * ntfs->cluster_bytes;
	if (boot.record_clusters > 0)
		ntfs->record_bytes = boot.record_clusters * ntfs->cluster_bytes;
	else if (boot.record_clusters >= -16)
		ntfs->record_bytes = 1u << -boot.record_clusters;
	if (!is_power_of_two(ntfs->record_bytes) || ntfs->record_bytes < FIXUP_SECTOR_BYTES ||
	    ntfs->record_bytes > MAX_RECORD_BYTES || le64_get(boot.mft_cluster) >= ntfs->clusters)
		return usedmap_doubt("its boot sector makes no sense");
	ntfs->mft_start = le64_get(boot.mft_cluster) * ntfs->cluster_bytes;
	return NULL;
}

/*
 * The last two bytes of every sector of a record were put aside, to find torn writes: checks them, and puts
 * them back.
 */
static struct err *apply_fixups(uint8_t *record, uint32_t bytes, const char *what)
{
	struct ntfs_record header;
	uint32_t offset, count;

	memcpy(&header, record, sizeof header);
	offset = le16_get(header.fixup_offset);
	count = le16_get(header.fixup_count);
	if (count != bytes / FIXUP_SECTOR_BYTES + 1 || offset % 2 || offset + 2 * count > bytes)
		return usedmap_doubt("%s makes no sense", what);
	for (uint32_t i = 1; i < count; i++) {
		uint8_t *end = record + i * FIXUP_SECTOR_BYTES - 2;

		if (memcmp(end, record + offset, 2))
			return usedmap_doubt("%s is torn", what);
		memcpy(end, record + offset + 2 * i, 2);
	}
	return NULL;
}

/* The first 16 records are in the first run of the MFT, in one piece. */
static struct err *read_record(const struct ntfs *ntfs, unsigned number, uint8_t **ret_record)
{
	CLEANUP_FREE uint8_t *record = NULL;
	struct ntfs_record header;

	TRY(usedmap_read(ntfs->blk, ntfs->mft_start + number * ntfs->record_bytes, ntfs->record_bytes,
			 &record));
	memcpy(&header, record, sizeof header);
	if (memcmp(header.magic, "FILE", 4) || !(le16_get(header.flags) & RECORD_IN_USE))
		return usedmap_doubt("MFT record %u makes no sense", number);
	TRY(apply_fixups(record, ntfs->record_bytes, "its MFT"));
	*ret_record = take_ptr(record);
	return NULL;
}

/* The offset of a record's attribute without a name; an attribute list is a doubt. */
static struct err *find_attribute(const struct ntfs *ntfs, const uint8_t *record, uint32_t type,
				  uint32_t *ret_offset, struct ntfs_attribute *ret_attribute)
{
	struct ntfs_record header;
	uint32_t at, bytes;

	memcpy(&header, record, sizeof header);
	at = le16_get(header.attributes_offset);
	for (; at <= ntfs->record_bytes - RESIDENT_BYTES; at += bytes) {
		struct ntfs_attribute attribute = {0};
		uint32_t left = ntfs->record_bytes - at;

		memcpy(&attribute, record + at, left < sizeof attribute ? left : sizeof attribute);
		bytes = le32_get(attribute.bytes);
		if (le32_get(attribute.type) == TYPE_END)
			break;
		if (bytes < RESIDENT_BYTES || bytes > left || bytes % 8 ||
		    le32_get(attribute.type) == TYPE_ATTRIBUTE_LIST)
			break;
		if (le32_get(attribute.type) == type && !attribute.name_length) {
			*ret_offset = at;
			*ret_attribute = attribute;
			return NULL;
		}
	}
	return usedmap_doubt("its MFT has no attribute %#x where one must be", type);
}

static int64_t get_signed(const uint8_t *at, unsigned bytes)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < bytes; i++)
		value |= (uint64_t)at[i] << 8 * i;
	if (bytes && bytes < 8 && at[bytes - 1] & 0x80)
		value |= ~0ull << 8 * bytes;
	return (int64_t)value;
}

/* Runs: a byte with the widths of length and distance, the length, the distance from the run before. */
static struct err *decode_runs(const struct ntfs *ntfs, const uint8_t *at, const uint8_t *end,
			       struct ntfs_data *data)
{
	uint64_t cluster = 0, total = 0;

	while (at < end && *at) {
		unsigned length_width = *at & 15, distance_width = *at >> 4;
		uint64_t length;

		if (length_width > 8 || distance_width > 8 || !length_width || !distance_width ||
		    end - at < 1 + length_width + distance_width)
			return usedmap_doubt("a list of runs in its MFT makes no sense");
		length = get_signed(at + 1, length_width);
		cluster += get_signed(at + 1 + length_width, distance_width);
		if (!length || cluster >= ntfs->clusters || length > ntfs->clusters - cluster ||
		    (total += length) > ntfs->clusters)
			return usedmap_doubt("a list of runs in its MFT makes no sense");
		array_grow(data->runs, data->count, data->capacity);
		data->runs[data->count++] =
			(struct view_run){cluster * ntfs->cluster_bytes, length * ntfs->cluster_bytes};
		at += 1 + length_width + distance_width;
	}
	if (data->bytes > total * ntfs->cluster_bytes)
		return usedmap_doubt("a list of runs in its MFT ends too early");
	return NULL;
}

/* Where the unnamed data of a system file lies. */
static struct err *find_data(const struct ntfs *ntfs, unsigned number, struct ntfs_data *data)
{
	CLEANUP_FREE uint8_t *record = NULL;
	struct ntfs_attribute attribute;
	uint32_t offset, runs_offset;

	TRY(read_record(ntfs, number, &record));
	TRY(find_attribute(ntfs, record, TYPE_DATA, &offset, &attribute));
	runs_offset = le16_get(attribute.away.runs_offset);
	if (!attribute.is_non_resident || le16_get(attribute.flags) || le64_get(attribute.away.first_vcn) ||
	    runs_offset < sizeof attribute || runs_offset > le32_get(attribute.bytes) ||
	    le64_get(attribute.away.initialized_bytes) != le64_get(attribute.away.data_bytes))
		return usedmap_doubt("MFT record %u makes no sense", number);
	data->bytes = le64_get(attribute.away.data_bytes);
	return decode_runs(ntfs, record + offset + runs_offset, record + offset + le32_get(attribute.bytes),
			   data);
}

static struct err *check_volume(const struct ntfs *ntfs)
{
	CLEANUP_FREE uint8_t *record = NULL;
	struct ntfs_attribute attribute;
	uint32_t offset, value;
	unsigned flags;

	TRY(read_record(ntfs, MFT_VOLUME, &record));
	TRY(find_attribute(ntfs, record, TYPE_VOLUME_INFORMATION, &offset, &attribute));
	value = le16_get(attribute.resident.value_offset);
	if (attribute.is_non_resident || value + 12 > le32_get(attribute.bytes))
		return usedmap_doubt("its volume information makes no sense");
	flags = record[offset + value + 10] | record[offset + value + 11] << 8;
	if (record[offset + value + 8] > 3)
		return usedmap_doubt("its version is not known");
	if (flags & ~VOLUME_FLAG_CHKDSK_WAS_HERE)
		return usedmap_doubt("it is marked dirty (flags %#x)", flags);
	return NULL;
}

struct restart_page {
	char magic[4];
	le16 fixup_offset, fixup_count;
	le64 chkdsk_lsn;
	le32 system_page_bytes, log_page_bytes;
	le16 restart_offset, minor, major;
};
struct restart_area {
	le64 lsn;
	le16 clients, free_clients, clients_in_use, flags;
};
#define NO_CLIENT 0xffff
#define RESTART_VOLUME_IS_CLEAN 2
#define RESTART_PAGE_BYTES 4096

/* Of one of the two restart pages; *ret_lsn says which one is the younger. */
static struct err *read_restart(struct blk *log, uint64_t offset, uint64_t *ret_lsn, bool *ret_is_clean)
{
	CLEANUP_FREE uint8_t *data = NULL;
	struct restart_page page;
	struct restart_area area;
	uint32_t at;

	TRY(usedmap_read(log, offset, RESTART_PAGE_BYTES, &data));
	memcpy(&page, data, sizeof page);
	at = le16_get(page.restart_offset);
	if (memcmp(page.magic, "RSTR", 4) || le32_get(page.system_page_bytes) != RESTART_PAGE_BYTES ||
	    at + sizeof area > RESTART_PAGE_BYTES)
		return usedmap_doubt("its log makes no sense");
	TRY(apply_fixups(data, RESTART_PAGE_BYTES, "its log"));
	memcpy(&area, data + at, sizeof area);
	*ret_lsn = le64_get(area.lsn);
	*ret_is_clean =
		le16_get(area.clients_in_use) == NO_CLIENT || le16_get(area.flags) & RESTART_VOLUME_IS_CLEAN;
	return NULL;
}

/* A log that was just made, or reset by ntfs-3g, is all ones. */
static struct err *is_reset(struct blk *log, bool *ret_is_reset)
{
	CLEANUP_FREE uint8_t *data = NULL;

	TRY(usedmap_read(log, 0, 2 * RESTART_PAGE_BYTES, &data));
	*ret_is_reset = true;
	for (size_t i = 0; i < 2 * RESTART_PAGE_BYTES; i++)
		*ret_is_reset &= data[i] == 0xff;
	return NULL;
}

static struct err *check_log(const struct ntfs *ntfs)
{
	CLEANUP_DATA struct ntfs_data data = {0};
	CLEANUP_BLK struct blk *log = NULL;
	uint64_t lsns[2];
	bool is_clean[2], reset;

	TRY(find_data(ntfs, MFT_LOG, &data));
	TRY(view_create(ntfs->blk, data.runs, data.count, "$LogFile", &log));
	TRY(is_reset(log, &reset));
	if (reset)
		return NULL;
	for (int i = 0; i < 2; i++)
		TRY(read_restart(log, i * RESTART_PAGE_BYTES, &lsns[i], &is_clean[i]));
	if (!is_clean[lsns[1] > lsns[0]])
		return usedmap_doubt("its log is open: Windows hibernates, or was not shut down");
	return NULL;
}

#define BITMAP_PIECE_BYTES (1u << 20)

static struct err *map_bitmap(const struct ntfs *ntfs, struct extents *ret_used)
{
	CLEANUP_DATA struct ntfs_data data = {0};
	CLEANUP_BLK struct blk *bitmap = NULL;
	uint64_t bytes = (ntfs->clusters + 7) / 8;

	TRY(find_data(ntfs, MFT_BITMAP, &data));
	if (data.bytes < bytes)
		return usedmap_doubt("its bitmap is too short");
	TRY(view_create(ntfs->blk, data.runs, data.count, "$Bitmap", &bitmap));
	for (uint64_t at = 0; at < bytes; at += BITMAP_PIECE_BYTES) {
		CLEANUP_FREE uint8_t *piece = NULL;
		uint64_t bits = ntfs->clusters - at * 8;

		if (bits > BITMAP_PIECE_BYTES * 8ull)
			bits = BITMAP_PIECE_BYTES * 8ull;
		TRY(usedmap_read(bitmap, at, (bits + 7) / 8, &piece));
		usedmap_add_bitmap(ntfs->walk, ret_used, piece, bits, ntfs->cluster_bytes,
				   at * 8 * ntfs->cluster_bytes);
	}
	/* Every volume has its boot sector and its MFT; a bitmap that says otherwise is none. */
	if (!extents_contain(ret_used, 0, ntfs->cluster_bytes) ||
	    !extents_contain(ret_used, ntfs->mft_start, ntfs->mft_start + ntfs->record_bytes))
		return usedmap_doubt("its bitmap makes no sense");
	return NULL;
}

static struct err *ntfs_map(struct usedmap_walk *walk, struct blk *blk, struct extents *ret_used)
{
	struct ntfs ntfs = {.walk = walk, .blk = blk};

	TRY(read_geometry(&ntfs));
	TRY(check_volume(&ntfs));
	TRY(check_log(&ntfs));
	TRY(map_bitmap(&ntfs, ret_used));
	/* With the boot sector's copy, which lies behind the last cluster. */
	usedmap_add(walk, ret_used, ntfs.end, blk->size_bytes);
	return NULL;
}

const struct usedmap_kind usedmap_ntfs = {
	.name = "ntfs",
	.recognise = ntfs_recognise,
	.map = ntfs_map,
};
