// SPDX-License-Identifier: GPL-3.0-or-later
#include "tests/fuzz/lib-fuzz-exercise.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"

#define SAMPLE_BYTES 4096u
#define MAX_SAMPLES 64u
#define MAX_WALK_BYTES (16ull << 30)
#define MAX_OPERATIONS 64u

bool fuzz_succeeds(struct err *err)
{
	if (!err)
		return true;
	FUZZ_ASSERT(*err_message(err), "an error without a message");
	FUZZ_ASSERT(!strchr(err_message(err), '\n'), "an error of several lines: %s", err_message(err));
	err_free(err);
	return false;
}

void fuzz_must(struct err *err, const char *what)
{
	FUZZ_ASSERT(!err, "%s: %s", what, err_message(err));
}

typedef void (*sample_fn)(void *arg, uint64_t offset, size_t bytes, bool is_zero);

struct walk {
	uint64_t at;
	unsigned samples;
	sample_fn fn;
	void *arg;
};

static struct err *walk_extent(void *arg, uint64_t offset, uint64_t len_bytes, unsigned extent_flags)
{
	struct walk *walk = arg;
	bool is_zero = extent_flags & BLK_EXTENT_ZERO;
	size_t bytes = len_bytes < SAMPLE_BYTES ? len_bytes : SAMPLE_BYTES;

	FUZZ_ASSERT(offset == walk->at && len_bytes, "extents: %" PRIu64 "+%" PRIu64 " follows %" PRIu64,
		    offset, len_bytes, walk->at);
	walk->at += len_bytes;
	if (walk->samples++ >= MAX_SAMPLES)
		return NULL;
	walk->fn(walk->arg, offset, bytes, is_zero);
	walk->fn(walk->arg, offset + len_bytes - bytes, bytes, is_zero);
	return NULL;
}

static void walk_samples(struct blk *blk, sample_fn fn, void *arg)
{
	uint64_t bytes = blk->size_bytes < MAX_WALK_BYTES ? blk->size_bytes : MAX_WALK_BYTES;
	struct walk walk = {.fn = fn, .arg = arg};

	if (bytes && fuzz_succeeds(blk_extents(blk, bytes, 0, walk_extent, &walk)))
		FUZZ_ASSERT(walk.at == bytes, "extents end at %" PRIu64 " of %" PRIu64, walk.at, bytes);
	/* The last sector lies in what may be only a part of a block. */
	bytes = blk->size_bytes < SAMPLE_BYTES ? blk->size_bytes : SAMPLE_BYTES;
	if (bytes)
		fn(arg, blk->size_bytes - bytes, bytes, false);
}

static void read_sample(void *arg, uint64_t offset, size_t bytes, bool is_zero)
{
	uint8_t buf[SAMPLE_BYTES];

	if (fuzz_succeeds(blk_pread(arg, buf, bytes, offset)) && is_zero)
		FUZZ_ASSERT(blk_is_zero(buf, bytes), "not zeros at %" PRIu64, offset);
}

void fuzz_read_samples(struct blk *blk)
{
	walk_samples(blk, read_sample, blk);
}

static void compare_sample(void *arg, uint64_t offset, size_t bytes, bool is_zero)
{
	struct blk **both = arg;
	uint8_t a[SAMPLE_BYTES], b[SAMPLE_BYTES];
	bool is_read = fuzz_succeeds(blk_pread(both[0], a, bytes, offset));

	(void)is_zero;
	FUZZ_ASSERT(is_read == fuzz_succeeds(blk_pread(both[1], b, bytes, offset)),
		    "only one can be read at %" PRIu64, offset);
	if (is_read)
		FUZZ_ASSERT(!memcmp(a, b, bytes), "contents differ near %" PRIu64, offset);
}

void fuzz_compare_samples(struct blk *a, struct blk *b)
{
	struct blk *both[] = {a, b};

	FUZZ_ASSERT(a->size_bytes == b->size_bytes, "sizes differ: %" PRIu64 ", %" PRIu64, a->size_bytes,
		    b->size_bytes);
	walk_samples(a, compare_sample, both);
}

static size_t start_bytes(const struct blk *blk)
{
	return blk->size_bytes < FUZZ_MODEL_BYTES ? blk->size_bytes : FUZZ_MODEL_BYTES;
}

uint8_t *fuzz_read_start(struct blk *blk)
{
	uint8_t *model = xcalloc(1, FUZZ_MODEL_BYTES);

	if (start_bytes(blk) && !fuzz_succeeds(blk_pread(blk, model, start_bytes(blk), 0))) {
		free(model);
		return NULL;
	}
	return model;
}

void fuzz_expect_start(struct blk *blk, const uint8_t *model, const char *when)
{
	CLEANUP_FREE uint8_t *now = fuzz_read_start(blk);

	FUZZ_ASSERT(now, "%s: cannot be read", when);
	for (size_t i = 0; memcmp(now, model, FUZZ_MODEL_BYTES) && i < FUZZ_MODEL_BYTES; i++)
		FUZZ_ASSERT(now[i] == model[i], "%s: byte %zu is %02x, not %02x", when, i, now[i], model[i]);
}

static struct err *operate(struct blk *blk, struct fuzz_rest *rest, uint8_t *scratch, uint8_t *model)
{
	unsigned kind = fuzz_take_u8(rest);
	uint64_t limit = start_bytes(blk), offset = fuzz_take_u32(rest) % limit;
	uint64_t bytes = fuzz_take_u32(rest) % (kind & 8 ? 2u << 20 : 8192) + 1;
	unsigned flags = kind & 16 ? BLK_FUA : 0;
	uint8_t fill = fuzz_take_u8(rest);

	if (bytes > limit - offset)
		bytes = limit - offset;
	switch (kind % 8) {
	case 0:
		return blk_flush(blk);
	case 1:
		memset(model + offset, 0, bytes);
		return blk_discard(blk, bytes, offset);
	case 2:
	case 3:
		memset(model + offset, 0, bytes);
		return blk_zero(blk, bytes, offset, flags | (kind % 8 == 2 ? BLK_MAY_TRIM : 0));
	default:
		memset(scratch, fill, bytes);
		memset(model + offset, fill, bytes);
		return blk_pwrite(blk, scratch, bytes, offset, flags);
	}
}

void fuzz_write(struct blk *blk, struct fuzz_rest *rest, uint8_t *model)
{
	CLEANUP_FREE uint8_t *scratch = xmalloc(FUZZ_MODEL_BYTES);
	CLEANUP_FREE uint8_t *unused = model ? NULL : xcalloc(1, FUZZ_MODEL_BYTES);

	for (unsigned i = 0; i < MAX_OPERATIONS && rest->left && blk->size_bytes; i++) {
		struct err *err = operate(blk, rest, scratch, model ? model : unused);

		if (model)
			fuzz_must(err, "an operation on a sound image fails");
		else
			(void)fuzz_succeeds(err);
	}
	if (model)
		fuzz_expect_start(blk, model, "after writing");
}
