/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "vhdx/space.h"

#include <inttypes.h>
#include <string.h>

#define RUN_BLOCKS 65536u
#define MAX_STEP_BYTES (64ull * VHDX_MIB)

void vhdx_space_deinit(struct vhdx_space *space)
{
	free(space->unused.items);
	free(space->zeroed.items);
	free(space->pending.items);
	*space = (struct vhdx_space){0};
}

static struct err *reserve(struct vhdx_offsets *offsets, size_t more)
{
	size_t capacity = offsets->capacity ? offsets->capacity : 64;
	uint64_t *items;

	while (capacity - offsets->count < more)
		capacity *= 2;
	if (capacity == offsets->capacity)
		return NULL;
	items = reallocarray(offsets->items, capacity, sizeof *items);
	if (!items)
		return err_nomem();
	offsets->items = items;
	offsets->capacity = capacity;
	return NULL;
}

static struct err *push(struct vhdx_offsets *offsets, uint64_t offset)
{
	TRY(reserve(offsets, 1));
	offsets->items[offsets->count++] = offset;
	return NULL;
}

struct err *vhdx_offsets_move(struct vhdx_offsets *to, struct vhdx_offsets *from)
{
	if (!from->count)
		return NULL;
	TRY(reserve(to, from->count));
	memcpy(to->items + to->count, from->items, from->count * sizeof *from->items);
	to->count += from->count;
	from->count = 0;
	return NULL;
}

/* A bit for each MiB of the file. */
struct use_map {
	uint64_t *bits;
	uint64_t mib_count;
};

static bool is_used(const struct use_map *map, uint64_t mib)
{
	return map->bits[mib / 64] >> mib % 64 & 1;
}

/* Marks [start, start + bytes), cut off at the end of the file; false if part of it is marked already. */
static bool mark(struct use_map *map, uint64_t start, uint64_t bytes)
{
	bool was_free = true;

	for (uint64_t mib = start / VHDX_MIB; bytes && mib < map->mib_count; mib++) {
		was_free &= !is_used(map, mib);
		map->bits[mib / 64] |= 1ull << mib % 64;
		bytes -= bytes < VHDX_MIB ? bytes : VHDX_MIB;
	}
	return was_free;
}

static struct err *refuse_shared(const struct blk *file, const char *what, uint64_t number, uint64_t offset)
{
	return err_advise(err_refused("%s: %s %" PRIu64 " on share their place in the file (offset %" PRIu64
				      ") with others; writing would destroy one of them",
				      file->name, what, number, offset),
			  "the file is damaged: 'p2v vhdx check' lists all that is wrong");
}

/* Also those behind the disk's end: nobody reads them, but each place is in one entry alone. */
static struct err *mark_blocks(struct use_map *map, struct vhdx_bat *bat, struct blk *file)
{
	const struct vhdx_geometry *geometry = bat->limits.geometry;
	uint64_t count = vhdx_geometry_payload_entries(geometry);
	struct vhdx_run run;

	for (uint64_t block = 0; block < count; block += run.count) {
		TRY(vhdx_bat_get(bat, file, block, RUN_BLOCKS, &run));
		if (run.file_offset && !mark(map, run.file_offset, run.count << geometry->block_shift))
			return refuse_shared(file, "blocks from", block, run.file_offset);
	}
	return NULL;
}

/* Places that blocks keep without content.  Of two that share one, both keep it. */
static struct err *mark_anchors(struct use_map *map, struct vhdx_bat *bat, struct blk *file)
{
	const struct vhdx_geometry *geometry = bat->limits.geometry;
	uint64_t count = vhdx_geometry_payload_entries(geometry);
	struct vhdx_run run;

	for (uint64_t block = 0; block < count; block += run.count) {
		TRY(vhdx_bat_get(bat, file, block, RUN_BLOCKS, &run));
		if (run.state != VHDX_BLOCK_UNDEFINED && run.state != VHDX_BLOCK_UNMAPPED)
			continue;
		for (uint64_t i = 0; i < run.count; i++) {
			uint64_t anchor = vhdx_bat_get_anchor(bat, block + i);

			if (anchor)
				mark(map, anchor, geometry->block_bytes);
		}
	}
	return NULL;
}

/* Of a differencing file. */
static struct err *mark_bitmaps(struct use_map *map, struct vhdx_bat *bat, struct blk *file)
{
	const struct vhdx_geometry *geometry = bat->limits.geometry;
	uint64_t last = (geometry->block_count - 1) >> geometry->chunk_shift, offset;

	for (uint64_t chunk = 0; geometry->has_parent && chunk <= last; chunk++) {
		TRY(vhdx_bat_get_bitmap(bat, file, chunk, &offset));
		if (offset && !mark(map, offset, VHDX_BITMAP_BLOCK_BYTES))
			return refuse_shared(file, "sector bitmaps from", chunk, offset);
	}
	return NULL;
}

struct err *vhdx_space_find_gaps(struct vhdx_space *space, struct vhdx_bat *bat, struct blk *file)
{
	const struct vhdx_bat_limits *limits = &bat->limits;
	uint64_t block_mib = limits->geometry->block_bytes / VHDX_MIB;
	struct use_map map = {.mib_count = space->end / VHDX_MIB};
	CLEANUP_FREE uint64_t *bits = calloc(map.mib_count / 64 + 1, sizeof *bits);
	uint64_t free_mib = 0;

	if (!bits)
		return err_nomem();
	map.bits = bits;
	mark(&map, 0, VHDX_MIB);
	mark(&map, limits->log_offset, limits->log_length);
	for (size_t i = 0; i < limits->regions->count; i++)
		mark(&map, limits->regions->items[i].file_offset, limits->regions->items[i].length_bytes);
	TRY(mark_blocks(&map, bat, file));
	TRY(mark_bitmaps(&map, bat, file));
	TRY(mark_anchors(&map, bat, file));
	/* From the end, so that the lowest place is taken first. */
	for (uint64_t mib = map.mib_count; mib-- > 0;) {
		free_mib = is_used(&map, mib) ? 0 : free_mib + 1;
		if (free_mib < block_mib)
			continue;
		TRY(push(&space->unused, mib * VHDX_MIB));
		free_mib = 0;
	}
	space->gaps_known = true;
	return NULL;
}

/* Makes the file longer than it must be, by the step of the opening comment in space.h. */
static struct err *extend(struct vhdx_space *space, struct blk *file, uint64_t end)
{
	uint64_t old_end = file->size_bytes, step = end / 8 < MAX_STEP_BYTES ? end / 8 : MAX_STEP_BYTES;
	uint64_t new_end;

	if (step < space->preallocate_bytes)
		step = space->preallocate_bytes;
	step -= step % VHDX_MIB;
	if (__builtin_add_overflow(end, step, &new_end) || new_end > INT64_MAX)
		new_end = end;
	TRY(blk_resize(file, new_end));
	/* Where there is not that much space there may yet be enough. */
	if (space->preallocate_bytes)
		err_free(blk_zero(file, new_end - old_end, old_end, 0));
	return NULL;
}

struct err *vhdx_space_grow(struct vhdx_space *space, struct blk *file, uint64_t bytes, uint64_t *ret_offset)
{
	uint64_t end;

	if (__builtin_add_overflow(space->end, bytes, &end) || end > INT64_MAX)
		return err_failed("%s: cannot grow by %" PRIu64 " bytes", file->name, bytes);
	if (end > file->size_bytes)
		TRY(extend(space, file, end));
	*ret_offset = space->end;
	space->end = end;
	return NULL;
}

struct err *vhdx_space_trim(const struct vhdx_space *space, struct blk *file)
{
	return space->end < file->size_bytes ? blk_resize(file, space->end) : NULL;
}

struct err *vhdx_space_take(struct vhdx_space *space, struct blk *file, uint32_t block_bytes, uint64_t *count,
			    uint64_t *ret_offset)
{
	uint64_t offset, bytes;

	if (space->zeroed.count) {
		*ret_offset = space->zeroed.items[--space->zeroed.count];
		*count = 1;
		return NULL;
	}
	if (space->unused.count) {
		offset = space->unused.items[space->unused.count - 1];
		TRY(blk_zero(file, block_bytes, offset, BLK_MAY_TRIM));
		space->unused.count--;
		*count = 1;
		*ret_offset = offset;
		return NULL;
	}
	if (__builtin_mul_overflow(*count, block_bytes, &bytes))
		return err_failed("%s: cannot grow by %" PRIu64 " blocks", file->name, *count);
	return vhdx_space_grow(space, file, bytes, ret_offset);
}

struct err *vhdx_space_give(struct vhdx_space *space, uint64_t offset)
{
	return push(&space->pending, offset);
}
