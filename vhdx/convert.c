// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Copying: several threads, each of which reads a piece of what the source may
 * have data in and writes what of it is not zero.
 */
#include "vhdx/convert.h"

#include "vhdx/pieces.h"

#define MIN_PIECE_BYTES (1u << 20)
#define MAX_PIECE_BYTES (4u << 20)
/* Runs of data that are closer than this are read as one. */
#define MIN_RUN_BYTES (64u << 10)

struct copy {
	struct blk *source;
	struct blk *target;
	struct progress *progress;
};

static struct err *copy_piece(void *arg, void *buffer, uint64_t offset, size_t len_bytes)
{
	struct copy *copy = arg;

	TRY(blk_pread(copy->source, buffer, len_bytes, offset));
	TRY(blk_pwrite_data(copy->target, buffer, len_bytes, offset));
	progress_add(copy->progress, len_bytes);
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

struct err *image_convert(struct blk *source, struct blk *target, const struct image_convert_options *options)
{
	static const struct image_convert_options none;
	CLEANUP_EXTENTS struct extents set = {0};
	uint64_t piece_bytes = choose_piece_bytes(target);
	struct copy copy = {.source = source, .target = target};
	struct piece_job job = {.set = &set,
				.piece_bytes = piece_bytes,
				.buffer_bytes = piece_bytes,
				.run = copy_piece,
				.arg = &copy};

	if (!options)
		options = &none;
	if (source->size_bytes > target->size_bytes)
		return err_refused("%s: %llu bytes do not fit into %s of %llu", source->name,
				   (unsigned long long)source->size_bytes, target->name,
				   (unsigned long long)target->size_bytes);
	if (options->data)
		extents_intersect(options->data,
				  &(struct extents){&(struct extent){0, source->size_bytes}, 1, 1}, &set);
	else
		TRY(blk_data_extents(source, source->size_bytes, 0, &set));
	extents_align(&set, MIN_RUN_BYTES);
	extents_remove(&set, source->size_bytes, UINT64_MAX);
	copy.progress = options->progress;
	job.threads = options->threads;
	return pieces_run(&job);
}
