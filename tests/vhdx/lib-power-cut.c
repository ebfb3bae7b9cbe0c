// SPDX-License-Identifier: GPL-3.0-or-later
#include "tests/vhdx/lib-power-cut.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "tests/vhdx/lib-vhdx.h"

#define SECTOR 512u

/* A change that is not durable yet. */
struct change {
	enum { WRITE, ZERO, RESIZE } kind;
	uint64_t offset, len_bytes; /* RESIZE: the new size in len_bytes */
	uint8_t *data;
};

struct power_cut {
	struct blk blk;
	struct blk *now; /* what reads see */
	struct blk *durable;
	struct change *changes;
	size_t count, capacity;
	unsigned every, requests;
	struct rng rng;
	power_cut_fn fn;
	void *arg;
};

static struct power_cut *to_cut(struct blk *blk)
{
	return (struct power_cut *)blk;
}

static void grow_to(struct blk *blk, uint64_t size_bytes)
{
	if (size_bytes > blk->size_bytes)
		assert_no_error(blk_resize(blk, size_bytes));
}

static void apply_range(const struct change *change, struct blk *to, uint64_t start, uint64_t end)
{
	grow_to(to, end);
	if (change->kind == ZERO)
		assert_no_error(blk_zero(to, end - start, start, 0));
	else
		assert_no_error(
			blk_pwrite(to, change->data + (start - change->offset), end - start, start, 0));
}

static void apply(const struct change *change, struct blk *to)
{
	if (change->kind == RESIZE)
		assert_no_error(blk_resize(to, change->len_bytes));
	else
		apply_range(change, to, change->offset, change->offset + change->len_bytes);
}

/* Some sectors of a change. */
static void apply_torn(struct power_cut *c, const struct change *change, struct blk *to)
{
	uint64_t end = change->offset + change->len_bytes;

	if (change->kind == RESIZE) {
		if (rng_below(&c->rng, 2))
			apply(change, to);
		return;
	}
	for (uint64_t start = change->offset, next; start < end; start = next) {
		next = (start / SECTOR + 1 + rng_below(&c->rng, 64)) * SECTOR;
		if (next > end)
			next = end;
		if (rng_below(&c->rng, 2))
			apply_range(change, to, start, next);
	}
}

static void maybe_cut(struct power_cut *c)
{
	struct blk *left;
	unsigned mode;

	if (!c->every || ++c->requests % c->every)
		return;
	left = copy_of(c->durable);
	mode = (unsigned)rng_below(&c->rng, 4);
	for (size_t i = 0; i < c->count && mode; i++) {
		if (mode == 1)
			apply(&c->changes[i], left);
		else
			apply_torn(c, &c->changes[i], left);
	}
	c->fn(c->arg, left);
}

static struct err *record(struct power_cut *c, struct change change)
{
	if (change.data)
		change.data = xmemdup(change.data, change.len_bytes);
	array_grow(c->changes, c->count, c->capacity);
	c->changes[c->count++] = change;
	apply(&change, c->now);
	c->blk.size_bytes = c->now->size_bytes;
	maybe_cut(c);
	return NULL;
}

static struct err *cut_pread(struct blk *blk, void *buf, size_t len_bytes, uint64_t offset)
{
	return blk_pread(to_cut(blk)->now, buf, len_bytes, offset);
}

static void make_durable(struct power_cut *c)
{
	for (size_t i = 0; i < c->count; i++) {
		apply(&c->changes[i], c->durable);
		free(c->changes[i].data);
	}
	c->count = 0;
}

static struct err *cut_flush(struct blk *blk)
{
	maybe_cut(to_cut(blk));
	make_durable(to_cut(blk));
	maybe_cut(to_cut(blk));
	return NULL;
}

static struct err *cut_pwrite(struct blk *blk, const void *buf, size_t len_bytes, uint64_t offset,
			      unsigned flags)
{
	TRY(record(to_cut(blk), (struct change){WRITE, offset, len_bytes, (uint8_t *)buf}));
	return flags & BLK_FUA ? cut_flush(blk) : NULL;
}

static struct err *cut_zero(struct blk *blk, uint64_t len_bytes, uint64_t offset, unsigned flags)
{
	TRY(record(to_cut(blk), (struct change){ZERO, offset, len_bytes, NULL}));
	return flags & BLK_FUA ? cut_flush(blk) : NULL;
}

static struct err *cut_resize(struct blk *blk, uint64_t size_bytes)
{
	return record(to_cut(blk), (struct change){RESIZE, 0, size_bytes, NULL});
}

static struct err *cut_close(struct blk *blk)
{
	struct power_cut *c = to_cut(blk);

	make_durable(c);
	err_free(blk_close(c->now));
	err_free(blk_close(c->durable));
	free(c->changes);
	free(blk->name);
	free(c);
	return NULL;
}

static const struct blk_ops cut_ops = {
	.kind = "power-cut",
	.pread = cut_pread,
	.pwrite = cut_pwrite,
	.zero = cut_zero,
	.flush = cut_flush,
	.resize = cut_resize,
	.close = cut_close,
};

struct blk *power_cut_create(unsigned every, uint64_t seed, power_cut_fn fn, void *arg)
{
	struct power_cut *c = xcalloc(1, sizeof *c);

	assert_no_error(blk_mem_create(0, &c->now));
	assert_no_error(blk_mem_create(0, &c->durable));
	c->blk = *c->now;
	c->blk.ops = &cut_ops;
	c->blk.name = xstrdup("power-cut");
	c->every = every;
	c->rng.state = seed;
	c->fn = fn;
	c->arg = arg;
	return &c->blk;
}

void power_cut_every(struct blk *blk, unsigned every)
{
	to_cut(blk)->every = every;
}
