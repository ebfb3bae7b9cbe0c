// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Random requests on disks of many sizes and shapes, against sparse memory of the
 * same size as the model; in between, the file is closed and opened, or lost with
 * its log not emptied and opened from what was on disk.  Requests crowd around
 * the places where something changes: the ends, block borders, and the chunk
 * borders at which the BAT has an entry that is no payload's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "tests/vhdx/lib-vhdx.h"

#define MAX_REQUEST_BYTES (3u << 20)

struct stream {
	struct blk *file, *vhdx, *model;
	struct extents touched;
	uint64_t chunk_bytes; /* of the disk, for each sector bitmap entry */
	bool incomplete;
	struct rng rng;
	uint8_t *buf;
};

/* An offset near something, and a length that stays on the disk. */
static void choose_range(struct stream *s, uint64_t *ret_offset, uint64_t *ret_len)
{
	uint64_t size = s->vhdx->size_bytes, block = s->vhdx->preferred_bytes;
	uint64_t borders[] = {0,
			      size,
			      s->chunk_bytes,
			      size / s->chunk_bytes * s->chunk_bytes,
			      block * rng_below(&s->rng, 4),
			      size / 2};
	uint64_t near = borders[rng_below(&s->rng, COUNT_OF(borders))];
	uint64_t spread = rng_below(&s->rng, 2) ? 2 * block : 9000;
	uint64_t offset = near + rng_below(&s->rng, spread);
	uint64_t len = 1 + rng_below(&s->rng, rng_below(&s->rng, 4) ? 20000 : MAX_REQUEST_BYTES);

	offset = offset > spread / 2 ? offset - spread / 2 : 0;
	if (rng_below(&s->rng, 2))
		offset &= ~511ull;
	if (offset >= size)
		offset = size - 1 - rng_below(&s->rng, 5000);
	*ret_offset = offset;
	*ret_len = len < size - offset ? len : size - offset;
}

/* Whole blocks, now and then a great many of them. */
static void choose_blocks(struct stream *s, uint64_t *ret_offset, uint64_t *ret_len)
{
	uint64_t size = s->vhdx->size_bytes, block = s->vhdx->preferred_bytes;

	choose_range(s, ret_offset, ret_len);
	*ret_offset &= ~(block - 1);
	*ret_len = block * (1 + rng_below(&s->rng, rng_below(&s->rng, 8) ? 3 : 3000));
	if (*ret_len > size - *ret_offset)
		*ret_len = size - *ret_offset;
}

static void one_request(struct stream *s)
{
	uint64_t offset, len;

	choose_range(s, &offset, &len);
	switch (rng_below(&s->rng, 10)) {
	case 0:
		choose_blocks(s, &offset, &len);
		assert_no_error(blk_discard(s->vhdx, len, offset));
		assert_no_error(blk_discard(s->model, len, offset));
		break;
	case 1:
		choose_blocks(s, &offset, &len);
		assert_no_error(blk_zero(s->vhdx, len, offset, BLK_MAY_TRIM));
		assert_no_error(blk_zero(s->model, len, offset, 0));
		break;
	case 2:
		assert_no_error(blk_zero(s->vhdx, len, offset, (unsigned)rng_below(&s->rng, 4)));
		assert_no_error(blk_zero(s->model, len, offset, 0));
		break;
	case 3:
		assert_no_error(blk_flush(s->vhdx));
		break;
	default:
		rng_fill(&s->rng, s->buf, len);
		assert_no_error(
			blk_pwrite(s->vhdx, s->buf, len, offset, rng_below(&s->rng, 20) ? 0 : BLK_FUA));
		assert_no_error(blk_pwrite(s->model, s->buf, len, offset, 0));
		extents_add(&s->touched, offset, offset + len);
		assert_same_range(s->vhdx, s->model, len, offset);
	}
}

struct walk {
	uint64_t offset;
	uint64_t space_bytes;
};

static struct err *check_extent(void *arg, uint64_t offset, uint64_t len_bytes, unsigned extent_flags)
{
	struct walk *walk = arg;

	(void)extent_flags;
	assert_int_equal(offset, walk->offset);
	walk->offset += len_bytes;
	return NULL;
}

static struct err *check_run(void *arg, const struct vhdx_map_run *run)
{
	struct walk *walk = arg;

	assert_int_equal(run->offset, walk->offset);
	assert_int_equal(run->file_offset % MIB, 0);
	assert_int_equal(!run->file_offset, run->state != VHDX_BLOCK_FULLY_PRESENT);
	walk->offset += run->len_bytes;
	if (run->file_offset)
		walk->space_bytes += run->len_bytes;
	return NULL;
}

/* All that was ever written, a bit around it, and that the maps leave no gap. */
static void compare_all(struct stream *s)
{
	struct walk walk = {0};
	uint64_t size = s->vhdx->size_bytes;

	extents_align(&s->touched, 1 << 16);
	for (size_t i = 0; i < s->touched.count; i++) {
		uint64_t start = s->touched.ranges[i].start;
		uint64_t end = s->touched.ranges[i].end < size ? s->touched.ranges[i].end : size;

		assert_same_range(s->vhdx, s->model, end - start, start);
	}
	assert_no_error(blk_extents(s->vhdx, size, 0, check_extent, &walk));
	assert_int_equal(walk.offset, size);
	walk.offset = 0;
	assert_no_error(vhdx_map(s->vhdx, check_run, &walk));
	assert_int_equal(walk.offset, size);
	assert_true(walk.space_bytes <= s->file->size_bytes);
}

static void close_and_open(struct stream *s)
{
	struct blk *copy;

	/* The file is closed with the device, so the copy is taken before: as after the close, it must hold
	 * all that was flushed. */
	assert_no_error(blk_flush(s->vhdx));
	copy = copy_of(s->file);
	if (!s->incomplete)
		assert_no_errors_in(copy);
	assert_no_error(blk_close(s->vhdx));
	s->file = copy;
	s->vhdx = vhdx_opened(copy, VHDX_OPEN_WRITE | (s->incomplete ? VHDX_OPEN_INCOMPLETE : 0));
}

static void run_stream(const struct vhdx_create_options *options, uint64_t chunk_bytes, unsigned requests)
{
	struct stream s = {.chunk_bytes = chunk_bytes, .incomplete = true, .rng = {chunk_bytes + requests}};

	s.vhdx = vhdx_in_memory(options, &s.file);
	assert_no_error(blk_mem_create(options->size_bytes, &s.model));
	s.buf = xmalloc(MAX_REQUEST_BYTES);
	for (unsigned i = 1; i <= requests; i++) {
		one_request(&s);
		if (i == requests / 3) {
			assert_no_error(vhdx_finish(s.vhdx));
			s.incomplete = false;
			assert_clean(s.file);
		}
		if (i % (requests / 6) == 0) {
			compare_all(&s);
			close_and_open(&s);
			compare_all(&s);
		}
	}
	assert_no_error(vhdx_finish(s.vhdx));
	assert_clean(s.file);
	compare_all(&s);
	assert_no_error(blk_close(s.vhdx));
	assert_no_error(blk_close(s.model));
	extents_deinit(&s.touched);
	free(s.buf);
}

static void test_streams(void **state)
{
	static const struct {
		struct vhdx_create_options options;
		uint64_t chunk_bytes;
	} cases[] = {
		{{.size_bytes = 9 * GIB, .block_bytes = 1 << 20}, 4 * GIB},
		{{.size_bytes = 4 * GIB + 512 * 3}, 4 * GIB},
		{{.size_bytes = 13 * MIB + 512, .block_bytes = 4 << 20}, 4 * MIB},
		{{.size_bytes = 8 * GIB + 16 * MIB + 1024, .block_bytes = 32 << 20}, 4 * GIB},
		{{.size_bytes = 33 * GIB + 8192, .block_bytes = 1 << 20, .logical_sector_bytes = 4096},
		 32 * GIB},
		{{.size_bytes = 64 * GIB + 4096, .block_bytes = 16 << 20, .logical_sector_bytes = 4096},
		 32 * GIB},
		{{.size_bytes = 20 * MIB + 512, .flags = VHDX_FIXED}, 2 * MIB},
		{{.size_bytes = 9 * MIB, .block_bytes = 8 << 20, .flags = VHDX_FIXED}, 8 * MIB},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		run_stream(&cases[i].options, cases[i].chunk_bytes, 240);
}

/* What is given up is used again, so that a file does not grow for ever. */
static void test_space_is_used_again(void **state)
{
	const struct vhdx_create_options options = {.size_bytes = 64 * MIB, .block_bytes = 1 << 20};
	CLEANUP_FREE uint8_t *data = xmalloc(10 * MIB);
	struct blk *file, *vhdx = vhdx_in_memory(&options, &file);
	uint64_t limit;

	(void)state;
	memset(data, 0x77, 10 * MIB);
	assert_no_error(vhdx_finish(vhdx));
	assert_no_error(blk_pwrite(vhdx, data, 10 * MIB, 0, 0));
	assert_no_error(blk_flush(vhdx));
	limit = file->size_bytes;
	for (uint64_t i = 1; i < 20; i++) {
		uint64_t from = (i - 1) % 5 * 10 * MIB, to = i % 5 * 10 * MIB;

		assert_no_error(blk_discard(vhdx, 10 * MIB, from));
		assert_no_error(blk_flush(vhdx));
		assert_no_error(blk_pwrite(vhdx, data, 10 * MIB - 5000, to + 5000, 0));
		/* The rest of the first block must be zeros, not what was there before. */
		assert_no_error(blk_pread(vhdx, data, 5000, to));
		assert_true(blk_is_zero(data, 5000));
		memset(data, 0x77, 5000);
	}
	assert_int_equal(file->size_bytes, limit);
	/* Gaps are found by a new opening, too. */
	assert_no_error(blk_discard(vhdx, 64 * MIB, 0));
	assert_no_error(blk_flush(vhdx));
	file = copy_of(file);
	assert_no_error(blk_close(vhdx));
	vhdx = vhdx_opened(file, VHDX_OPEN_WRITE);
	assert_no_error(blk_pwrite(vhdx, data, 10 * MIB, 3 * MIB + 1, 0));
	assert_no_error(vhdx_finish(vhdx));
	assert_true(file->size_bytes <= limit + MIB);
	assert_clean(file);
	assert_no_error(blk_close(vhdx));
}

/* Space is not used again before it is given up durably. */
static void test_space_waits_for_the_flush(void **state)
{
	const struct vhdx_create_options options = {.size_bytes = 8 * MIB, .block_bytes = 1 << 20};
	struct blk *file, *vhdx = vhdx_in_memory(&options, &file);
	uint8_t old[4096], new[4096], got[4096];
	CLEANUP_BLK struct blk *after = NULL;

	(void)state;
	memset(old, 1, sizeof old);
	memset(new, 2, sizeof new);
	assert_no_error(vhdx_finish(vhdx));
	assert_no_error(blk_pwrite(vhdx, old, sizeof old, 0, BLK_FUA));
	assert_no_error(blk_discard(vhdx, MIB, 0));
	assert_no_error(blk_pwrite(vhdx, new, sizeof new, MIB, 0));
	after = vhdx_opened(copy_of(file), 0);
	assert_no_error(blk_pread(after, got, sizeof got, 0));
	assert_memory_equal(got, old, sizeof got);
	assert_no_error(blk_close(vhdx));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_streams),
		cmocka_unit_test(test_space_is_used_again),
		cmocka_unit_test(test_space_waits_for_the_flush),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
