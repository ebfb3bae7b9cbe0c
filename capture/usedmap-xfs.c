/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * XFS, versions 4 and 5: everything but what the by-block free space btree of
 * each allocation group lists.  Source: "XFS Algorithms & Data Structures", 3rd
 * edition, and the kernel's fs/xfs/libxfs/xfs_format.h.
 *
 * Blocks on the free lists of groups count as used: nobody needs them, but they
 * are few.  Left out: external logs, zoned and realtime-group file systems.
 */
#include "capture/usedmap-xfs.h"

#include <stdlib.h>

#include "capture/usedmap-impl.h"
#include "p2v/base/crc32c.h"

#define SUPER_MAGIC 0x58465342u /* "XFSB" */
#define GROUP_MAGIC 0x58414746u /* "XAGF" */
#define BNO_MAGIC_4 0x41425442u /* "ABTB" */
#define BNO_MAGIC_5 0x41423342u /* "AB3B" */
#define INCOMPAT_NEEDS_REPAIR 0x10
#define INCOMPAT_KNOWN 0xef /* ftype … nrext64, exchange-range, parent */
#define RO_COMPAT_KNOWN 0xf /* finobt, rmapbt, reflink, inobtcount */
#define MAX_LEVELS 10
#define NULL_BLOCK 0xffffffffu

struct xfs_super {
	be32 magic, block_bytes;
	be64 blocks, realtime_blocks, realtime_extents;
	uint8_t uuid[16];
	be64 log_start, root_inode, realtime_bitmap, realtime_summary;
	be32 realtime_extent_blocks, group_blocks, group_count, realtime_bitmap_blocks, log_blocks;
	be16 version, sector_bytes, inode_bytes, block_inodes;
	char label[12];
	uint8_t block_log, sector_log, inode_log, block_inodes_log, group_log, realtime_extent_log;
	uint8_t in_progress, max_inode_percent;
	be64 inodes, free_inodes, free_blocks, free_realtime;
	be64 quota_inodes[2];
	be16 quota_flags;
	uint8_t flags, shared_version;
	be32 inode_align, unit, width;
	uint8_t dir_block_log, log_sector_log;
	be16 log_sector_bytes;
	be32 log_unit, features2, bad_features2;
	be32 compat, ro_compat, incompat, log_incompat;
	le32 crc;
	be32 sparse_inode_align;
	be64 project_quota_inode, lsn;
	uint8_t metadata_uuid[16];
};
_Static_assert(offsetof(struct xfs_super, crc) == 224, "xfs_dsb.sb_crc");

struct xfs_group {
	be32 magic, version, number, blocks;
	be32 roots[3], levels[3]; /* by block, by size, reverse map */
	be32 list_first, list_last, list_count, free_blocks, longest, btree_blocks;
	uint8_t uuid[16];
	be32 more[4];
	uint8_t reserved[112];
	be64 lsn;
	le32 crc;
	be32 reserved2;
};
_Static_assert(offsetof(struct xfs_group, crc) == 216, "xfs_agf.agf_crc");

struct xfs_btree_block {
	be32 magic;
	be16 level, count;
	be32 left, right;
	/* Version 5 only. */
	be64 block_number, lsn;
	uint8_t uuid[16];
	be32 owner;
	le32 crc;
};
_Static_assert(sizeof(struct xfs_btree_block) == 56, "a short btree block's header in version 5");
#define HEADER_BYTES_4 16
#define KEY_BYTES 8 /* start and count */

struct xfs {
	const struct usedmap_walk *walk;
	struct blk *blk;
	bool is_v5;
	uint32_t block_bytes, sector_bytes;
	uint64_t blocks;
	uint32_t group_blocks, group_count;
};

static bool xfs_recognise(const uint8_t start[USEDMAP_START_BYTES], uint64_t size_bytes)
{
	const struct xfs_super *super = (const struct xfs_super *)start;

	return size_bytes >= 512 && be32_get(super->magic) == SUPER_MAGIC;
}

/* CRC-32C with the sum's own field taken as zero. */
static bool crc_is_right(const uint8_t *data, size_t bytes, size_t crc_offset)
{
	static const uint8_t zero[4];
	le32 found;
	uint32_t sum;

	memcpy(&found, data + crc_offset, sizeof found);
	sum = crc32c(0, data, crc_offset);
	sum = crc32c(sum, zero, sizeof zero);
	return crc32c(sum, data + crc_offset + 4, bytes - crc_offset - 4) == le32_get(found);
}

static bool is_power_of_two(uint32_t n)
{
	return n && !(n & (n - 1));
}

static struct err *read_geometry(struct xfs *xfs, const struct xfs_super *super)
{
	unsigned version = be16_get(super->version) & 0xf;

	if (version != 4 && version != 5)
		return usedmap_doubt("its version %u is not known", version);
	xfs->is_v5 = version == 5;
	xfs->block_bytes = be32_get(super->block_bytes);
	xfs->sector_bytes = be16_get(super->sector_bytes);
	xfs->blocks = be64_get(super->blocks);
	xfs->group_blocks = be32_get(super->group_blocks);
	xfs->group_count = be32_get(super->group_count);
	if (!is_power_of_two(xfs->block_bytes) || xfs->block_bytes < 512 || xfs->block_bytes > 65536 ||
	    !is_power_of_two(xfs->sector_bytes) || xfs->sector_bytes < 512 ||
	    xfs->sector_bytes > xfs->block_bytes || xfs->sector_bytes > 32768 || !xfs->group_blocks ||
	    !xfs->group_count || xfs->group_blocks < 4 * xfs->sector_bytes / xfs->block_bytes ||
	    (xfs->blocks + xfs->group_blocks - 1) / xfs->group_blocks != xfs->group_count)
		return usedmap_doubt("its superblock makes no sense");
	if (xfs->blocks > xfs->blk->size_bytes / xfs->block_bytes)
		return usedmap_doubt("it is larger than the device it is on");
	return NULL;
}

static struct err *check_features(const struct xfs *xfs, const struct xfs_super *super)
{
	CLEANUP_FREE uint8_t *sector = NULL;

	if (super->in_progress)
		return usedmap_doubt("its making was not finished");
	if (!xfs->is_v5)
		return NULL;
	TRY(usedmap_read(xfs->blk, 0, xfs->sector_bytes, &sector));
	if (!crc_is_right(sector, xfs->sector_bytes, offsetof(struct xfs_super, crc)))
		return usedmap_doubt("the checksum of its superblock is wrong");
	if (be32_get(super->incompat) & INCOMPAT_NEEDS_REPAIR)
		return usedmap_doubt("it is marked as in need of repair");
	if (be32_get(super->incompat) & ~INCOMPAT_KNOWN || be32_get(super->ro_compat) & ~RO_COMPAT_KNOWN ||
	    be32_get(super->log_incompat) || be32_get(super->compat))
		return usedmap_doubt("it has features that p2v does not know (incompat %#x, ro_compat %#x)",
				     be32_get(super->incompat), be32_get(super->ro_compat));
	return NULL;
}

/* The block number of the superblock packs group and block. */
static struct err *check_log(const struct xfs *xfs, const struct xfs_super *super)
{
	uint64_t packed = be64_get(super->log_start), group, block, start, bytes;

	if (!packed)
		return usedmap_doubt("its log is on another device");
	if (super->group_log > 31)
		return usedmap_doubt("its superblock makes no sense");
	group = packed >> super->group_log;
	block = packed & ((1ull << super->group_log) - 1);
	bytes = (uint64_t)be32_get(super->log_blocks) * xfs->block_bytes;
	if (group >= xfs->group_count || block >= xfs->group_blocks || !bytes)
		return usedmap_doubt("its superblock makes no sense");
	start = (group * xfs->group_blocks + block) * xfs->block_bytes;
	if (start > xfs->blk->size_bytes || bytes > xfs->blk->size_bytes - start)
		return usedmap_doubt("its log lies behind the end of the device");
	return xfs_log_check_clean(xfs->blk, start, bytes);
}

struct group_walk {
	const struct xfs *xfs;
	uint64_t start; /* of the group, in blocks of the device */
	uint32_t number, blocks;
	uint32_t at; /* first block of the group not yet told used or free */
	uint64_t free_blocks;
	struct extents *used;
};

static struct err *read_btree_block(const struct group_walk *group, uint32_t block, unsigned level,
				    uint8_t **ret_data, uint32_t *ret_count, uint32_t *ret_right)
{
	const struct xfs *xfs = group->xfs;
	uint32_t header_bytes = xfs->is_v5 ? sizeof(struct xfs_btree_block) : HEADER_BYTES_4;
	uint32_t entry_bytes = level ? KEY_BYTES + 4 : KEY_BYTES;
	CLEANUP_FREE uint8_t *data = NULL;
	struct xfs_btree_block header = {0};

	if (block >= group->blocks)
		return usedmap_doubt("its free space tree %u points behind its end", group->number);
	TRY(usedmap_read(xfs->blk, (group->start + block) * xfs->block_bytes, xfs->block_bytes, &data));
	memcpy(&header, data, header_bytes);
	if (be32_get(header.magic) != (xfs->is_v5 ? BNO_MAGIC_5 : BNO_MAGIC_4) ||
	    be16_get(header.level) != level || !be16_get(header.count) ||
	    be16_get(header.count) > (xfs->block_bytes - header_bytes) / entry_bytes)
		return usedmap_doubt("its free space tree %u makes no sense", group->number);
	if (xfs->is_v5 && (!crc_is_right(data, xfs->block_bytes, offsetof(struct xfs_btree_block, crc)) ||
			   be32_get(header.owner) != group->number))
		return usedmap_doubt("the checksum of free space tree %u is wrong", group->number);
	*ret_count = be16_get(header.count);
	*ret_right = be32_get(header.right);
	*ret_data = take_ptr(data);
	return NULL;
}

static be32 be32_at(const uint8_t *data)
{
	be32 value;

	memcpy(&value, data, sizeof value);
	return value;
}

/* Follows the leftmost pointers down to the leaf that holds the lowest free space. */
static struct err *find_first_leaf(const struct group_walk *group, uint32_t root, unsigned levels,
				   uint32_t *ret_block)
{
	const struct xfs *xfs = group->xfs;
	uint32_t header_bytes = xfs->is_v5 ? sizeof(struct xfs_btree_block) : HEADER_BYTES_4;
	uint32_t max_entries = (xfs->block_bytes - header_bytes) / (KEY_BYTES + 4);

	while (--levels) {
		CLEANUP_FREE uint8_t *data = NULL;
		uint32_t count, right;

		TRY(read_btree_block(group, root, levels, &data, &count, &right));
		root = be32_get(be32_at(data + header_bytes + max_entries * KEY_BYTES));
	}
	*ret_block = root;
	return NULL;
}

static struct err *take_free(struct group_walk *group, uint32_t start, uint32_t count)
{
	uint64_t block_bytes = group->xfs->block_bytes;

	if (start < group->at || !count || start >= group->blocks || count > group->blocks - start)
		return usedmap_doubt("its free space tree %u makes no sense", group->number);
	usedmap_add(group->xfs->walk, group->used, (group->start + group->at) * block_bytes,
		    (group->start + start) * block_bytes);
	group->at = start + count;
	group->free_blocks += count;
	return NULL;
}

/* Leaves are chained; starts must ascend, so the chain ends. */
static struct err *walk_leaves(struct group_walk *group, uint32_t block)
{
	uint32_t header_bytes = group->xfs->is_v5 ? sizeof(struct xfs_btree_block) : HEADER_BYTES_4;

	while (block != NULL_BLOCK) {
		CLEANUP_FREE uint8_t *data = NULL;
		uint32_t count;

		TRY(read_btree_block(group, block, 0, &data, &count, &block));
		for (uint32_t i = 0; i < count; i++) {
			const uint8_t *record = data + header_bytes + i * KEY_BYTES;

			TRY(take_free(group, be32_get(be32_at(record)), be32_get(be32_at(record + 4))));
		}
	}
	return NULL;
}

/* A group that is full has a root with no records, which is the one case of an empty block. */
static struct err *map_free(struct group_walk *group, const struct xfs_group *header)
{
	unsigned levels = be32_get(header->levels[0]);
	uint32_t leaf;

	if (!be32_get(header->free_blocks))
		return NULL;
	if (!levels || levels > MAX_LEVELS)
		return usedmap_doubt("its free space tree %u makes no sense", group->number);
	TRY(find_first_leaf(group, be32_get(header->roots[0]), levels, &leaf));
	TRY(walk_leaves(group, leaf));
	if (group->free_blocks != be32_get(header->free_blocks))
		return usedmap_doubt("the free count of allocation group %u is wrong", group->number);
	return NULL;
}

static struct err *map_group(const struct xfs *xfs, uint32_t number, struct extents *ret_used)
{
	struct group_walk group = {.xfs = xfs, .number = number, .used = ret_used};
	CLEANUP_FREE uint8_t *sector = NULL;
	struct xfs_group header;

	group.start = (uint64_t)number * xfs->group_blocks;
	group.blocks =
		xfs->blocks - group.start < xfs->group_blocks ? xfs->blocks - group.start : xfs->group_blocks;
	TRY(usedmap_read(xfs->blk, group.start * xfs->block_bytes + xfs->sector_bytes, xfs->sector_bytes,
			 &sector));
	memcpy(&header, sector, sizeof header);
	if (be32_get(header.magic) != GROUP_MAGIC || be32_get(header.version) != 1 ||
	    be32_get(header.number) != number || be32_get(header.blocks) != group.blocks)
		return usedmap_doubt("allocation group %u makes no sense", number);
	if (xfs->is_v5 && !crc_is_right(sector, xfs->sector_bytes, offsetof(struct xfs_group, crc)))
		return usedmap_doubt("the checksum of allocation group %u is wrong", number);
	TRY(map_free(&group, &header));
	usedmap_add(xfs->walk, ret_used, (group.start + group.at) * xfs->block_bytes,
		    (group.start + group.blocks) * xfs->block_bytes);
	return NULL;
}

static struct err *xfs_map(struct usedmap_walk *walk, struct blk *blk, struct extents *ret_used)
{
	struct xfs xfs = {.walk = walk, .blk = blk};
	struct xfs_super super;

	TRY(blk_pread(blk, &super, sizeof super, 0));
	TRY(read_geometry(&xfs, &super));
	TRY(check_features(&xfs, &super));
	TRY(check_log(&xfs, &super));
	for (uint32_t i = 0; i < xfs.group_count; i++)
		TRY(map_group(&xfs, i, ret_used));
	usedmap_add(walk, ret_used, xfs.blocks * xfs.block_bytes, blk->size_bytes);
	return NULL;
}

const struct usedmap_kind usedmap_xfs = {
	.name = "xfs",
	.recognise = xfs_recognise,
	.map = xfs_map,
};
