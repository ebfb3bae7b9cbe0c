// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The suite works against a model: a buffer that holds what the device must
 * hold.  Every change is made to both, every read compared with it.
 */
#include "tests/base/lib-blk-conformance.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "tests/base/lib-must.h"
#include "tests/base/lib-rng.h"

#define THREADS 4u
#define MAX_STREAM_BYTES (300u << 10)

struct suite {
	struct blk *blk;
	uint8_t *model;
	uint8_t *scratch; /* size_bytes too */
	struct rng rng;
};

/* The first byte that differs is named: more helps nobody. */
static void assert_same(const uint8_t *got, const uint8_t *expected, size_t len_bytes, uint64_t offset)
{
	if (!memcmp(got, expected, len_bytes))
		return;
	for (size_t i = 0; i < len_bytes; i++) {
		if (got[i] != expected[i])
			fail_msg("byte %llu is %02x, not %02x (request of %zu at %llu)",
				 (unsigned long long)(offset + i), got[i], expected[i], len_bytes,
				 (unsigned long long)offset);
	}
}

static void expect_range(struct suite *s, size_t len_bytes, uint64_t offset)
{
	memset(s->scratch, 0xaa, len_bytes);
	must(blk_pread(s->blk, s->scratch, len_bytes, offset));
	assert_same(s->scratch, s->model + offset, len_bytes, offset);
}

struct walk {
	const uint8_t *content;
	uint64_t offset;
};

static struct err *check_extent(void *arg, uint64_t offset, uint64_t len_bytes, unsigned extent_flags)
{
	struct walk *walk = arg;

	assert_int_equal(offset, walk->offset);
	assert_true(len_bytes > 0);
	assert_int_equal(extent_flags & ~(BLK_EXTENT_HOLE | BLK_EXTENT_ZERO), 0);
	if (extent_flags & BLK_EXTENT_ZERO && !blk_is_zero(walk->content + offset, len_bytes))
		fail_msg("extent [%llu, +%llu) is called zero and is not", (unsigned long long)offset,
			 (unsigned long long)len_bytes);
	walk->offset += len_bytes;
	return NULL;
}

static void expect_extents(struct blk *blk, const uint8_t *content, uint64_t len_bytes, uint64_t offset)
{
	struct walk walk = {.content = content, .offset = offset};

	must(blk_extents(blk, len_bytes, offset, check_extent, &walk));
	assert_int_equal(walk.offset, offset + len_bytes);
}

void blk_conformance_expect(struct blk *blk, const uint8_t *content)
{
	static const size_t pieces[] = {1 << 20, 100003};
	CLEANUP_FREE uint8_t *buf = xmalloc(1 << 20);

	for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
		for (uint64_t offset = 0; offset < blk->size_bytes;) {
			uint64_t left = blk->size_bytes - offset;
			size_t bytes = left < pieces[i] ? left : pieces[i];

			must(blk_pread(blk, buf, bytes, offset));
			assert_same(buf, content + offset, bytes, offset);
			offset += bytes;
		}
	}
	expect_extents(blk, content, blk->size_bytes, 0);
	expect_extents(blk, content, blk->size_bytes - 1001, 500);
}

static struct err *count_extent(void *arg, uint64_t offset, uint64_t len_bytes, unsigned extent_flags)
{
	(void)offset;
	(void)len_bytes;
	(void)extent_flags;
	++*(unsigned *)arg;
	return NULL;
}

static void check_bounds(struct suite *s)
{
	static const struct {
		int64_t offset_from_end;
		uint64_t len_bytes;
	} outside[] = {{0, 1}, {-1, 2}, {1, 0}, {4096, 512}, {-512, UINT64_MAX - 100}};
	uint64_t size = s->blk->size_bytes;
	uint8_t byte[16] = {0};
	unsigned count = 0;

	for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
		uint64_t offset = size + outside[i].offset_from_end;
		uint64_t len = outside[i].len_bytes;

		must_fail(blk_pread(s->blk, byte, len, offset), 0);
		must_fail(blk_pwrite(s->blk, byte, len, offset, 0), 0);
		must_fail(blk_zero(s->blk, len, offset, 0), 0);
		must_fail(blk_discard(s->blk, len, offset), 0);
		must_fail(blk_extents(s->blk, len, offset, count_extent, &count), 0);
	}
	assert_int_equal(count, 0);
	must(blk_pread(s->blk, byte, 0, size));
	must(blk_pwrite(s->blk, byte, 0, size, 0));
	must(blk_zero(s->blk, 0, 0, 0));
	must(blk_discard(s->blk, 0, size));
	must(blk_extents(s->blk, 0, size, count_extent, &count));
	assert_int_equal(count, 0);
	expect_range(s, 4096, size - 4096);
}

static void write_both(struct suite *s, size_t len_bytes, uint64_t offset, unsigned flags)
{
	rng_fill(&s->rng, s->model + offset, len_bytes);
	must(blk_pwrite(s->blk, s->model + offset, len_bytes, offset, flags));
}

static void zero_both(struct suite *s, uint64_t len_bytes, uint64_t offset, unsigned flags)
{
	memset(s->model + offset, 0, len_bytes);
	must(blk_zero(s->blk, len_bytes, offset, flags));
}

static void discard_both(struct suite *s, uint64_t len_bytes, uint64_t offset)
{
	memset(s->model + offset, 0, len_bytes);
	must(blk_discard(s->blk, len_bytes, offset));
}

/* Requests around the edges of bytes, sectors, pages, blocks and the device. */
static void check_alignment(struct suite *s)
{
	static const uint64_t edges[] = {0, 512, 4096, 65536, 1 << 20, 2 << 20};
	static const uint64_t lens[] = {1, 511, 512, 513, 4095, 4097, 65537, (1 << 20) + 1};
	uint64_t size = s->blk->size_bytes;

	for (size_t e = 0; e < sizeof edges / sizeof edges[0]; e++) {
		for (size_t l = 0; l < sizeof lens / sizeof lens[0]; l++) {
			for (int shift = -1; shift <= 1; shift++) {
				uint64_t offset = edges[e] + shift;

				if (!edges[e] && shift < 0)
					continue;
				write_both(s, lens[l], offset, 0);
				expect_range(s, lens[l] + 2, offset ? offset - 1 : 0);
			}
		}
		write_both(s, edges[e] + 3, size - edges[e] - 3, 0);
		expect_range(s, edges[e] + 10, size - edges[e] - 10);
	}
}

static void check_zero_and_discard(struct suite *s)
{
	static const uint64_t offsets[] = {0, 1, 4096, (1 << 20) + 77};
	static const uint64_t lens[] = {1, 4096, 70001, (1 << 20), (2 << 20) + 5};
	static const unsigned flags[] = {0, BLK_MAY_TRIM, BLK_FUA, BLK_FUA | BLK_MAY_TRIM};

	for (size_t o = 0; o < sizeof offsets / sizeof offsets[0]; o++) {
		for (size_t l = 0; l < sizeof lens / sizeof lens[0]; l++) {
			write_both(s, lens[l] + 4, offsets[o], 0);
			zero_both(s, lens[l], offsets[o] + 2, flags[(o + l) % 4]);
			expect_range(s, lens[l] + 4, offsets[o]);
			write_both(s, lens[l] + 4, offsets[o], 0);
			discard_both(s, lens[l], offsets[o] + 2);
			expect_range(s, lens[l] + 4, offsets[o]);
		}
	}
	discard_both(s, s->blk->size_bytes, 0);
	blk_conformance_expect(s->blk, s->model);
	write_both(s, 100, 1 << 20, 0);
	expect_range(s, 3 << 20, 0);
	expect_extents(s->blk, s->model, s->blk->size_bytes, 0);
}

static void check_durability_calls(struct suite *s)
{
	must(blk_flush(s->blk));
	write_both(s, 5000, 12345, BLK_FUA);
	write_both(s, 4096, 3 << 20, BLK_FUA);
	zero_both(s, 4096, 3 << 20, BLK_FUA);
	must(blk_flush(s->blk));
	must(blk_flush(s->blk));
	blk_conformance_expect(s->blk, s->model);
}

static struct err *stop_walk(void *arg, uint64_t offset, uint64_t len_bytes, unsigned extent_flags)
{
	(void)offset;
	(void)len_bytes;
	(void)extent_flags;
	++*(unsigned *)arg;
	return err_failed("enough");
}

/* An error of the callback ends the walk and comes back; the callback may use the device. */
static struct err *read_in_walk(void *arg, uint64_t offset, uint64_t len_bytes, unsigned extent_flags)
{
	struct suite *s = arg;
	uint8_t byte;

	(void)extent_flags;
	TRY(blk_pread(s->blk, &byte, 1, offset + len_bytes - 1));
	assert_int_equal(byte, s->model[offset + len_bytes - 1]);
	return NULL;
}

static void check_walks(struct suite *s)
{
	unsigned count = 0;
	struct err *err = blk_extents(s->blk, s->blk->size_bytes, 0, stop_walk, &count);

	assert_non_null(err);
	assert_string_equal(err_message(err), "enough");
	err_free(err);
	assert_int_equal(count, 1);
	must(blk_extents(s->blk, s->blk->size_bytes, 0, read_in_walk, s));
}

static void random_request(struct suite *s)
{
	uint64_t size = s->blk->size_bytes;
	uint64_t offset = rng_below(&s->rng, size);
	uint64_t len = 1 + rng_below(&s->rng, MAX_STREAM_BYTES);

	if (rng_below(&s->rng, 2)) {
		offset &= ~4095ull;
		len = (len + 4095) & ~4095ull;
	}
	if (len > size - offset)
		len = size - offset;
	switch (rng_below(&s->rng, 8)) {
	case 0:
		zero_both(s, len, offset, 0);
		break;
	case 1:
		zero_both(s, len, offset, BLK_MAY_TRIM);
		break;
	case 2:
		discard_both(s, len, offset);
		break;
	case 3:
		expect_extents(s->blk, s->model, len, offset);
		break;
	case 4:
	case 5:
		expect_range(s, len, offset);
		break;
	default:
		write_both(s, len, offset, 0);
		break;
	}
}

static void check_random_stream(struct suite *s)
{
	for (unsigned i = 0; i < 400; i++) {
		random_request(s);
		if (i % 100 == 50)
			must(blk_flush(s->blk));
	}
	blk_conformance_expect(s->blk, s->model);
}

/*
 * One thread's share: the pieces number n, n + THREADS, … of the device, cut so
 * that two threads meet inside sectors and blocks.  cmocka's asserts work in the
 * main thread alone, so the outcome is handed back.
 */
struct worker {
	struct suite *suite;
	unsigned number;
	uint64_t piece_bytes;
	struct err *err;
	bool differs;
	pthread_t thread;
};

static struct err *work_on_piece(struct worker *w, uint8_t *buf, size_t len_bytes, uint64_t offset)
{
	struct blk *blk = w->suite->blk;
	uint8_t *model = w->suite->model + offset;
	struct rng rng = {offset};

	rng_fill(&rng, model, len_bytes);
	TRY(blk_pwrite(blk, model, len_bytes, offset, rng_below(&rng, 8) ? 0 : BLK_FUA));
	if (!rng_below(&rng, 4)) {
		memset(model, 0, len_bytes / 2);
		TRY(blk_zero(blk, len_bytes / 2, offset, BLK_MAY_TRIM));
	}
	if (!rng_below(&rng, 4)) {
		memset(model + len_bytes / 2, 0, len_bytes / 4);
		TRY(blk_discard(blk, len_bytes / 4, offset + len_bytes / 2));
	}
	TRY(blk_pread(blk, buf, len_bytes, offset));
	w->differs |= memcmp(buf, model, len_bytes) != 0;
	return rng_below(&rng, 16) ? NULL : blk_flush(blk);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	uint64_t size = w->suite->blk->size_bytes;
	CLEANUP_FREE uint8_t *buf = xmalloc(w->piece_bytes);

	for (uint64_t i = w->number; i * w->piece_bytes < size && !w->err; i += THREADS) {
		uint64_t left = size - i * w->piece_bytes;
		size_t bytes = left < w->piece_bytes ? left : w->piece_bytes;

		w->err = work_on_piece(w, buf, bytes, i * w->piece_bytes);
	}
	return NULL;
}

static void check_threads(struct suite *s, uint64_t piece_bytes)
{
	struct worker workers[THREADS] = {0};

	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.suite = s, .number = i, .piece_bytes = piece_bytes};
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	for (unsigned i = 0; i < THREADS; i++) {
		must(workers[i].err);
		assert_false(workers[i].differs);
	}
	blk_conformance_expect(s->blk, s->model);
}

static void check_properties(const struct blk *blk)
{
	assert_non_null(blk->name);
	assert_non_null(blk->ops->kind);
	assert_true(blk->logical_sector_bytes == 512 || blk->logical_sector_bytes == 4096);
	assert_true(blk->physical_sector_bytes >= blk->logical_sector_bytes);
	assert_true(blk->preferred_bytes > 0);
}

uint8_t *blk_conformance_run(struct blk *blk, const char *name)
{
	struct suite s = {.blk = blk, .rng = {blk->size_bytes}};

	print_message("  over %s: %llu bytes\n", name, (unsigned long long)blk->size_bytes);
	assert_in_range(blk->size_bytes, 4 << 20, 64 << 20);
	assert_false(blk->flags & BLK_READ_ONLY);
	s.model = xmalloc(blk->size_bytes);
	s.scratch = xmalloc(blk->size_bytes);
	check_properties(blk);
	must(blk_pread(blk, s.model, blk->size_bytes, 0));
	blk_conformance_expect(blk, s.model);
	check_bounds(&s);
	check_alignment(&s);
	check_random_stream(&s);
	check_zero_and_discard(&s);
	check_durability_calls(&s);
	check_walks(&s);
	check_threads(&s, 99991);
	check_threads(&s, 3 << 19);
	check_random_stream(&s);
	must(blk_flush(blk));
	free(s.scratch);
	return s.model;
}

void blk_conformance_read_only(struct blk *blk, const uint8_t *content)
{
	uint8_t byte = 0x55;

	assert_true(blk->flags & BLK_READ_ONLY);
	check_properties(blk);
	must_fail(blk_pwrite(blk, &byte, 1, 0, 0), ERR_REFUSED);
	must_fail(blk_zero(blk, 1, 0, 0), ERR_REFUSED);
	must_fail(blk_discard(blk, 1, 0), ERR_REFUSED);
	must_fail(blk_resize(blk, blk->size_bytes + 512), ERR_REFUSED);
	must(blk_flush(blk));
	blk_conformance_expect(blk, content);
}
