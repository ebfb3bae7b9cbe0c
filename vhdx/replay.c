/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the log writes is gathered as steps in their order, then turned into
 * pieces: sorted, disjoint, the newest step winning.  A read takes the file's
 * bytes and lays the pieces over them.
 */
#include "vhdx/replay.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct piece {
	uint64_t start, end; /* in the file */
	uint8_t *data; /* of start; NULL: zeros */
};

struct replayed {
	struct blk blk;
	struct blk *file;
	struct piece *steps; /* as the log has them; they own the data */
	size_t step_count, step_capacity;
	struct piece *pieces;
	size_t piece_count;
};

static struct replayed *to_replayed(struct blk *blk)
{
	return (struct replayed *)blk;
}

static struct err *add_step(void *arg, uint64_t file_offset, const uint8_t *data, uint64_t len_bytes)
{
	struct replayed *r = arg;
	uint8_t *copy = NULL;

	if (!len_bytes)
		return NULL;
	if (r->step_count == r->step_capacity) {
		size_t capacity = r->step_capacity ? 2 * r->step_capacity : 64;
		struct piece *steps = reallocarray(r->steps, capacity, sizeof *steps);

		if (!steps)
			return err_nomem();
		r->steps = steps;
		r->step_capacity = capacity;
	}
	if (data) {
		copy = malloc(len_bytes);
		if (!copy)
			return err_nomem();
		memcpy(copy, data, len_bytes);
	}
	r->steps[r->step_count++] = (struct piece){file_offset, file_offset + len_bytes, copy};
	return NULL;
}

static int compare_pieces(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* The parts of a step that no later step covers become pieces. */
static struct err *add_uncovered(struct replayed *r, const struct piece *step, struct extents *covered,
				 size_t *capacity)
{
	uint64_t at = step->start;

	while (at < step->end) {
		size_t i = extents_find(covered, at);
		bool inside = i < covered->count && covered->ranges[i].start <= at;
		uint64_t next = inside		     ? covered->ranges[i].end
				: i < covered->count ? covered->ranges[i].start
						     : step->end;

		if (next > step->end)
			next = step->end;
		if (!inside) {
			if (r->piece_count == *capacity) {
				struct piece *pieces;

				*capacity = 2 * *capacity + 64;
				pieces = reallocarray(r->pieces, *capacity, sizeof *pieces);
				if (!pieces)
					return err_nomem();
				r->pieces = pieces;
			}
			r->pieces[r->piece_count++] =
				(struct piece){at, next, step->data ? step->data + (at - step->start) : NULL};
		}
		at = next;
	}
	extents_add(covered, step->start, step->end);
	return NULL;
}

static struct err *make_pieces(struct replayed *r)
{
	CLEANUP_EXTENTS struct extents covered = {0};
	size_t capacity = 0;

	for (size_t i = r->step_count; i-- > 0;)
		TRY(add_uncovered(r, &r->steps[i], &covered, &capacity));
	if (r->piece_count)
		qsort(r->pieces, r->piece_count, sizeof *r->pieces, compare_pieces);
	return NULL;
}

/* Index of the first piece that ends after offset. */
static size_t find_piece(const struct replayed *r, uint64_t offset)
{
	size_t low = 0, high = r->piece_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (r->pieces[middle].end > offset)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static struct err *replayed_pread(struct blk *blk, void *buf, size_t len_bytes, uint64_t offset)
{
	struct replayed *r = to_replayed(blk);
	uint64_t end = offset + len_bytes, in_file = 0;

	if (offset < r->file->size_bytes) {
		in_file = r->file->size_bytes - offset < len_bytes ? r->file->size_bytes - offset : len_bytes;
		TRY(blk_pread(r->file, buf, in_file, offset));
	}
	memset((uint8_t *)buf + in_file, 0, len_bytes - in_file);
	for (size_t i = find_piece(r, offset); i < r->piece_count && r->pieces[i].start < end; i++) {
		const struct piece *piece = &r->pieces[i];
		uint64_t from = piece->start > offset ? piece->start : offset;
		uint64_t to = piece->end < end ? piece->end : end;
		uint8_t *at = (uint8_t *)buf + (from - offset);

		if (piece->data)
			memcpy(at, piece->data + (from - piece->start), to - from);
		else
			memset(at, 0, to - from);
	}
	return NULL;
}

static struct err *replayed_close(struct blk *blk)
{
	struct replayed *r = to_replayed(blk);

	for (size_t i = 0; i < r->step_count; i++)
		free(r->steps[i].data);
	free(r->steps);
	free(r->pieces);
	free(blk->name);
	free(r);
	return NULL;
}

static const struct blk_ops replayed_ops = {
	.kind = "vhdx-replayed",
	.pread = replayed_pread,
	.close = replayed_close,
};

struct err *vhdx_replay_create(struct blk *file, const struct vhdx_log_ring *ring,
			       const struct vhdx_log_sequence *sequence, struct blk **ret_replayed)
{
	CLEANUP_BLK struct blk *blk = NULL;
	struct replayed *r = calloc(1, sizeof *r);

	if (!r)
		return err_nomem();
	blk = &r->blk;
	r->file = file;
	r->blk = (struct blk){
		.ops = &replayed_ops,
		.name = strdup(file->name),
		.size_bytes = file->size_bytes,
		.logical_sector_bytes = file->logical_sector_bytes,
		.physical_sector_bytes = file->physical_sector_bytes,
		.preferred_bytes = file->preferred_bytes,
		.flags = BLK_READ_ONLY,
	};
	if (!r->blk.name)
		return err_nomem();
	TRY(vhdx_log_walk(file, ring, sequence, add_step, r));
	TRY(make_pieces(r));
	/* What is kept for each MiB of a file must not be for as many as an entry may name. */
	if (sequence->last_file_offset > VHDX_MAX_FILE_BYTES)
		return err_advise(err_refused("%s: the log says that the file is %" PRIu64
					      " bytes long, which no VHDX can be",
					      file->name, sequence->last_file_offset),
				  "the file is damaged: copy it again from where it came from");
	if (sequence->last_file_offset > r->blk.size_bytes)
		r->blk.size_bytes = sequence->last_file_offset;
	if (r->piece_count && r->pieces[r->piece_count - 1].end > r->blk.size_bytes)
		return err_advise(err_refused("%s: the log writes behind the end of the file", file->name),
				  "the file is damaged: copy it again from where it came from");
	*ret_replayed = take_ptr(blk);
	return NULL;
}

struct err *vhdx_replay_apply(struct blk *replayed)
{
	struct replayed *r = to_replayed(replayed);

	if (replayed->size_bytes > r->file->size_bytes)
		TRY(blk_resize(r->file, replayed->size_bytes));
	for (size_t i = 0; i < r->piece_count; i++) {
		const struct piece *piece = &r->pieces[i];

		if (piece->data)
			TRY(blk_pwrite(r->file, piece->data, piece->end - piece->start, piece->start, 0));
		else
			TRY(blk_zero(r->file, piece->end - piece->start, piece->start, 0));
	}
	return blk_flush(r->file);
}
