/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The walk over a disk: recognises what each layer holds, has its kind map it,
 * and turns every doubt into "all of it".
 *
 * Invariant: what a kind added before it came to doubt is thrown away with the
 * doubt, so that ret_used holds either a trusted map or the whole range.
 */
#include "capture/usedmap.h"

#include <stdlib.h>

#include "capture/usedmap-impl.h"
#include "p2v/base/mem.h"

/* A table in a volume in a table …: more than people build, and a hostile disk cannot make us recurse on. */
#define MAX_DEPTH 8

struct usedmap_walk {
	const struct usedmap_options *options;
	struct usedmap *map;
	unsigned depth;
	uint64_t disk_start; /* where the layer at hand begins on the disk, NOT_IN_ONE_PIECE for volumes */
	size_t piece_capacity;
};

#define NOT_IN_ONE_PIECE UINT64_MAX

unsigned usedmap_flags(const struct usedmap_walk *walk)
{
	return walk->options->flags;
}

void usedmap_add(const struct usedmap_walk *walk, struct extents *used, uint64_t start, uint64_t end)
{
	if (used->count && start < end) {
		const struct extent *last = &used->ranges[used->count - 1];

		if (start > last->end && start - last->end < walk->options->gap_bytes)
			start = last->end;
	}
	extents_add(used, start, end);
}

struct err *usedmap_read(struct blk *blk, uint64_t offset, uint64_t len_bytes, uint8_t **ret_data)
{
	CLEANUP_FREE uint8_t *data = NULL;
	uint64_t end;

	if (__builtin_add_overflow(offset, len_bytes, &end) || end > blk->size_bytes)
		return usedmap_doubt("its tables point behind the end of the device");
	data = malloc(len_bytes ? len_bytes : 1);
	if (!data)
		return err_nomem();
	if (len_bytes)
		TRY(blk_pread(blk, data, len_bytes, offset));
	*ret_data = take_ptr(data);
	return NULL;
}

static bool bit_is_set(const uint8_t *bitmap, uint64_t bit)
{
	return bitmap[bit / 8] >> (bit % 8) & 1;
}

void usedmap_add_bitmap(const struct usedmap_walk *walk, struct extents *used, const uint8_t *bitmap,
			uint64_t bits, uint64_t unit_bytes, uint64_t origin)
{
	uint64_t bit = 0;

	while (bit < bits) {
		uint64_t first;

		if (!(bit % 8) && !bitmap[bit / 8]) {
			bit += 8;
			continue;
		}
		if (!bit_is_set(bitmap, bit)) {
			bit++;
			continue;
		}
		first = bit;
		while (bit < bits && bit_is_set(bitmap, bit))
			bit += !(bit % 8) && bitmap[bit / 8] == 0xff && bits - bit >= 8 ? 8 : 1;
		usedmap_add(walk, used, origin + first * unit_bytes, origin + bit * unit_bytes);
	}
}

static size_t add_piece(struct usedmap_walk *walk, const char *label, uint64_t size_bytes)
{
	struct usedmap *map = walk->map;

	array_grow(map->pieces, map->piece_count, walk->piece_capacity);
	map->pieces[map->piece_count] = (struct usedmap_piece){
		.depth = walk->depth,
		.label = xstrdup(label),
		.size_bytes = size_bytes,
		.used_bytes = size_bytes,
	};
	return map->piece_count++;
}

static uint64_t runs_bytes(const struct view_run *runs, size_t count)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < count; i++)
		bytes += runs[i].bytes;
	return bytes;
}

void usedmap_whole(struct usedmap_walk *walk, const struct view_run *runs, size_t count, const char *label,
		   const char *kind, const char *doubt, struct extents *ret_used)
{
	size_t piece = add_piece(walk, label, runs_bytes(runs, count));

	walk->map->pieces[piece].kind = kind;
	walk->map->pieces[piece].doubt = xstrdup(doubt);
	for (size_t i = 0; i < count; i++)
		extents_add(ret_used, runs[i].start, runs[i].start + runs[i].bytes);
}

static bool is_like(const struct usedmap_kind *kind, bool at_end, const uint8_t *bytes, uint64_t size_bytes)
{
	if (at_end)
		return kind->recognise_end && kind->recognise_end(bytes, size_bytes);
	return kind->recognise && kind->recognise(bytes, size_bytes);
}

/* The one kind that the bytes look like; more than one, of which one is a left-over, is a doubt. */
static struct err *find_kind(const uint8_t *bytes, bool at_end, uint64_t size_bytes,
			     const struct usedmap_kind **ret_kind)
{
	const struct usedmap_kind *found = NULL;

	for (size_t i = 0; usedmap_kinds[i]; i++) {
		if (!is_like(usedmap_kinds[i], at_end, bytes, size_bytes))
			continue;
		if (found)
			return usedmap_doubt("it looks like %s and like %s", found->name,
					     usedmap_kinds[i]->name);
		found = usedmap_kinds[i];
	}
	*ret_kind = found;
	return NULL;
}

/* The end first: a RAID that has its superblock there shows what is on it at the start. */
static struct err *recognise(struct blk *blk, const struct usedmap_kind **ret_kind)
{
	CLEANUP_FREE uint8_t *bytes = xcalloc(1, USEDMAP_START_BYTES);
	uint64_t size_bytes = blk->size_bytes;

	_Static_assert(USEDMAP_END_BYTES <= USEDMAP_START_BYTES, "one buffer is enough");
	if (size_bytes >= USEDMAP_END_BYTES) {
		TRY(blk_pread(blk, bytes, USEDMAP_END_BYTES, size_bytes - USEDMAP_END_BYTES));
		TRY(find_kind(bytes, true, size_bytes, ret_kind));
		if (*ret_kind)
			return NULL;
	}
	memset(bytes, 0, USEDMAP_START_BYTES);
	if (size_bytes)
		TRY(blk_pread(blk, bytes, size_bytes < USEDMAP_START_BYTES ? size_bytes : USEDMAP_START_BYTES,
			      0));
	return find_kind(bytes, false, size_bytes, ret_kind);
}

static bool is_in_use(const struct usedmap_walk *walk, uint64_t size_bytes)
{
	const struct extents *in_use = walk->options->in_use;
	size_t i;

	if (!in_use || walk->disk_start == NOT_IN_ONE_PIECE)
		return false;
	i = extents_find(in_use, walk->disk_start);
	return i < in_use->count && in_use->ranges[i].start < walk->disk_start + size_bytes;
}

/* A table of partitions stays as it is while its partitions are in use. */
static bool is_table(const struct usedmap_kind *kind)
{
	return !strcmp(kind->name, "dos") || !strcmp(kind->name, "gpt");
}

/* Either a trusted map, or an error that says why not. */
static struct err *map_content(struct usedmap_walk *walk, struct blk *blk, size_t piece,
			       struct extents *ret_used)
{
	const struct usedmap_kind *kind = NULL;

	TRY(recognise(blk, &kind));
	if (!kind)
		return usedmap_doubt("what it holds is not known");
	walk->map->pieces[piece].kind = kind->name;
	if (!kind->map)
		return usedmap_doubt("p2v does not read %s", kind->name);
	if (is_in_use(walk, blk->size_bytes) && !is_table(kind))
		return usedmap_doubt("it is in use, and changes while it is read");
	return kind->map(walk, blk, ret_used);
}

/* Forgets what was said of the inside of something that is taken whole. */
static void drop_pieces(struct usedmap *map, size_t count)
{
	while (map->piece_count > count) {
		map->piece_count--;
		free(map->pieces[map->piece_count].label);
		free(map->pieces[map->piece_count].doubt);
	}
}

/* ret_used must be empty, and becomes the used bytes of blk. */
static void map_device(struct usedmap_walk *walk, struct blk *blk, const char *label,
		       struct extents *ret_used)
{
	size_t piece = add_piece(walk, label, blk->size_bytes);
	struct err *err;

	walk->depth++;
	err = walk->depth > MAX_DEPTH ? usedmap_doubt("it is nested too deep")
				      : map_content(walk, blk, piece, ret_used);
	walk->depth--;
	if (err) {
		drop_pieces(walk->map, piece + 1);
		walk->map->pieces[piece].doubt = xstrdup(err_message(err));
		err_free(err);
		extents_deinit(ret_used);
		extents_add(ret_used, 0, blk->size_bytes);
	}
	walk->map->pieces[piece].used_bytes = extents_total_bytes(ret_used);
}

struct err *usedmap_nested(struct usedmap_walk *walk, struct blk *parent, const struct view_run *runs,
			   size_t count, const char *label, struct extents *ret_used)
{
	CLEANUP_EXTENTS struct extents used = {0};
	CLEANUP_EXTENTS struct extents in_parent = {0};
	CLEANUP_BLK struct blk *view = NULL;
	uint64_t outer = walk->disk_start;

	TRY(view_create(parent, runs, count, label, &view));
	walk->disk_start = outer != NOT_IN_ONE_PIECE && count == 1 ? outer + runs[0].start : NOT_IN_ONE_PIECE;
	map_device(walk, view, label, &used);
	walk->disk_start = outer;
	view_translate(runs, count, &used, &in_parent);
	extents_unite(ret_used, &in_parent);
	return NULL;
}

void usedmap_take(struct blk *disk, const struct usedmap_options *options, struct usedmap *ret_map)
{
	static const struct usedmap_options defaults;
	struct usedmap_walk walk = {.options = options ? options : &defaults, .map = ret_map};
	const struct extents *in_use = walk.options->in_use;

	*ret_map = (struct usedmap){0};
	map_device(&walk, disk, NULL, &ret_map->used);
	for (size_t i = 0; in_use && i < in_use->count; i++)
		extents_add(&ret_map->used, in_use->ranges[i].start,
			    in_use->ranges[i].end < disk->size_bytes ? in_use->ranges[i].end
								     : disk->size_bytes);
}

void usedmap_deinit(struct usedmap *map)
{
	drop_pieces(map, 0);
	free(map->pieces);
	extents_deinit(&map->used);
	*map = (struct usedmap){0};
}
