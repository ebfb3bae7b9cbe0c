// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A device that is being filled from another while it is in use.
 *
 * Each unit is in one of these states:
 *
 *	MISSING  the source holds its content, the target zeros
 *	STALE    the source holds its content, the target anything (a failed try)
 *	BUSY     one thread is making it FILLED; the source still holds its content
 *	FILLED   the target holds its content; it stays so
 *
 * Who makes a unit BUSY alone may write it to the target, so no unit is filled
 * twice, and a write goes to the target only after its units are FILLED, so no
 * fill can undo it.  A unit that a request zeroes or overwrites as a whole is
 * not copied first.  Readers never wait: until a unit is FILLED the source, which
 * nobody changes, has what they may see.
 *
 * The states live in memory: a target whose filling was interrupted is of no use.
 */
#include "p2v/base/blk.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"

/* What is copied at once. */
#define COPY_BYTES (1u << 20)

enum unit_state { UNIT_MISSING, UNIT_STALE, UNIT_BUSY, UNIT_FILLED };

struct blk_fill {
	struct blk blk;
	struct blk *target;
	struct blk *source;
	uint64_t unit_bytes;
	uint64_t unit_count;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t settled; /* a BUSY unit no longer is */
	uint8_t *states;
};

static struct blk_fill *to_fill(struct blk *blk)
{
	return (struct blk_fill *)blk;
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The part of a unit that the device has; the last one may be short. */
static uint64_t unit_end(const struct blk_fill *fill, uint64_t unit)
{
	return min_u64((unit + 1) * fill->unit_bytes, fill->blk.size_bytes);
}

/*
 * Makes the unit BUSY for the caller, waiting for another who has it.  Returns
 * the state that it had: UNIT_FILLED means that there is nothing to do, and the
 * unit is not the caller's.
 */
static enum unit_state claim_unit(struct blk_fill *fill, uint64_t unit)
{
	enum unit_state state;
	LOCKED(&fill->lock);

	while (fill->states[unit] == UNIT_BUSY)
		pthread_cond_wait(&fill->settled, &fill->lock);
	state = fill->states[unit];
	if (state != UNIT_FILLED)
		fill->states[unit] = UNIT_BUSY;
	return state;
}

/* The end of every claim; a failed one leaves the target's unit in any state. */
static struct err *settle_unit(struct blk_fill *fill, uint64_t unit, struct err *err)
{
	LOCKED(&fill->lock);

	fill->states[unit] = err ? UNIT_STALE : UNIT_FILLED;
	pthread_cond_broadcast(&fill->settled);
	return err;
}

static bool range_is_filled(struct blk_fill *fill, uint64_t first, uint64_t end)
{
	LOCKED(&fill->lock);

	for (uint64_t unit = first; unit < end; unit++) {
		if (fill->states[unit] != UNIT_FILLED)
			return false;
	}
	return true;
}

/* The source as if it were as long as the target. */
static struct err *read_source(struct blk_fill *fill, uint8_t *buf, size_t len_bytes, uint64_t offset)
{
	uint64_t source_bytes = fill->source->size_bytes;
	size_t there = offset >= source_bytes ? 0 : min_u64(len_bytes, source_bytes - offset);

	memset(buf + there, 0, len_bytes - there);
	return there ? blk_pread(fill->source, buf, there, offset) : NULL;
}

/* Copies a claimed unit; `data` is where the source may hold anything but zeros. */
static struct err *copy_unit(struct blk_fill *fill, uint64_t unit, enum unit_state was,
			     const struct extents *data)
{
	uint64_t offset = unit * fill->unit_bytes;
	uint64_t end = unit_end(fill, unit);
	size_t i = extents_find(data, offset);
	bool has_data = i < data->count && data->ranges[i].start < end;
	CLEANUP_FREE uint8_t *buf = NULL;

	if (!has_data)
		return was == UNIT_STALE ? blk_zero(fill->target, end - offset, offset, BLK_MAY_TRIM) : NULL;
	buf = xmalloc(min_u64(end - offset, COPY_BYTES));
	while (offset < end) {
		size_t bytes = min_u64(end - offset, COPY_BYTES);

		TRY(read_source(fill, buf, bytes, offset));
		if (was == UNIT_MISSING)
			TRY(blk_pwrite_data(fill->target, buf, bytes, offset));
		else
			TRY(blk_pwrite(fill->target, buf, bytes, offset, 0));
		offset += bytes;
	}
	return NULL;
}

/* Makes units [first, end) FILLED. */
static struct err *fill_units(struct blk_fill *fill, uint64_t first, uint64_t end)
{
	CLEANUP_EXTENTS struct extents data = {0};
	uint64_t start_bytes = first * fill->unit_bytes;
	uint64_t end_bytes;

	if (first == end || range_is_filled(fill, first, end))
		return NULL;
	end_bytes = min_u64(unit_end(fill, end - 1), fill->source->size_bytes);
	if (start_bytes < end_bytes)
		TRY(blk_data_extents(fill->source, end_bytes - start_bytes, start_bytes, &data));
	for (uint64_t unit = first; unit < end; unit++) {
		enum unit_state was = claim_unit(fill, unit);

		if (was != UNIT_FILLED)
			TRY(settle_unit(fill, unit, copy_unit(fill, unit, was, &data)));
	}
	return NULL;
}

struct err *blk_fill_range(struct blk *blk, uint64_t len_bytes, uint64_t offset)
{
	struct blk_fill *fill = to_fill(blk);

	if (offset > blk->size_bytes || len_bytes > blk->size_bytes - offset)
		return err_failed("%s: fill of %llu bytes at offset %llu reaches behind the end", blk->name,
				  (unsigned long long)len_bytes, (unsigned long long)offset);
	if (!len_bytes)
		return NULL;
	return fill_units(fill, offset / fill->unit_bytes, (offset + len_bytes - 1) / fill->unit_bytes + 1);
}

/* Where the run at offset, up to `end`, is to be read from; sets *ret_end to its end. */
static struct blk *run_at(struct blk_fill *fill, uint64_t offset, uint64_t end, uint64_t *ret_end)
{
	uint64_t unit = offset / fill->unit_bytes;
	bool is_filled;
	LOCKED(&fill->lock);

	is_filled = fill->states[unit] == UNIT_FILLED;
	while (unit < fill->unit_count && unit * fill->unit_bytes < end &&
	       (fill->states[unit] == UNIT_FILLED) == is_filled)
		unit++;
	*ret_end = min_u64(unit * fill->unit_bytes, end);
	return is_filled ? fill->target : fill->source;
}

static struct err *fill_pread(struct blk *blk, void *buf, size_t len_bytes, uint64_t offset)
{
	struct blk_fill *fill = to_fill(blk);
	uint64_t end = offset + len_bytes;
	uint8_t *at = buf;

	while (offset < end) {
		uint64_t run_end;
		struct blk *from = run_at(fill, offset, end, &run_end);

		if (from == fill->target)
			TRY(blk_pread(from, at, run_end - offset, offset));
		else
			TRY(read_source(fill, at, run_end - offset, offset));
		at += run_end - offset;
		offset = run_end;
	}
	return NULL;
}

/* A change of the target, as the part that concerns one unit. */
struct change {
	enum blk_op op; /* BLK_OP_WRITE, BLK_OP_ZERO or BLK_OP_DISCARD */
	const uint8_t *data; /* of BLK_OP_WRITE, at `offset` */
	uint64_t offset;
	uint64_t end;
	unsigned flags;
};

static struct err *change_target(struct blk *target, const struct change *c)
{
	switch (c->op) {
	case BLK_OP_WRITE:
		return blk_pwrite(target, c->data, c->end - c->offset, c->offset, c->flags);
	case BLK_OP_ZERO:
		return blk_zero(target, c->end - c->offset, c->offset, c->flags);
	default:
		return blk_discard(target, c->end - c->offset, c->offset);
	}
}

/* A change of all of a unit, whose old content then does not matter. */
static struct err *replace_unit(struct blk_fill *fill, uint64_t unit, const struct change *c)
{
	enum unit_state was = claim_unit(fill, unit);

	if (was == UNIT_FILLED)
		return change_target(fill->target, c);
	/* The target holds zeros there already. */
	if (was == UNIT_MISSING && c->op != BLK_OP_WRITE)
		return settle_unit(fill, unit, NULL);
	return settle_unit(fill, unit, change_target(fill->target, c));
}

static struct err *change_units(struct blk_fill *fill, const struct change *whole)
{
	uint64_t offset = whole->offset;

	while (offset < whole->end) {
		uint64_t unit = offset / fill->unit_bytes;
		uint64_t end = min_u64(unit_end(fill, unit), whole->end);
		struct change part = *whole;

		part.data = whole->data ? whole->data + (offset - whole->offset) : NULL;
		part.offset = offset;
		part.end = end;
		if (offset == unit * fill->unit_bytes && end == unit_end(fill, unit)) {
			TRY(replace_unit(fill, unit, &part));
		} else {
			TRY(fill_units(fill, unit, unit + 1));
			TRY(change_target(fill->target, &part));
		}
		offset = end;
	}
	return NULL;
}

static struct err *fill_pwrite(struct blk *blk, const void *buf, size_t len_bytes, uint64_t offset,
			       unsigned flags)
{
	return change_units(to_fill(blk), &(struct change){.op = BLK_OP_WRITE,
							   .data = buf,
							   .offset = offset,
							   .end = offset + len_bytes,
							   .flags = flags});
}

static struct err *fill_zero(struct blk *blk, uint64_t len_bytes, uint64_t offset, unsigned flags)
{
	return change_units(to_fill(blk), &(struct change){.op = BLK_OP_ZERO,
							   .offset = offset,
							   .end = offset + len_bytes,
							   .flags = flags});
}

static struct err *fill_discard(struct blk *blk, uint64_t len_bytes, uint64_t offset)
{
	return change_units(
		to_fill(blk),
		&(struct change){.op = BLK_OP_DISCARD, .offset = offset, .end = offset + len_bytes});
}

static struct err *fill_extents(struct blk *blk, uint64_t len_bytes, uint64_t offset, blk_extent_fn fn,
				void *arg)
{
	struct blk_fill *fill = to_fill(blk);
	uint64_t end = offset + len_bytes;

	while (offset < end) {
		uint64_t run_end;
		struct blk *from = run_at(fill, offset, end, &run_end);
		uint64_t there = min_u64(run_end, from->size_bytes);

		if (offset < there)
			TRY(blk_extents(from, there - offset, offset, fn, arg));
		else
			there = offset;
		if (there < run_end)
			TRY(fn(arg, there, run_end - there, BLK_EXTENT_HOLE | BLK_EXTENT_ZERO));
		offset = run_end;
	}
	return NULL;
}

static struct err *fill_flush(struct blk *blk)
{
	return blk_flush(to_fill(blk)->target);
}

static struct err *fill_close(struct blk *blk)
{
	struct blk_fill *fill = to_fill(blk);
	struct err *err = blk_close(fill->target);

	err = err_first(err, blk_close(fill->source));
	pthread_mutex_destroy(&fill->lock);
	pthread_cond_destroy(&fill->settled);
	free(fill->states);
	free(blk->name);
	free(fill);
	return err;
}

static const struct blk_ops fill_ops = {
	.kind = "fill",
	.pread = fill_pread,
	.pwrite = fill_pwrite,
	.zero = fill_zero,
	.discard = fill_discard,
	.extents = fill_extents,
	.flush = fill_flush,
	.close = fill_close,
};

struct err *blk_fill_create(struct blk *target, struct blk *source, uint64_t unit_bytes, struct blk **ret_blk)
{
	struct blk_fill *fill;

	if (target->flags & BLK_READ_ONLY)
		return err_refused("%s: opened read-only, so it cannot be filled", target->name);
	if (source->size_bytes > target->size_bytes)
		return err_refused("%s: %llu bytes do not fit into %s of %llu", source->name,
				   (unsigned long long)source->size_bytes, target->name,
				   (unsigned long long)target->size_bytes);
	if (!unit_bytes || unit_bytes & (unit_bytes - 1) || unit_bytes < target->logical_sector_bytes)
		return err_refused("%s: %llu is no size of a unit to fill: it is a power of two, at least %u",
				   target->name, (unsigned long long)unit_bytes,
				   target->logical_sector_bytes);
	fill = calloc(1, sizeof *fill);
	if (!fill)
		return err_nomem();
	fill->blk = *target;
	fill->blk.ops = &fill_ops;
	fill->unit_bytes = unit_bytes;
	fill->unit_count = target->size_bytes / unit_bytes + !!(target->size_bytes % unit_bytes);
	fill->states = calloc(fill->unit_count ? fill->unit_count : 1, 1); /* UNIT_MISSING */
	if (!fill->states) {
		free(fill);
		return err_nomem();
	}
	fill->blk.name = xstrdup(target->name);
	fill->target = target;
	fill->source = source;
	pthread_mutex_init(&fill->lock, NULL);
	pthread_cond_init(&fill->settled, NULL);
	*ret_blk = &fill->blk;
	return NULL;
}
