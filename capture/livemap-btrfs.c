/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * btrfs shows root its trees (BTRFS_IOC_TREE_SEARCH_V2, kernel 3.16 on): the
 * device tree has what of each device is given to chunks, the extent tree what
 * of the chunks is allocated.  Free is the rest.
 *
 * An extent may be written before it is in the extent tree, where it comes with
 * its transaction.  So the file system is synced first: what was written before
 * we were called is then in the trees, and stays there until it is freed.  Trees
 * change while they are searched, but a key that stays is found: each search goes
 * on behind the last key.
 *
 * Of chunks that are striped over devices all is taken.
 */
#include <endian.h>
#include <errno.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "capture/btrfs-places.h"
#include "capture/livemap-impl.h"
#include "capture/mounted.h"
#include "capture/sysroot.h"
#include "p2v/base/mem.h"

#define ANSWER_BYTES (256u << 10) /* at once; an item has less than 64 KiB */
#define SECTOR_BYTES 512u
#define STRIPED                                                                         \
	(BTRFS_BLOCK_GROUP_RAID0 | BTRFS_BLOCK_GROUP_RAID10 | BTRFS_BLOCK_GROUP_RAID5 | \
	 BTRFS_BLOCK_GROUP_RAID6)

typedef struct err *(*item_fn)(void *arg, const struct btrfs_ioctl_search_header *header,
			       const uint8_t *data);

/* In the order of keys: object, type, offset.  False: there is none behind it. */
static bool next_key(struct btrfs_ioctl_search_key *key, const struct btrfs_ioctl_search_header *last)
{
	key->min_objectid = last->objectid;
	key->min_type = last->type;
	key->min_offset = last->offset + 1;
	if (key->min_offset)
		return true;
	key->min_type = (last->type + 1) & 0xff;
	if (key->min_type)
		return true;
	return ++key->min_objectid;
}

static struct err *take_items(const struct btrfs_ioctl_search_args_v2 *args, item_fn fn, void *arg,
			      struct btrfs_ioctl_search_header *ret_last)
{
	size_t at = 0;

	for (uint32_t i = 0; i < args->key.nr_items; i++) {
		if (ANSWER_BYTES - at < sizeof *ret_last)
			return err_refused("the kernel's answer is cut off");
		memcpy(ret_last, args->buf + at, sizeof *ret_last);
		at += sizeof *ret_last;
		if (ANSWER_BYTES - at < ret_last->len)
			return err_refused("the kernel's answer is cut off");
		TRY(fn(arg, ret_last, args->buf + at));
		at += ret_last->len;
	}
	return NULL;
}

/* All items of a tree from an object's on. */
static struct err *search_tree(int fd, uint64_t tree, uint64_t first_object, item_fn fn, void *arg)
{
	CLEANUP_FREE struct btrfs_ioctl_search_args_v2 *args = xcalloc(1, sizeof *args + ANSWER_BYTES);
	struct btrfs_ioctl_search_header last;
	struct btrfs_ioctl_search_key *key = &args->key;

	*key = (struct btrfs_ioctl_search_key){
		.tree_id = tree,
		.min_objectid = first_object,
		.max_objectid = UINT64_MAX,
		.max_offset = UINT64_MAX,
		.max_transid = UINT64_MAX,
		.max_type = UINT8_MAX,
	};
	do {
		key->nr_items = UINT32_MAX;
		args->buf_size = ANSWER_BYTES;
		if (ioctl(fd, BTRFS_IOC_TREE_SEARCH_V2, args))
			return err_from_errno(errno, "it cannot tell its free space");
		if (!key->nr_items)
			return NULL;
		TRY(take_items(args, fn, arg, &last));
	} while (next_key(key, &last));
	return NULL;
}

/* A run of a device that belongs to a chunk. */
struct device_run {
	uint64_t device_id;
	struct btrfs_place place;
};

struct chunk {
	uint64_t logical, bytes, type;
};

struct btrfs_space {
	uint64_t node_bytes;
	struct chunk *chunks; /* by logical address, as their tree has them */
	size_t chunk_count, chunk_capacity;
	struct device_run *runs;
	size_t run_count, run_capacity;
	struct extents allocated; /* logical */
};

static void space_deinit(struct btrfs_space *space)
{
	free(space->chunks);
	free(space->runs);
	extents_deinit(&space->allocated);
}

static struct err *take_chunk(void *arg, const struct btrfs_ioctl_search_header *header, const uint8_t *data)
{
	struct btrfs_space *space = arg;
	struct btrfs_chunk chunk; /* with its first stripe */

	if (header->type != BTRFS_CHUNK_ITEM_KEY)
		return NULL;
	if (header->len < sizeof chunk)
		return err_refused("a chunk is not as it is known here");
	memcpy(&chunk, data, sizeof chunk);
	array_grow(space->chunks, space->chunk_count, space->chunk_capacity);
	space->chunks[space->chunk_count++] =
		(struct chunk){header->offset, le64toh(chunk.length), le64toh(chunk.type)};
	return NULL;
}

static struct err *take_run(void *arg, const struct btrfs_ioctl_search_header *header, const uint8_t *data)
{
	struct btrfs_space *space = arg;
	struct btrfs_dev_extent run;

	if (header->type != BTRFS_DEV_EXTENT_KEY)
		return NULL;
	if (header->len < sizeof run)
		return err_refused("what a chunk has of a device is not as it is known here");
	memcpy(&run, data, sizeof run);
	array_grow(space->runs, space->run_count, space->run_capacity);
	space->runs[space->run_count++] = (struct device_run){
		header->objectid,
		{header->offset, le64toh(run.chunk_offset), le64toh(run.length)},
	};
	return NULL;
}

static struct err *take_extent(void *arg, const struct btrfs_ioctl_search_header *header, const uint8_t *data)
{
	struct btrfs_space *space = arg;
	uint64_t bytes = header->type == BTRFS_METADATA_ITEM_KEY ? space->node_bytes : header->offset, end;

	(void)data;
	if (header->type != BTRFS_EXTENT_ITEM_KEY && header->type != BTRFS_METADATA_ITEM_KEY)
		return NULL;
	if (__builtin_add_overflow(header->objectid, bytes, &end))
		return err_refused("its extent tree makes no sense");
	extents_add(&space->allocated, header->objectid, end);
	return NULL;
}

static int compare_address(const void *logical, const void *chunk)
{
	uint64_t x = *(const uint64_t *)logical, y = ((const struct chunk *)chunk)->logical;

	return x < y ? -1 : x > y;
}

/* Whether the run has the chunk as it is: not striped, and all of it. */
static bool is_plain(const struct btrfs_space *space, const struct btrfs_place *place)
{
	const struct chunk *chunk = bsearch(&place->logical, space->chunks, space->chunk_count,
					    sizeof *space->chunks, compare_address);

	return chunk && !(chunk->type & STRIPED) && chunk->bytes == place->bytes;
}

/* What of the device the allocated bytes are, and what of it is striped. */
static struct err *translate(const struct btrfs_space *space, uint64_t device_id, struct extents *ret_places,
			     struct extents *ret_striped)
{
	CLEANUP_FREE struct btrfs_place *places = xcalloc(space->run_count, sizeof *places);
	size_t count = 0;

	for (size_t i = 0; i < space->run_count; i++) {
		const struct btrfs_place *place = &space->runs[i].place;
		uint64_t end, logical_end;

		if (space->runs[i].device_id != device_id)
			continue;
		if (__builtin_add_overflow(place->physical, place->bytes, &end) ||
		    __builtin_add_overflow(place->logical, place->bytes, &logical_end))
			return err_refused("its device tree makes no sense");
		if (is_plain(space, place))
			places[count++] = *place;
		else
			extents_add(ret_striped, place->physical, end);
	}
	if (!btrfs_places_translate(places, count, &space->allocated, ret_places))
		return err_refused("its chunks overlap");
	return NULL;
}

/* Asked for each of its devices. */
typedef struct err *(*device_fn)(const struct btrfs_space *space,
				 const struct btrfs_ioctl_dev_info_args *info, const char *device,
				 livemap_tell_fn tell, void *arg);

static uint64_t device_bytes(const char *device)
{
	return sysroot_number("", "/sys/dev/block/%s/size", device) * SECTOR_BYTES;
}

static struct err *tell_free(const struct btrfs_space *space, const struct btrfs_ioctl_dev_info_args *info,
			     const char *device, livemap_tell_fn tell, void *arg)
{
	CLEANUP_EXTENTS struct extents all = {0};
	CLEANUP_EXTENTS struct extents used = {0};
	CLEANUP_EXTENTS struct extents striped = {0};
	CLEANUP_EXTENTS struct extents left = {0};
	uint64_t size_bytes = device_bytes(device);

	TRY(translate(space, info->devid, &used, &striped));
	extents_unite(&used, &striped);
	btrfs_places_add_reserved(info->total_bytes, size_bytes, &used);
	extents_add(&all, 0, size_bytes);
	extents_subtract(&all, &used, &left);
	tell(arg, device, size_bytes, &left);
	return NULL;
}

static struct err *tell_places(const struct btrfs_space *space, const struct btrfs_ioctl_dev_info_args *info,
			       const char *device, livemap_tell_fn tell, void *arg)
{
	CLEANUP_EXTENTS struct extents places = {0};
	CLEANUP_EXTENTS struct extents striped = {0};

	TRY(translate(space, info->devid, &places, &striped));
	tell(arg, device, device_bytes(device), &places);
	return NULL;
}

static struct err *ask_devices(int fd, const struct btrfs_space *space, uint64_t max_id, device_fn fn,
			       livemap_tell_fn tell, void *arg)
{
	CLEANUP_FREE struct btrfs_ioctl_dev_info_args *info = xmalloc(sizeof *info);

	for (uint64_t id = 1; id <= max_id; id++) {
		CLEANUP_FREE char *device = NULL;

		*info = (struct btrfs_ioctl_dev_info_args){.devid = id};
		if (ioctl(fd, BTRFS_IOC_DEV_INFO, info)) {
			if (errno == ENODEV)
				continue;
			return err_from_errno(errno, "its devices");
		}
		info->path[sizeof info->path - 1] = '\0';
		device = mounted_device_number((const char *)info->path);
		if (!device)
			return err_refused("its device %s is not there", (const char *)info->path);
		TRY(fn(space, info, device, tell, arg));
	}
	return NULL;
}

/* What each of its devices has of chunks; *ret_max_id: no device has a greater one. */
static struct err *find_chunks(int fd, struct btrfs_space *space, uint64_t *ret_max_id)
{
	struct btrfs_ioctl_feature_flags features;
	struct btrfs_ioctl_fs_info_args info = {0};

	if (ioctl(fd, BTRFS_IOC_FS_INFO, &info) || ioctl(fd, BTRFS_IOC_GET_FEATURES, &features))
		return err_from_errno(errno, "what it is");
	if (features.incompat_flags & ~BTRFS_INCOMPAT_KNOWN || !info.nodesize)
		return err_refused("it has features that are not known here");
	space->node_bytes = info.nodesize;
	*ret_max_id = info.max_id;
	TRY(search_tree(fd, BTRFS_CHUNK_TREE_OBJECTID, BTRFS_FIRST_CHUNK_TREE_OBJECTID, take_chunk, space));
	return search_tree(fd, BTRFS_DEV_TREE_OBJECTID, 0, take_run, space);
}

static struct err *btrfs_ask(int fd, livemap_tell_fn tell, void *arg)
{
	CLEANUP(space_deinit) struct btrfs_space space = {0};
	uint64_t max_id;

	if (syncfs(fd))
		return err_from_errno(errno, "it cannot be synced");
	TRY(find_chunks(fd, &space, &max_id));
	TRY(search_tree(fd, BTRFS_EXTENT_TREE_OBJECTID, 0, take_extent, &space));
	return ask_devices(fd, &space, max_id, tell_free, tell, arg);
}

struct err *livemap_btrfs_translate(int fd, const struct extents *logical, livemap_tell_fn tell, void *arg)
{
	CLEANUP(space_deinit) struct btrfs_space space = {0};
	uint64_t max_id;

	extents_unite(&space.allocated, logical);
	TRY(find_chunks(fd, &space, &max_id));
	return ask_devices(fd, &space, max_id, tell_places, tell, arg);
}

const struct livemap_kind livemap_btrfs = {.name = "btrfs", .magic = BTRFS_SUPER_MAGIC, .ask = btrfs_ask};
