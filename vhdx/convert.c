// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Copying: what the file system can share, or its server copy, is cloned as it is.
 * The rest is read and written by several threads, each of which takes a piece of
 * what the source may have data in and writes what of it is not zero.
 */
#include "vhdx/convert.h"

#include "vhdx/pieces.h"

#define MIN_PIECE_BYTES (1u << 20)
#define MAX_PIECE_BYTES (4u << 20)
/* Runs of data that are closer than this are read as one. */
#define MIN_RUN_BYTES (64u << 10)
/* Cloned at once: takes moments, after which progress can be told. */
#define MAX_CLONE_BYTES (1ull << 30)

struct copy {
	struct blk *source;
	struct blk *target;
	struct extents data; /* what may not be zero and is still to do; pieces cover short gaps in it too */
	struct progress *progress;
};

/* How much of [offset, end) may hold data. */
static uint64_t data_bytes(const struct extents *data, uint64_t offset, uint64_t end)
{
	uint64_t bytes = 0;

	for (size_t i = extents_find(data, offset); i < data->count && data->ranges[i].start < end; i++) {
		const struct extent *range = &data->ranges[i];

		bytes += (range->end < end ? range->end : end) -
			 (range->start > offset ? range->start : offset);
	}
	return bytes;
}

static struct err *copy_piece(void *arg, void *buffer, uint64_t offset, size_t len_bytes)
{
	struct copy *copy = arg;

	TRY(blk_pread(copy->source, buffer, len_bytes, offset));
	TRY(blk_pwrite_data(copy->target, buffer, len_bytes, offset));
	progress_add(copy->progress, data_bytes(&copy->data, offset, offset + len_bytes));
	return NULL;
}

/* A block of the target in one piece, if that is no unreasonable size. */
static uint64_t choose_piece_bytes(const struct blk *target)
{
	uint64_t bytes = MIN_PIECE_BYTES;

	while (bytes < target->preferred_bytes && bytes < MAX_PIECE_BYTES)
		bytes *= 2;
	return bytes;
}

static struct err *find_data(struct copy *copy, const struct extents *known)
{
	uint64_t size_bytes = copy->source->size_bytes;
	struct extent everything = {0, size_bytes};

	if (!known)
		return blk_data_extents(copy->source, size_bytes, 0, &copy->data);
	extents_intersect(known, &(struct extents){&everything, 1, 1}, &copy->data);
	return NULL;
}

/* Clones the start of [offset, end), which is aligned; *ret_next is where to go on, end if there is no use in
 * going on. */
static struct err *clone_start(struct copy *copy, uint64_t offset, uint64_t end, struct extents *cloned,
			       uint64_t *ret_next)
{
	uint64_t bytes = end - offset < MAX_CLONE_BYTES ? end - offset : MAX_CLONE_BYTES, done = 0;
	struct blk_place place;

	TRY(blk_locate(copy->source, bytes, offset, &place));
	*ret_next = offset + place.len_bytes;
	if (!place.file)
		return NULL;
	TRY(blk_clone(copy->target, place.file, place.len_bytes, place.offset, offset, &done));
	if (!done)
		*ret_next = end;
	extents_add(cloned, offset, offset + done);
	progress_add(copy->progress, done);
	return NULL;
}

static struct err *clone_all(struct copy *copy)
{
	CLEANUP_EXTENTS struct extents cloned = {0};
	uint64_t mask = BLK_CLONE_ALIGN_BYTES - 1;

	for (size_t i = 0; i < copy->data.count; i++) {
		uint64_t offset = (copy->data.ranges[i].start + mask) & ~mask;

		while (offset < copy->data.ranges[i].end)
			TRY(clone_start(copy, offset, copy->data.ranges[i].end, &cloned, &offset));
	}
	for (size_t i = 0; i < cloned.count; i++)
		extents_remove(&copy->data, cloned.ranges[i].start, cloned.ranges[i].end);
	return NULL;
}

bool image_can_clone(struct blk *source, struct blk *target)
{
	struct blk_place place = {0};

	err_free(blk_locate(source, source->size_bytes, 0, &place));
	while (!place.file && place.len_bytes && place.len_bytes < source->size_bytes) {
		uint64_t offset = place.len_bytes;

		err_free(blk_locate(source, source->size_bytes - offset, offset, &place));
		place.len_bytes += offset;
	}
	return place.file && blk_can_clone(target, place.file);
}

static struct err *run(struct copy *copy, unsigned threads)
{
	CLEANUP_EXTENTS struct extents pieces = {0};
	uint64_t piece_bytes = choose_piece_bytes(copy->target);

	/* A copy: the set without nothing. */
	extents_subtract(&copy->data, &(struct extents){0}, &pieces);
	extents_align(&pieces, MIN_RUN_BYTES);
	extents_remove(&pieces, copy->source->size_bytes, UINT64_MAX);
	return pieces_run(&(struct piece_job){.set = &pieces,
					      .piece_bytes = piece_bytes,
					      .buffer_bytes = piece_bytes,
					      .threads = threads,
					      .run = copy_piece,
					      .arg = copy});
}

struct err *image_convert(struct blk *source, struct blk *target, const struct image_convert_options *options)
{
	static const struct image_convert_options none;
	struct copy copy = {.source = source, .target = target};
	struct err *err;

	if (source->size_bytes > target->size_bytes)
		return err_refused("%s: %llu bytes do not fit into %s of %llu", source->name,
				   (unsigned long long)source->size_bytes, target->name,
				   (unsigned long long)target->size_bytes);
	if (!options)
		options = &none;
	copy.progress = options->progress;
	err = find_data(&copy, options->data);
	if (!err && !options->no_clone && image_can_clone(source, target))
		err = clone_all(&copy);
	if (!err)
		err = run(&copy, options->threads);
	extents_deinit(&copy.data);
	return err;
}
