/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A block of a tree is believed if its checksum, file system, address, level
 * and generation are what its parent says.  Keys must ascend over a whole walk:
 * so no block is visited twice, however the pointers lie.
 *
 * Left out: file systems on several devices, zoned ones, other checksums than
 * CRC-32C, other profiles than single and DUP.
 */
#include "capture/btrfs-tree.h"

#include <stdlib.h>
#include <string.h>

#include "capture/btrfs-places.h"
#include "capture/usedmap-impl.h"
#include "p2v/base/crc32c.h"
#include "p2v/base/mem.h"

#define SUM_BYTES 32
#define MAX_LEVEL 7
#define MAX_NODE_BYTES (64u << 10)
#define SUPER_FLAGS_KNOWN 0x100000003ull /* written, reloc, seeding */
#define INCOMPAT_METADATA_UUID 0x400ull
#define CHUNK_TREE_OBJECT 256
#define TYPE_CHUNK 228
#define PROFILE_MASK 0x7f8ull /* raid0 to raid1c4 */
#define PROFILE_DUP 0x20ull

struct disk_super {
	uint8_t sum[SUM_BYTES], fsid[16];
	le64 bytenr, flags;
	char magic[8];
	le64 generation, root, chunk_root, log_root, log_root_transid, total_bytes, bytes_used, root_dir;
	le64 device_count;
	le32 sector_bytes, node_bytes, leaf_bytes, stripe_bytes, system_chunk_bytes;
	le64 chunk_root_generation, compat, compat_ro, incompat;
	le16 sum_type;
	uint8_t root_level, chunk_root_level, log_root_level;
	le64 device_id, device_bytes;
	uint8_t device_rest[82], label[256];
	le64 cache_generation, uuid_tree_generation;
	uint8_t metadata_uuid[16];
	uint8_t reserved[224];
	uint8_t system_chunks[2048];
	uint8_t rest[1237];
} __attribute__((packed));
_Static_assert(sizeof(struct disk_super) == BTRFS_SUPER_BYTES, "struct btrfs_super_block");
_Static_assert(offsetof(struct disk_super, system_chunks) == 0x32b, "sys_chunk_array");

struct disk_key {
	le64 object;
	uint8_t type;
	le64 offset;
} __attribute__((packed));

struct disk_chunk {
	le64 bytes, owner, stripe_bytes, type;
	le32 io_align, io_width, sector_bytes;
	le16 stripe_count, sub_stripes;
} __attribute__((packed));
_Static_assert(sizeof(struct disk_chunk) == 48, "struct btrfs_chunk without stripes");

struct disk_stripe {
	le64 device_id, offset;
	uint8_t device_uuid[16];
};

struct disk_header {
	uint8_t sum[SUM_BYTES], fsid[16];
	le64 bytenr, flags;
	uint8_t chunk_tree_uuid[16];
	le64 generation, owner;
	le32 item_count;
	uint8_t level;
} __attribute__((packed));
_Static_assert(sizeof(struct disk_header) == 101, "struct btrfs_header");

struct disk_item {
	struct disk_key key;
	le32 offset, bytes; /* from the header's end */
} __attribute__((packed));

struct disk_pointer {
	struct disk_key key;
	le64 block, generation;
} __attribute__((packed));

bool btrfs_is_super(const uint8_t *start, uint64_t size_bytes)
{
	return size_bytes >= BTRFS_SUPER_OFFSET + BTRFS_SUPER_BYTES &&
	       !memcmp(start + BTRFS_SUPER_OFFSET + offsetof(struct disk_super, magic), "_BHRfS_M", 8);
}

static bool sum_is_right(const void *data, size_t bytes)
{
	le32 sum;

	memcpy(&sum, data, sizeof sum);
	return crc32c(0, (const uint8_t *)data + SUM_BYTES, bytes - SUM_BYTES) == le32_get(sum);
}

static struct btrfs_key get_key(const struct disk_key *key)
{
	return (struct btrfs_key){le64_get(key->object), key->type, le64_get(key->offset)};
}

static bool is_before(const struct btrfs_key *a, const struct btrfs_key *b)
{
	if (a->object != b->object)
		return a->object < b->object;
	return a->type != b->type ? a->type < b->type : a->offset < b->offset;
}

static bool is_power_of_two(uint32_t n)
{
	return n && !(n & (n - 1));
}

static struct err *check_super(const struct disk_super *super)
{
	if (le16_get(super->sum_type))
		return usedmap_doubt("its checksums are of a kind that p2v does not know");
	if (!sum_is_right(super, sizeof *super) || le64_get(super->bytenr) != BTRFS_SUPER_OFFSET)
		return usedmap_doubt("the checksum of its superblock is wrong");
	if (le64_get(super->flags) & ~SUPER_FLAGS_KNOWN || le64_get(super->incompat) & ~BTRFS_INCOMPAT_KNOWN)
		return usedmap_doubt("it has features that p2v does not know (flags %#llx, incompat %#llx)",
				     (unsigned long long)le64_get(super->flags),
				     (unsigned long long)le64_get(super->incompat));
	if (le64_get(super->device_count) != 1)
		return usedmap_doubt("it is on several devices");
	if (le64_get(super->log_root))
		return usedmap_doubt("its log is not empty: it was not unmounted");
	return NULL;
}

static struct err *read_geometry(const struct disk_super *super, struct btrfs *btrfs)
{
	bool has_own_id = le64_get(super->incompat) & INCOMPAT_METADATA_UUID;

	memcpy(btrfs->fsid, has_own_id ? super->metadata_uuid : super->fsid, sizeof btrfs->fsid);
	btrfs->device_id = le64_get(super->device_id);
	btrfs->device_bytes = le64_get(super->device_bytes);
	btrfs->used_bytes = le64_get(super->bytes_used);
	btrfs->node_bytes = le32_get(super->node_bytes);
	btrfs->sector_bytes = le32_get(super->sector_bytes);
	btrfs->chunk_root = (struct btrfs_root){
		le64_get(super->chunk_root), le64_get(super->chunk_root_generation), super->chunk_root_level};
	btrfs->root =
		(struct btrfs_root){le64_get(super->root), le64_get(super->generation), super->root_level};
	if (!is_power_of_two(btrfs->node_bytes) || btrfs->node_bytes < 4096 ||
	    btrfs->node_bytes > MAX_NODE_BYTES || !is_power_of_two(btrfs->sector_bytes) ||
	    btrfs->sector_bytes < 512 || btrfs->sector_bytes > MAX_NODE_BYTES ||
	    le32_get(super->system_chunk_bytes) > sizeof super->system_chunks)
		return usedmap_doubt("its superblock makes no sense");
	if (btrfs->device_bytes > btrfs->blk->size_bytes)
		return usedmap_doubt("it is larger than the device it is on");
	return NULL;
}

static struct err *check_place(const struct btrfs *btrfs, const struct btrfs_chunk *chunk)
{
	uint64_t end;

	if (!chunk->bytes || __builtin_add_overflow(chunk->logical, chunk->bytes, &end))
		return usedmap_doubt("its chunks make no sense");
	for (unsigned i = 0; i < chunk->copies; i++)
		if (chunk->physical[i] > btrfs->device_bytes ||
		    chunk->bytes > btrfs->device_bytes - chunk->physical[i])
			return usedmap_doubt("its chunks point behind its end");
	return NULL;
}

static struct err *parse_chunk(const struct btrfs *btrfs, uint64_t logical, const uint8_t *data,
			       uint32_t bytes, struct btrfs_chunk *ret_chunk)
{
	struct disk_chunk raw;
	unsigned wanted;

	if (bytes < sizeof raw)
		return usedmap_doubt("its chunks make no sense");
	memcpy(&raw, data, sizeof raw);
	*ret_chunk = (struct btrfs_chunk){.logical = logical, .bytes = le64_get(raw.bytes)};
	ret_chunk->copies = le16_get(raw.stripe_count);
	wanted = le64_get(raw.type) & PROFILE_DUP ? 2 : 1;
	if (le64_get(raw.type) & PROFILE_MASK & ~PROFILE_DUP || ret_chunk->copies != wanted)
		return usedmap_doubt("it is spread in a way that p2v does not know");
	if (bytes != sizeof raw + wanted * sizeof(struct disk_stripe))
		return usedmap_doubt("its chunks make no sense");
	for (unsigned i = 0; i < wanted; i++) {
		struct disk_stripe stripe;

		memcpy(&stripe, data + sizeof raw + i * sizeof stripe, sizeof stripe);
		if (le64_get(stripe.device_id) != btrfs->device_id)
			return usedmap_doubt("it is on several devices");
		ret_chunk->physical[i] = le64_get(stripe.offset);
	}
	return check_place(btrfs, ret_chunk);
}

/* In ascending order, and disjoint. */
static struct err *add_chunk(struct btrfs *btrfs, const struct btrfs_chunk *chunk)
{
	if (btrfs->chunk_count) {
		const struct btrfs_chunk *last = &btrfs->chunks[btrfs->chunk_count - 1];

		if (chunk->logical < last->logical + last->bytes)
			return usedmap_doubt("its chunks overlap");
	}
	array_grow(btrfs->chunks, btrfs->chunk_count, btrfs->chunk_capacity);
	btrfs->chunks[btrfs->chunk_count++] = *chunk;
	return NULL;
}

static int compare_chunks(const void *a, const void *b)
{
	uint64_t x = ((const struct btrfs_chunk *)a)->logical, y = ((const struct btrfs_chunk *)b)->logical;

	return x < y ? -1 : x > y;
}

/* The superblock's own: those that the chunk tree is in, in any order. */
static struct err *read_system_chunks(struct btrfs *btrfs, const struct disk_super *super)
{
	uint32_t bytes = le32_get(super->system_chunk_bytes), at = 0;
	struct btrfs_chunk chunks[sizeof super->system_chunks / sizeof(struct disk_chunk)] = {0};
	size_t count = 0;

	while (at < bytes) {
		struct disk_key key;
		struct disk_chunk chunk;
		uint32_t chunk_bytes;

		if (bytes - at < sizeof key + sizeof chunk)
			return usedmap_doubt("its superblock makes no sense");
		memcpy(&key, super->system_chunks + at, sizeof key);
		at += sizeof key;
		memcpy(&chunk, super->system_chunks + at, sizeof chunk);
		chunk_bytes = sizeof chunk + le16_get(chunk.stripe_count) * sizeof(struct disk_stripe);
		if (key.type != TYPE_CHUNK || chunk_bytes > bytes - at)
			return usedmap_doubt("its superblock makes no sense");
		TRY(parse_chunk(btrfs, le64_get(key.offset), super->system_chunks + at, chunk_bytes,
				&chunks[count++]));
		at += chunk_bytes;
	}
	qsort(chunks, count, sizeof *chunks, compare_chunks);
	for (size_t i = 0; i < count; i++)
		TRY(add_chunk(btrfs, &chunks[i]));
	return NULL;
}

const struct btrfs_chunk *btrfs_find_chunk(const struct btrfs *btrfs, uint64_t logical, uint64_t bytes)
{
	size_t low = 0, high = btrfs->chunk_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct btrfs_chunk *chunk = &btrfs->chunks[middle];

		if (logical < chunk->logical)
			high = middle;
		else if (logical - chunk->logical >= chunk->bytes)
			low = middle + 1;
		else
			return bytes <= chunk->bytes - (logical - chunk->logical) ? chunk : NULL;
	}
	return NULL;
}

struct walk {
	const struct btrfs *btrfs;
	btrfs_item_fn fn;
	void *arg;
	struct btrfs_key last;
	bool has_last;
};

static struct err *read_block(const struct btrfs *btrfs, const struct btrfs_root *wanted, uint8_t **ret_block)
{
	const struct btrfs_chunk *chunk = btrfs_find_chunk(btrfs, wanted->logical, btrfs->node_bytes);
	CLEANUP_FREE uint8_t *block = NULL;
	const struct disk_header *header;

	if (!chunk)
		return usedmap_doubt("a tree of it points to where no chunk is");
	TRY(usedmap_read(btrfs->blk, chunk->physical[0] + (wanted->logical - chunk->logical),
			 btrfs->node_bytes, &block));
	header = (const struct disk_header *)block;
	if (!sum_is_right(block, btrfs->node_bytes))
		return usedmap_doubt("the checksum of its block %llu is wrong",
				     (unsigned long long)wanted->logical);
	if (memcmp(header->fsid, btrfs->fsid, sizeof header->fsid) ||
	    le64_get(header->bytenr) != wanted->logical || header->level != wanted->level ||
	    le64_get(header->generation) != wanted->generation)
		return usedmap_doubt("its block %llu is not the one that is wanted",
				     (unsigned long long)wanted->logical);
	*ret_block = take_ptr(block);
	return NULL;
}

static struct err *walk_leaf(struct walk *walk, const uint8_t *items, uint32_t space, uint32_t count)
{
	if (count > space / sizeof(struct disk_item))
		return usedmap_doubt("a leaf of it makes no sense");
	for (uint32_t i = 0; i < count; i++) {
		struct disk_item item;
		struct btrfs_key key;
		uint32_t offset, bytes;

		memcpy(&item, items + i * sizeof item, sizeof item);
		key = get_key(&item.key);
		offset = le32_get(item.offset);
		bytes = le32_get(item.bytes);
		if (offset > space || bytes > space - offset ||
		    (walk->has_last && !is_before(&walk->last, &key)))
			return usedmap_doubt("a leaf of it makes no sense");
		walk->last = key;
		walk->has_last = true;
		TRY(walk->fn(walk->arg, &key, items + offset, bytes));
	}
	return NULL;
}

/* Recurses as deep as the tree is: 8 levels at most. */
static struct err *walk_block(struct walk *walk, const struct btrfs_root *at, bool is_root)
{
	uint32_t space = walk->btrfs->node_bytes - sizeof(struct disk_header), count;
	CLEANUP_FREE uint8_t *block = NULL;

	TRY(read_block(walk->btrfs, at, &block));
	count = le32_get(((const struct disk_header *)block)->item_count);
	if (!count && !is_root)
		return usedmap_doubt("a leaf of it is empty");
	if (!at->level)
		return walk_leaf(walk, block + sizeof(struct disk_header), space, count);
	if (!count || count > space / sizeof(struct disk_pointer))
		return usedmap_doubt("a node of it makes no sense");
	for (uint32_t i = 0; i < count; i++) {
		struct disk_pointer pointer;
		struct btrfs_root below;

		memcpy(&pointer, block + sizeof(struct disk_header) + i * sizeof pointer, sizeof pointer);
		below = (struct btrfs_root){le64_get(pointer.block), le64_get(pointer.generation),
					    at->level - 1};
		TRY(walk_block(walk, &below, false));
	}
	return NULL;
}

struct err *btrfs_walk(const struct btrfs *btrfs, const struct btrfs_root *root, btrfs_item_fn fn, void *arg)
{
	struct walk walk = {.btrfs = btrfs, .fn = fn, .arg = arg};

	if (root->level > MAX_LEVEL)
		return usedmap_doubt("a tree of it is too deep");
	return walk_block(&walk, root, true);
}

/* The chunk tree has all chunks; what the superblock said was to get here. */
struct chunk_walk {
	const struct btrfs *btrfs;
	struct btrfs found;
};

static struct err *take_chunk(void *arg, const struct btrfs_key *key, const uint8_t *data, uint32_t bytes)
{
	struct chunk_walk *walk = arg;
	struct btrfs_chunk chunk;

	if (key->object != CHUNK_TREE_OBJECT || key->type != TYPE_CHUNK)
		return NULL;
	TRY(parse_chunk(walk->btrfs, key->offset, data, bytes, &chunk));
	return add_chunk(&walk->found, &chunk);
}

struct err *btrfs_init(struct blk *blk, struct btrfs *ret_btrfs)
{
	struct chunk_walk walk = {.btrfs = ret_btrfs};
	struct disk_super super;
	struct err *err;

	*ret_btrfs = (struct btrfs){.blk = blk};
	TRY(blk_pread(blk, &super, sizeof super, BTRFS_SUPER_OFFSET));
	TRY(check_super(&super));
	TRY(read_geometry(&super, ret_btrfs));
	TRY(read_system_chunks(ret_btrfs, &super));
	err = btrfs_walk(ret_btrfs, &ret_btrfs->chunk_root, take_chunk, &walk);
	free(ret_btrfs->chunks);
	ret_btrfs->chunks = walk.found.chunks;
	ret_btrfs->chunk_count = walk.found.chunk_count;
	ret_btrfs->chunk_capacity = walk.found.chunk_capacity;
	return err;
}

void btrfs_deinit(struct btrfs *btrfs)
{
	free(btrfs->chunks);
	*btrfs = (struct btrfs){0};
}
