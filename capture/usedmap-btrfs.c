/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * btrfs: what its extent tree says is allocated, as far as chunks go, in every
 * copy.  The sum of it must be what the superblock says is used.
 *
 * The file system on disk is always whole as of its superblock, also after a
 * crash; only its log must be empty.  Older roots, which "usebackuproot" could
 * still mount, are not kept.
 */
#include <stdlib.h>

#include "capture/btrfs-places.h"
#include "capture/btrfs-tree.h"
#include "capture/usedmap-impl.h"
#include "p2v/base/mem.h"

#define ROOTS_EXTENT_TREE 2
#define TYPE_ROOT 132
#define TYPE_EXTENT 168
#define TYPE_METADATA 169

/* The start of struct btrfs_root_item. */
struct disk_root {
	uint8_t inode[160];
	le64 generation, directory, block, limit_bytes, used_bytes, last_snapshot, flags;
	le32 references;
	uint8_t drop_key[17], drop_level, level;
} __attribute__((packed));
_Static_assert(offsetof(struct disk_root, level) == 238, "struct btrfs_root_item");

struct root_search {
	struct btrfs_root extent_tree;
	bool is_found;
};

static struct err *take_root(void *arg, const struct btrfs_key *key, const uint8_t *data, uint32_t bytes)
{
	struct root_search *search = arg;
	struct disk_root root;

	if (key->object != ROOTS_EXTENT_TREE || key->type != TYPE_ROOT)
		return NULL;
	if (bytes < sizeof root || search->is_found)
		return usedmap_doubt("its extent tree cannot be found");
	memcpy(&root, data, sizeof root);
	search->extent_tree =
		(struct btrfs_root){le64_get(root.block), le64_get(root.generation), root.level};
	search->is_found = true;
	return NULL;
}

struct extent_walk {
	const struct usedmap_walk *walk;
	const struct btrfs *btrfs;
	struct extents used; /* logical */
	uint64_t end, total_bytes;
};

static struct err *take_extent(void *arg, const struct btrfs_key *key, const uint8_t *data, uint32_t bytes)
{
	struct extent_walk *walk = arg;
	uint64_t len_bytes = key->type == TYPE_METADATA ? walk->btrfs->node_bytes : key->offset;

	(void)data;
	(void)bytes;
	if (key->type != TYPE_EXTENT && key->type != TYPE_METADATA)
		return NULL;
	if (!len_bytes || key->object < walk->end || !btrfs_find_chunk(walk->btrfs, key->object, len_bytes))
		return usedmap_doubt("its extent tree makes no sense");
	usedmap_add(walk->walk, &walk->used, key->object, key->object + len_bytes);
	walk->end = key->object + len_bytes;
	walk->total_bytes += len_bytes;
	return NULL;
}

static struct err *add_places(const struct btrfs *btrfs, const struct extents *logical, struct extents *used)
{
	CLEANUP_FREE struct btrfs_place *places = xcalloc(btrfs->chunk_count * 2, sizeof *places);
	size_t count = 0;

	for (size_t i = 0; i < btrfs->chunk_count; i++)
		for (unsigned k = 0; k < btrfs->chunks[i].copies; k++)
			places[count++] =
				(struct btrfs_place){btrfs->chunks[i].physical[k], btrfs->chunks[i].logical,
						     btrfs->chunks[i].bytes};
	if (!btrfs_places_translate(places, count, logical, used))
		return usedmap_doubt("its chunks overlap");
	return NULL;
}

static struct err *map_extents(struct extent_walk *walk, struct extents *ret_used)
{
	struct root_search search = {0};

	TRY(btrfs_walk(walk->btrfs, &walk->btrfs->root, take_root, &search));
	if (!search.is_found)
		return usedmap_doubt("its extent tree cannot be found");
	TRY(btrfs_walk(walk->btrfs, &search.extent_tree, take_extent, walk));
	if (walk->total_bytes != walk->btrfs->used_bytes)
		return usedmap_doubt("its used count is wrong");
	TRY(add_places(walk->btrfs, &walk->used, ret_used));
	btrfs_places_add_reserved(walk->btrfs->device_bytes, walk->btrfs->blk->size_bytes, ret_used);
	return NULL;
}

static struct err *btrfs_map(struct usedmap_walk *walk, struct blk *blk, struct extents *ret_used)
{
	CLEANUP(btrfs_deinit) struct btrfs btrfs = {0};
	struct extent_walk extents = {.walk = walk, .btrfs = &btrfs};
	struct err *err;

	TRY(btrfs_init(blk, &btrfs));
	err = map_extents(&extents, ret_used);
	extents_deinit(&extents.used);
	return err;
}

const struct usedmap_kind usedmap_btrfs = {
	.name = "btrfs",
	.recognise = btrfs_is_super,
	.map = btrfs_map,
};
