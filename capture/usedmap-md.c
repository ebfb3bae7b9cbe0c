/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A member of a Linux software RAID (md): of a mirror, or of an array with one
 * member, its data are those of the array, from an offset on.  Members of all
 * other levels hold slices of something that cannot be seen from one disk.
 * Source: the kernel's include/uapi/linux/raid/md_p.h and drivers/md/md.c.
 *
 * A superblock of version 1.0 or 0.90 is at the end, and what is at the start
 * looks as if there were no RAID; so it is looked for before anything else.
 *
 * Trusted is only a member that is active and in an array that was in sync: of
 * two mirrors that differ each has data that the other's map would not have.
 */
#include <stdlib.h>

#include "capture/usedmap-impl.h"

#define MAGIC 0xa92b4efcu
#define SECTOR_BYTES 512u
#define SUPER_BYTES 4096u
#define OFFSET_1_2 4096u
#define MAX_ROLES 1920u /* what 4 KiB hold */
#define FEATURES_KNOWN 0x101u /* bitmap, bitmap of a version */
#define IN_SYNC UINT64_MAX
#define STATE_0_CLEAN 1u
#define DISK_0_FAULTY 1u
#define DISK_0_ACTIVE 6u /* active and in sync */
#define LEVEL_LINEAR UINT32_MAX

struct super_1 {
	le32 magic, major, features, pad;
	uint8_t set_uuid[16], set_name[32];
	le64 ctime;
	le32 level, layout;
	le64 size_sectors;
	le32 chunk_sectors, raid_disks, bitmap_offset, new_level;
	le64 reshape_position;
	le32 delta_disks, new_layout, new_chunk, new_offset;
	le64 data_offset_sectors, data_size_sectors, super_offset_sectors, recovery_offset;
	le32 device_number, corrected_reads;
	uint8_t device_uuid[16], device_flags, bad_blocks_shift;
	le16 bad_blocks_size;
	le32 bad_blocks_offset;
	le64 utime, events, resync_offset;
	le32 sum, role_count;
	uint8_t pad3[32];
	le16 roles[MAX_ROLES];
};
_Static_assert(sizeof(struct super_1) == SUPER_BYTES, "struct mdp_superblock_1, as large as it gets");
_Static_assert(offsetof(struct super_1, roles) == 256, "struct mdp_superblock_1");

/* In the byte order of the machine that made it: read here as little-endian. */
struct super_0 {
	le32 magic, major, minor, patch, valid_words, set_uuid0, ctime, level;
	le32 size_kib, disks, raid_disks, minor_number, is_not_persistent, set_uuid[3];
	le32 reserved[16];
	le32 utime, state, active_disks, working_disks, failed_disks, spare_disks, sum;
	le32 other[992 - 39];
	le32 this_number, this_major, this_minor, this_raid_disk, this_state;
	le32 rest[27];
};
_Static_assert(sizeof(struct super_0) == SUPER_BYTES, "mdp_super_t");

struct member {
	uint32_t level, raid_disks;
	struct view_run data;
};

/* Sectors from the device's start; a version 1.0 superblock is 8 to 12 KiB from its end. */
static uint64_t offset_1_0(uint64_t size_bytes)
{
	return ((size_bytes / SECTOR_BYTES - 16) & ~7ull) * SECTOR_BYTES;
}

static uint64_t offset_0_90(uint64_t size_bytes)
{
	return (size_bytes & ~0xffffull) - 0x10000;
}

static bool is_super_1(const uint8_t *at, uint64_t offset)
{
	struct super_1 super;

	memcpy(&super, at, offsetof(struct super_1, roles));
	return le32_get(super.magic) == MAGIC && le32_get(super.major) == 1 &&
	       le64_get(super.super_offset_sectors) == offset / SECTOR_BYTES;
}

static bool is_super_0(const uint8_t *at)
{
	const struct super_0 *super = (const struct super_0 *)at;

	return le32_get(super->magic) == MAGIC && le32_get(super->major) == 0;
}

static bool md_recognise(const uint8_t start[USEDMAP_START_BYTES], uint64_t size_bytes)
{
	return size_bytes >= USEDMAP_END_BYTES &&
	       (is_super_1(start, 0) || is_super_1(start + OFFSET_1_2, OFFSET_1_2));
}

static bool md_recognise_end(const uint8_t end[USEDMAP_END_BYTES], uint64_t size_bytes)
{
	uint64_t end_start = size_bytes - USEDMAP_END_BYTES;

	return is_super_1(end + (offset_1_0(size_bytes) - end_start), offset_1_0(size_bytes)) ||
	       is_super_0(end + (offset_0_90(size_bytes) - end_start));
}

/* Words are added; the superblock's own sum counts as zero. */
static uint32_t sum_words(const uint8_t *super, uint32_t bytes, uint32_t sum_offset)
{
	uint64_t sum = 0;

	for (uint32_t at = 0; at + 4 <= bytes; at += 4) {
		le32 word;

		memcpy(&word, super + at, sizeof word);
		sum += at == sum_offset ? 0 : le32_get(word);
	}
	if (bytes % 4) {
		le16 half;

		memcpy(&half, super + bytes - 2, sizeof half);
		sum += le16_get(half);
	}
	return (uint32_t)sum + (uint32_t)(sum >> 32);
}

static struct err *read_member_1(const struct super_1 *super, uint64_t size_bytes, struct member *ret_member)
{
	uint64_t start = le64_get(super->data_offset_sectors), sectors = le64_get(super->data_size_sectors);
	uint32_t roles = le32_get(super->role_count), number = le32_get(super->device_number);

	if (roles > MAX_ROLES ||
	    sum_words((const uint8_t *)super, offsetof(struct super_1, roles) + 2 * roles,
		      offsetof(struct super_1, sum)) != le32_get(super->sum))
		return usedmap_doubt("the checksum of its RAID superblock is wrong");
	if (le32_get(super->features) & ~FEATURES_KNOWN)
		return usedmap_doubt(
			"its RAID is being rebuilt, or has features that p2v does not know (%#x)",
			le32_get(super->features));
	if (number >= roles || le16_get(super->roles[number]) >= le32_get(super->raid_disks))
		return usedmap_doubt("it is no active member of its RAID");
	if (le64_get(super->resync_offset) != IN_SYNC)
		return usedmap_doubt("its RAID was not in sync");
	if (le32_get(super->level) == 1 && le64_get(super->size_sectors) < sectors)
		sectors = le64_get(super->size_sectors);
	if (start > size_bytes / SECTOR_BYTES || sectors > size_bytes / SECTOR_BYTES - start)
		return usedmap_doubt("its RAID is larger than the device it is on");
	*ret_member = (struct member){le32_get(super->level),
				      le32_get(super->raid_disks),
				      {start * SECTOR_BYTES, sectors * SECTOR_BYTES}};
	return NULL;
}

static struct err *read_member_0(const struct super_0 *super, uint64_t offset, struct member *ret_member)
{
	uint64_t bytes = (uint64_t)le32_get(super->size_kib) << 10;

	if (sum_words((const uint8_t *)super, sizeof *super, offsetof(struct super_0, sum)) !=
	    le32_get(super->sum))
		return usedmap_doubt("the checksum of its RAID superblock is wrong");
	if (le32_get(super->minor) != 90)
		return usedmap_doubt("its RAID is being reshaped");
	if ((le32_get(super->this_state) & (DISK_0_ACTIVE | DISK_0_FAULTY)) != DISK_0_ACTIVE)
		return usedmap_doubt("it is no active member of its RAID");
	if (!(le32_get(super->state) & STATE_0_CLEAN))
		return usedmap_doubt("its RAID was not in sync");
	/* The superblock of the disk's last partition may be where the disk's own would be. */
	if (bytes > offset || offset - bytes > 0x10000)
		return usedmap_doubt("the RAID superblock at its end is of something else");
	*ret_member = (struct member){le32_get(super->level), le32_get(super->raid_disks), {0, bytes}};
	return NULL;
}

/* Its place decides which of several is meant: the end wins, as in recognising. */
static struct err *read_member(struct blk *blk, struct member *ret_member)
{
	uint64_t size_bytes = blk->size_bytes, old = offset_0_90(size_bytes);
	const uint64_t places[] = {offset_1_0(size_bytes), 0, OFFSET_1_2};
	CLEANUP_FREE uint8_t *last = NULL;

	TRY(usedmap_read(blk, old, SUPER_BYTES, &last));
	if (is_super_0(last))
		return read_member_0((const struct super_0 *)last, old, ret_member);
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		CLEANUP_FREE uint8_t *super = NULL;

		TRY(usedmap_read(blk, places[i], SUPER_BYTES, &super));
		if (is_super_1(super, places[i]))
			return read_member_1((const struct super_1 *)super, size_bytes, ret_member);
	}
	return usedmap_doubt("its RAID superblock is gone");
}

/* Around the data are superblock, bitmap and list of bad blocks. */
static struct err *md_map(struct usedmap_walk *walk, struct blk *blk, struct extents *ret_used)
{
	struct member member = {0};

	TRY(read_member(blk, &member));
	if (member.level != 1 &&
	    (member.raid_disks != 1 || (member.level != 0 && member.level != LEVEL_LINEAR)))
		return usedmap_doubt("it is a part of a RAID, which cannot be seen from one disk");
	extents_add(ret_used, 0, member.data.start);
	TRY(usedmap_nested(walk, blk, &member.data, 1, "RAID", ret_used));
	extents_add(ret_used, member.data.start + member.data.bytes, blk->size_bytes);
	return NULL;
}

const struct usedmap_kind usedmap_md = {
	.name = "linux_raid_member",
	.recognise = md_recognise,
	.recognise_end = md_recognise_end,
	.map = md_map,
};
