/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Trees of btrfs on one device: the superblock, where logical addresses lie, and
 * walks over the items of a tree.  Source: the kernel's
 * include/uapi/linux/btrfs_tree.h and fs/btrfs/disk-io.c; the same is described
 * in btrfs-dev-docs, on-disk-format.
 */
#ifndef CAPTURE_BTRFS_TREE_H
#define CAPTURE_BTRFS_TREE_H

#include <stdbool.h>

#include "p2v/base/blk.h"
#include "p2v/base/le.h"

#define BTRFS_SUPER_OFFSET (64u << 10)
#define BTRFS_SUPER_BYTES 4096u

/* [logical, logical + bytes) lies at these places of the device: one, or two with the DUP profile. */
struct btrfs_chunk {
	uint64_t logical, bytes;
	uint64_t physical[2];
	unsigned copies;
};

struct btrfs_root {
	uint64_t logical, generation;
	unsigned level;
};

struct btrfs {
	struct blk *blk;
	uint8_t fsid[16]; /* as the blocks of trees have it */
	uint64_t device_id, device_bytes, used_bytes;
	uint32_t node_bytes, sector_bytes;
	struct btrfs_root chunk_root, root;
	struct btrfs_chunk *chunks; /* by logical address */
	size_t chunk_count, chunk_capacity;
};

struct btrfs_key {
	uint64_t object;
	uint8_t type;
	uint64_t offset;
};

/* An error ends the walk and is returned. */
typedef struct err *(*btrfs_item_fn)(void *arg, const struct btrfs_key *key, const uint8_t *data,
				     uint32_t bytes);

bool btrfs_is_super(const uint8_t *start, uint64_t size_bytes);

/*
 * Reads superblock and chunks of a file system that is whole on this device, with nothing to replay and with
 * features that are known; a doubt (usedmap-impl.h) otherwise.  The caller calls btrfs_deinit() in any case.
 */
struct err *btrfs_init(struct blk *blk, struct btrfs *ret_btrfs) ERR_MUST_CHECK;
void btrfs_deinit(struct btrfs *btrfs);

/* The chunk that holds all of [logical, logical + bytes); NULL if none does. */
const struct btrfs_chunk *btrfs_find_chunk(const struct btrfs *btrfs, uint64_t logical, uint64_t bytes);

/*
 * All items in the order of their keys.  Each block's checksum, place, owner's generation and order are
 * checked, so that also a hostile tree is walked in time that is linear in its blocks.
 */
struct err *btrfs_walk(const struct btrfs *btrfs, const struct btrfs_root *root, btrfs_item_fn fn, void *arg)
	ERR_MUST_CHECK;

#endif
