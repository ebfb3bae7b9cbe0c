/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ext2, ext3 and ext4: group descriptors and block bitmaps, as the kernel's
 * Documentation/filesystems/ext4/ has them.
 *
 * Where metadata_csum or uninit_bg give checksums, all that is read is checked;
 * where they do not, the free counts of the descriptors must agree with the
 * bitmaps.  Every group's own metadata is added by its descriptor, too, because
 * the bitmap of a group whose blocks were never used is not initialised.
 *
 * Left out: file systems of more than one host (MMP), external journal devices,
 * snapshots of Next3.
 */
#include <stdlib.h>

#include "capture/checksum.h"
#include "capture/usedmap-impl.h"

#define SUPER_OFFSET 1024
#define MAGIC 0xef53
#define STATE_CLEAN 1
#define STATE_ERRORS 2
#define COMPAT_SPARSE_SUPER2 0x200
#define COMPAT_KNOWN 0x1e3f /* up to orphan_file, but for exclude_bitmap and what 2.2 had for snapshots */
#define INCOMPAT_RECOVER 0x4
#define INCOMPAT_META_BG 0x10
#define INCOMPAT_64BIT 0x80
#define INCOMPAT_CSUM_SEED 0x2000
/* filetype, meta_bg, extents, 64bit, flex_bg, ea_inode, csum_seed, largedir, inline_data, encrypt, casefold
 */
#define INCOMPAT_KNOWN \
	(0x2 | 0x10 | 0x40 | 0x80 | 0x200 | 0x400 | 0x2000 | 0x4000 | 0x8000 | 0x10000 | 0x20000)
#define RO_COMPAT_GDT_CSUM 0x10
#define RO_COMPAT_BIGALLOC 0x200
#define RO_COMPAT_METADATA_CSUM 0x400
#define RO_COMPAT_ORPHAN_PRESENT 0x10000
/* sparse_super to extra_isize, quota, bigalloc, metadata_csum, readonly, project, verity */
#define RO_COMPAT_KNOWN (0x7f | 0x100 | 0x200 | 0x400 | 0x1000 | 0x2000 | 0x8000)
#define GROUP_BLOCK_UNINIT 2

struct ext_super {
	le32 inodes_count, blocks_count_lo, r_blocks_count_lo, free_blocks_lo;
	le32 free_inodes, first_data_block, log_block_size, log_cluster_size;
	le32 blocks_per_group, clusters_per_group, inodes_per_group, mtime;
	le32 wtime;
	le16 mnt_count, max_mnt_count, magic, state;
	le16 errors, minor_rev;
	le32 lastcheck, checkinterval, creator_os, rev_level;
	le16 def_resuid, def_resgid;
	le32 first_ino;
	le16 inode_size, block_group_nr;
	le32 compat, incompat, ro_compat;
	uint8_t uuid[16];
	uint8_t reserved1[0xce - 0x78];
	le16 reserved_gdt_blocks;
	uint8_t reserved2[0xfe - 0xd0];
	le16 desc_size;
	le32 default_mount_opts, first_meta_bg;
	uint8_t reserved3[0x150 - 0x108];
	le32 blocks_count_hi;
	uint8_t reserved4[0x175 - 0x154];
	uint8_t checksum_type;
	uint8_t reserved5[0x24c - 0x176];
	le32 backup_bgs[2];
	uint8_t reserved6[0x270 - 0x254];
	le32 checksum_seed;
	uint8_t reserved7[0x3fc - 0x274];
	le32 checksum;
};
_Static_assert(sizeof(struct ext_super) == 1024, "the superblock is 1 KiB");

/* 32 bytes without 64bit, 64 or more with it. */
struct ext_group {
	le32 block_bitmap_lo, inode_bitmap_lo, inode_table_lo;
	le16 free_blocks_lo, free_inodes_lo, used_dirs_lo, flags;
	le32 exclude_bitmap_lo;
	le16 block_bitmap_csum_lo, inode_bitmap_csum_lo, itable_unused_lo, checksum;
	le32 block_bitmap_hi, inode_bitmap_hi, inode_table_hi;
	le16 free_blocks_hi, free_inodes_hi, used_dirs_hi, itable_unused_hi;
	le32 exclude_bitmap_hi;
	le16 block_bitmap_csum_hi, inode_bitmap_csum_hi;
	le32 reserved;
};
_Static_assert(sizeof(struct ext_group) == 64, "a wide group descriptor has 64 bytes");
#define GROUP_CHECKSUM_OFFSET 0x1e
#define NARROW_GROUP_BYTES 32

struct ext {
	const struct usedmap_walk *walk;
	struct blk *blk;
	struct ext_super super;
	uint64_t blocks;
	uint32_t block_bytes, cluster_blocks;
	uint32_t first_block, group_blocks;
	uint32_t inode_table_blocks;
	uint32_t group_bytes; /* size of a descriptor */
	uint64_t groups;
	uint32_t seed;
};

static bool ext_recognise(const uint8_t start[USEDMAP_START_BYTES], uint64_t size_bytes)
{
	const struct ext_super *super = (const struct ext_super *)(start + SUPER_OFFSET);

	return size_bytes >= SUPER_OFFSET + sizeof *super && le16_get(super->magic) == MAGIC;
}

static bool has_ro_compat(const struct ext *ext, uint32_t flag)
{
	return le32_get(ext->super.ro_compat) & flag;
}

static bool has_incompat(const struct ext *ext, uint32_t flag)
{
	return le32_get(ext->super.incompat) & flag;
}

static struct err *check_super(struct ext *ext)
{
	const struct ext_super *super = &ext->super;
	unsigned state = le16_get(super->state);

	if (has_incompat(ext, INCOMPAT_RECOVER))
		return usedmap_doubt("its journal is not empty: it was not unmounted");
	if (!(state & STATE_CLEAN) || state & STATE_ERRORS || has_ro_compat(ext, RO_COMPAT_ORPHAN_PRESENT))
		return usedmap_doubt("it is not marked clean");
	if (le32_get(super->compat) & ~COMPAT_KNOWN || le32_get(super->incompat) & ~INCOMPAT_KNOWN ||
	    le32_get(super->ro_compat) & ~RO_COMPAT_KNOWN)
		return usedmap_doubt(
			"it has features that p2v does not know (compat %#x, incompat %#x, ro_compat %#x)",
			le32_get(super->compat), le32_get(super->incompat), le32_get(super->ro_compat));
	if (has_ro_compat(ext, RO_COMPAT_METADATA_CSUM) &&
	    (super->checksum_type != 1 ||
	     checksum_crc32c(~0u, super, offsetof(struct ext_super, checksum)) != le32_get(super->checksum)))
		return usedmap_doubt("the checksum of its superblock is wrong");
	return NULL;
}

/* Sizes from the superblock, every one bounded here so that no product of them overflows. */
static struct err *read_geometry(struct ext *ext)
{
	const struct ext_super *super = &ext->super;
	uint32_t log_block = le32_get(super->log_block_size), log_cluster = log_block;
	uint32_t inodes = le32_get(super->inodes_per_group), inode_bytes = le16_get(super->inode_size);

	if (has_ro_compat(ext, RO_COMPAT_BIGALLOC))
		log_cluster = le32_get(super->log_cluster_size);
	if (log_block > 6 || log_cluster < log_block || log_cluster > 20)
		return usedmap_doubt("its block size makes no sense");
	ext->block_bytes = 1024u << log_block;
	ext->cluster_blocks = 1u << (log_cluster - log_block);
	ext->first_block = le32_get(super->first_data_block);
	ext->group_blocks = le32_get(super->blocks_per_group);
	ext->blocks = le32_get(super->blocks_count_lo);
	ext->group_bytes = NARROW_GROUP_BYTES;
	if (has_incompat(ext, INCOMPAT_64BIT)) {
		ext->blocks |= (uint64_t)le32_get(super->blocks_count_hi) << 32;
		ext->group_bytes = le16_get(super->desc_size);
	}
	if (le32_get(super->rev_level) == 0)
		inode_bytes = 128;
	if (ext->first_block > 1 || !ext->group_blocks || ext->group_blocks % (8 * ext->cluster_blocks) ||
	    ext->group_blocks / ext->cluster_blocks > 8 * ext->block_bytes ||
	    ext->group_bytes < NARROW_GROUP_BYTES || ext->group_bytes > 1024 ||
	    ext->group_bytes & (ext->group_bytes - 1) ||
	    (has_incompat(ext, INCOMPAT_64BIT) && ext->group_bytes < sizeof(struct ext_group)) || !inodes ||
	    inodes > 8 * ext->block_bytes || inode_bytes < 128 || inode_bytes > ext->block_bytes)
		return usedmap_doubt("its superblock makes no sense");
	if (ext->blocks <= ext->first_block || ext->blocks > ext->blk->size_bytes / ext->block_bytes)
		return usedmap_doubt("it is larger than the device it is on");
	ext->inode_table_blocks = ((uint64_t)inodes * inode_bytes + ext->block_bytes - 1) / ext->block_bytes;
	ext->groups = (ext->blocks - ext->first_block + ext->group_blocks - 1) / ext->group_blocks;
	ext->seed = has_incompat(ext, INCOMPAT_CSUM_SEED)
			    ? le32_get(super->checksum_seed)
			    : checksum_crc32c(~0u, super->uuid, sizeof super->uuid);
	return NULL;
}

static bool is_power_of(uint64_t n, unsigned base)
{
	while (n > 1 && n % base == 0)
		n /= base;
	return n == 1;
}

static bool has_super(const struct ext *ext, uint64_t group)
{
	if (group == 0)
		return true;
	if (le32_get(ext->super.compat) & COMPAT_SPARSE_SUPER2)
		return group == le32_get(ext->super.backup_bgs[0]) ||
		       group == le32_get(ext->super.backup_bgs[1]);
	if (!has_ro_compat(ext, 1))
		return true;
	return is_power_of(group, 3) || is_power_of(group, 5) || is_power_of(group, 7);
}

static uint64_t group_start(const struct ext *ext, uint64_t group)
{
	return ext->first_block + group * ext->group_blocks;
}

/* The block that the superblock is in, as far as block numbers go. */
static uint64_t super_block(const struct ext *ext)
{
	return ext->block_bytes == SUPER_OFFSET;
}

/* Where the index-th block of descriptors is: in a row, or from first_meta_bg on with its own groups. */
static uint64_t descriptor_block(const struct ext *ext, uint64_t index)
{
	uint64_t per_block = ext->block_bytes / ext->group_bytes, group = index * per_block;

	if (!has_incompat(ext, INCOMPAT_META_BG) || index < le32_get(ext->super.first_meta_bg))
		return super_block(ext) + 1 + index;
	return group_start(ext, group) + has_super(ext, group) +
	       (index == 0 && super_block(ext) && !ext->first_block);
}

static struct err *check_group_checksum(const struct ext *ext, uint64_t number, const uint8_t *group)
{
	le32 number_le = le32_make(number);
	uint16_t found = le16_get(((const struct ext_group *)group)->checksum), sum;
	static const uint8_t zero[2];
	const uint8_t *rest = group + GROUP_CHECKSUM_OFFSET + 2;
	size_t rest_bytes = ext->group_bytes - GROUP_CHECKSUM_OFFSET - 2;

	if (has_ro_compat(ext, RO_COMPAT_METADATA_CSUM)) {
		uint32_t crc = checksum_crc32c(ext->seed, &number_le, sizeof number_le);

		crc = checksum_crc32c(crc, group, GROUP_CHECKSUM_OFFSET);
		crc = checksum_crc32c(crc, zero, sizeof zero);
		sum = checksum_crc32c(crc, rest, rest_bytes);
	} else if (has_ro_compat(ext, RO_COMPAT_GDT_CSUM)) {
		sum = checksum_crc16(~0, ext->super.uuid, sizeof ext->super.uuid);
		sum = checksum_crc16(sum, &number_le, sizeof number_le);
		sum = checksum_crc16(sum, group, GROUP_CHECKSUM_OFFSET);
		sum = checksum_crc16(sum, rest, rest_bytes);
	} else {
		return NULL;
	}
	if (sum != found)
		return usedmap_doubt("the checksum of group %llu is wrong", (unsigned long long)number);
	return NULL;
}

static struct err *check_bitmap_checksum(const struct ext *ext, uint64_t number,
					 const struct ext_group *group, const uint8_t *bitmap)
{
	bool wide = ext->group_bytes >= sizeof *group;
	uint32_t found = le16_get(group->block_bitmap_csum_lo), sum;

	if (!has_ro_compat(ext, RO_COMPAT_METADATA_CSUM))
		return NULL;
	sum = checksum_crc32c(ext->seed, bitmap, ext->group_blocks / ext->cluster_blocks / 8);
	if (wide)
		found |= (uint32_t)le16_get(group->block_bitmap_csum_hi) << 16;
	else
		sum &= 0xffff;
	if (sum != found)
		return usedmap_doubt("the checksum of block bitmap %llu is wrong",
				     (unsigned long long)number);
	return NULL;
}

static uint64_t count_free(const uint8_t *bitmap, uint64_t bits)
{
	uint64_t set = 0;

	for (uint64_t i = 0; i < bits / 8; i++)
		set += __builtin_popcount(bitmap[i]);
	for (uint64_t bit = bits & ~7ull; bit < bits; bit++)
		set += bitmap[bit / 8] >> (bit % 8) & 1;
	return bits - set;
}

static struct err *add_blocks(const struct ext *ext, struct extents *metadata, uint64_t block, uint64_t count)
{
	if (block >= ext->blocks || count > ext->blocks - block)
		return usedmap_doubt("its tables point behind its end");
	extents_add(metadata, block * ext->block_bytes, (block + count) * ext->block_bytes);
	return NULL;
}

/* Superblock, descriptors and those reserved for growth; at the start of a group whose bitmap is not there.
 */
static struct err *add_group_start(const struct ext *ext, uint64_t number, struct extents *metadata)
{
	uint64_t per_block = ext->block_bytes / ext->group_bytes;
	uint64_t start = group_start(ext, number), left = ext->blocks - start, count = 0;

	if (has_super(ext, number))
		count = 1 + super_block(ext) + (ext->groups + per_block - 1) / per_block +
			le16_get(ext->super.reserved_gdt_blocks);
	else if (has_incompat(ext, INCOMPAT_META_BG))
		count = 1;
	return add_blocks(ext, metadata, start, count < left ? count : left);
}

static struct err *map_group(const struct ext *ext, uint64_t number, const struct ext_group *group,
			     struct extents *ret_used, struct extents *metadata)
{
	bool wide = ext->group_bytes >= sizeof *group;
	uint64_t high = wide ? (uint64_t)le32_get(group->block_bitmap_hi) << 32 : 0;
	uint64_t bitmap_block = le32_get(group->block_bitmap_lo) | high;
	uint64_t inode_bitmap = le32_get(group->inode_bitmap_lo) |
				(wide ? (uint64_t)le32_get(group->inode_bitmap_hi) << 32 : 0);
	uint64_t inode_table = le32_get(group->inode_table_lo) |
			       (wide ? (uint64_t)le32_get(group->inode_table_hi) << 32 : 0);
	uint64_t start = group_start(ext, number), blocks = ext->blocks - start, clusters;
	uint64_t free_clusters = le16_get(group->free_blocks_lo) |
				 (wide ? (uint64_t)le16_get(group->free_blocks_hi) << 16 : 0);
	CLEANUP_FREE uint8_t *bitmap = NULL;

	TRY(add_blocks(ext, metadata, bitmap_block, 1));
	TRY(add_blocks(ext, metadata, inode_bitmap, 1));
	TRY(add_blocks(ext, metadata, inode_table, ext->inode_table_blocks));
	if (le16_get(group->flags) & GROUP_BLOCK_UNINIT &&
	    has_ro_compat(ext, RO_COMPAT_GDT_CSUM | RO_COMPAT_METADATA_CSUM))
		return add_group_start(ext, number, metadata);
	if (blocks > ext->group_blocks)
		blocks = ext->group_blocks;
	clusters = (blocks + ext->cluster_blocks - 1) / ext->cluster_blocks;
	TRY(usedmap_read(ext->blk, bitmap_block * ext->block_bytes, ext->block_bytes, &bitmap));
	TRY(check_bitmap_checksum(ext, number, group, bitmap));
	if (count_free(bitmap, clusters) != free_clusters)
		return usedmap_doubt("the free count of group %llu is wrong", (unsigned long long)number);
	usedmap_add_bitmap(ext->walk, ret_used, bitmap, clusters,
			   (uint64_t)ext->cluster_blocks * ext->block_bytes, start * ext->block_bytes);
	return NULL;
}

/* All groups whose descriptors are in one block. */
static struct err *map_descriptor_block(const struct ext *ext, uint64_t index, struct extents *ret_used,
					struct extents *metadata)
{
	uint64_t per_block = ext->block_bytes / ext->group_bytes, first = index * per_block;
	CLEANUP_FREE uint8_t *descriptors = NULL;
	uint64_t block = descriptor_block(ext, index);

	TRY(add_blocks(ext, metadata, block, 1));
	TRY(usedmap_read(ext->blk, block * ext->block_bytes, ext->block_bytes, &descriptors));
	for (uint64_t i = 0; i < per_block && first + i < ext->groups; i++) {
		struct ext_group group = {0};
		const uint8_t *raw = descriptors + i * ext->group_bytes;

		memcpy(&group, raw, ext->group_bytes < sizeof group ? ext->group_bytes : sizeof group);
		TRY(check_group_checksum(ext, first + i, raw));
		TRY(map_group(ext, first + i, &group, ret_used, metadata));
	}
	return NULL;
}

static struct err *map_groups(const struct ext *ext, struct extents *ret_used, struct extents *metadata)
{
	uint64_t per_block = ext->block_bytes / ext->group_bytes;

	for (uint64_t index = 0; index * per_block < ext->groups; index++)
		TRY(map_descriptor_block(ext, index, ret_used, metadata));
	TRY(add_group_start(ext, 0, metadata));
	extents_add(metadata, 0, (super_block(ext) + 1) * ext->block_bytes); /* the boot block before all */
	/* Not ours to judge: md and DRBD keep their superblocks behind the file system. */
	usedmap_add(ext->walk, ret_used, ext->blocks * ext->block_bytes, ext->blk->size_bytes);
	return NULL;
}

static struct err *ext_map(struct usedmap_walk *walk, struct blk *blk, struct extents *ret_used)
{
	CLEANUP_EXTENTS struct extents metadata = {0};
	struct ext ext = {.walk = walk, .blk = blk};

	TRY(blk_pread(blk, &ext.super, sizeof ext.super, SUPER_OFFSET));
	TRY(check_super(&ext));
	TRY(read_geometry(&ext));
	TRY(map_groups(&ext, ret_used, &metadata));
	for (size_t i = 0; i < metadata.count; i++)
		extents_add(ret_used, metadata.ranges[i].start, metadata.ranges[i].end);
	return NULL;
}

const struct usedmap_kind usedmap_ext = {
	.name = "ext4",
	.recognise = ext_recognise,
	.map = ext_map,
};
