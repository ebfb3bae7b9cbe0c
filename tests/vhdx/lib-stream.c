// SPDX-License-Identifier: GPL-3.0-or-later
#include "tests/vhdx/lib-stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "tests/base/lib-must.h"
#include "tests/base/lib-rng.h"

#define MAX_REQUEST_BYTES (3u << 20)

void stream_init(struct stream *s, uint64_t size_bytes, uint64_t chunk_bytes, uint64_t seed)
{
	*s = (struct stream){.chunk_bytes = chunk_bytes, .rng = {seed}};
	must(blk_mem_create(size_bytes, &s->model));
	s->buf = xmalloc(MAX_REQUEST_BYTES);
}

void stream_deinit(struct stream *s)
{
	must(blk_close(s->model));
	extents_deinit(&s->touched);
	free(s->buf);
}

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
	if (s->max_clear_bytes && *ret_len > s->max_clear_bytes)
		*ret_len = s->max_clear_bytes;
}

void stream_request(struct stream *s)
{
	uint64_t offset, len;

	choose_range(s, &offset, &len);
	switch (rng_below(&s->rng, 10)) {
	case 0:
		choose_blocks(s, &offset, &len);
		must(blk_discard(s->vhdx, len, offset));
		must(blk_discard(s->model, len, offset));
		break;
	case 1:
		choose_blocks(s, &offset, &len);
		must(blk_zero(s->vhdx, len, offset, BLK_MAY_TRIM));
		must(blk_zero(s->model, len, offset, 0));
		break;
	case 2:
		must(blk_zero(s->vhdx, len, offset, (unsigned)rng_below(&s->rng, 4)));
		must(blk_zero(s->model, len, offset, 0));
		break;
	case 3:
		must(blk_flush(s->vhdx));
		break;
	default:
		rng_fill(&s->rng, s->buf, len);
		must(blk_pwrite(s->vhdx, s->buf, len, offset, rng_below(&s->rng, 20) ? 0 : BLK_FUA));
		must(blk_pwrite(s->model, s->buf, len, offset, 0));
		extents_add(&s->touched, offset, offset + len);
		assert_same_range(s->vhdx, s->model, len, offset);
	}
}

struct walk {
	uint64_t offset;
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
	assert_int_equal(!run->file_offset, run->state != VHDX_BLOCK_FULLY_PRESENT &&
						    run->state != VHDX_BLOCK_PARTIALLY_PRESENT);
	walk->offset += run->len_bytes;
	return NULL;
}

void stream_compare(struct stream *s)
{
	struct walk walk = {0};
	uint64_t size = s->vhdx->size_bytes;

	extents_align(&s->touched, 1 << 16);
	for (size_t i = 0; i < s->touched.count; i++) {
		uint64_t start = s->touched.ranges[i].start;
		uint64_t end = s->touched.ranges[i].end < size ? s->touched.ranges[i].end : size;

		assert_same_range(s->vhdx, s->model, end - start, start);
	}
	must(blk_extents(s->vhdx, size, 0, check_extent, &walk));
	assert_int_equal(walk.offset, size);
	walk.offset = 0;
	must(vhdx_map(s->vhdx, check_run, &walk));
	assert_int_equal(walk.offset, size);
}
