// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Power cuts while a VHDX is made, changed and finished: what was flushed is
 * there afterwards, each sector written since holds its old content or a newer
 * one, the file has no error, and one that is not finished says so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "tests/vhdx/lib-power-cut.h"
#include "tests/vhdx/lib-vhdx.h"

#define SECTOR 512u
#define DISK_BYTES (3 * MIB + 1536)
#define SECTORS (DISK_BYTES / SECTOR)
#define REQUESTS 180u

/*
 * Each request has a number; the sectors that it writes hold that number all
 * over, or zeros.  A sector may hold the content of any request that touched it
 * since its last flushed one, that one included.
 */
struct world {
	uint32_t flushed[SECTORS]; /* number that was there at the last flush; 0: zeros */
	uint32_t (*later)[REQUESTS + 1]; /* numbers since, for sectors touched since */
	uint8_t later_count[SECTORS];
	bool created; /* vhdx_create_on() has returned */
	bool finishing, finished; /* vhdx_finish() was called, has returned */
	unsigned cuts, complete_after_cut;
	struct rng rng;
};

static void touch(struct world *w, uint64_t first, uint64_t count, uint32_t content)
{
	for (uint64_t i = first; i < first + count; i++)
		w->later[i][w->later_count[i]++] = content;
}

static void all_is_flushed(struct world *w)
{
	for (uint64_t i = 0; i < SECTORS; i++) {
		if (w->later_count[i])
			w->flushed[i] = w->later[i][w->later_count[i] - 1];
		w->later_count[i] = 0;
	}
}

static bool holds(const uint8_t *sector, uint32_t content)
{
	return !memcmp(sector, &content, sizeof content) &&
	       !memcmp(sector, sector + sizeof content, SECTOR - sizeof content);
}

static void check_content(const struct world *w, struct blk *vhdx)
{
	CLEANUP_FREE uint8_t *content = xmalloc(DISK_BYTES);

	assert_no_error(blk_pread(vhdx, content, DISK_BYTES, 0));
	for (uint64_t i = 0; i < SECTORS; i++) {
		const uint8_t *sector = content + i * SECTOR;
		bool fine = holds(sector, w->flushed[i]);

		for (unsigned k = 0; k < w->later_count[i] && !fine; k++)
			fine = holds(sector, w->later[i][k]);
		if (!fine)
			fail_msg("cut %u: sector %llu holds %u; flushed was %u, %u later", w->cuts,
				 (unsigned long long)i, *(const uint32_t *)sector, w->flushed[i],
				 w->later_count[i]);
	}
}

/* Reads all of it; true if it is complete. */
static bool read_after_cut(const struct world *w, struct blk *left)
{
	CLEANUP_BLK struct blk *vhdx = vhdx_opened(left, VHDX_OPEN_INSPECT);
	CLEANUP_VHDX_INFO struct vhdx_info info = {0};

	assert_no_error(vhdx_get_info(vhdx, &info));
	check_content(w, vhdx);
	return !info.incomplete;
}

/* Writes a little into each block: blocks that get space now must not show what lay there before. */
static void check_new_blocks(struct blk *vhdx)
{
	CLEANUP_FREE uint8_t *expected = xmalloc(DISK_BYTES);
	CLEANUP_FREE uint8_t *got = xmalloc(DISK_BYTES);

	assert_no_error(blk_pread(vhdx, expected, DISK_BYTES, 0));
	for (uint64_t offset = 4096; offset + SECTOR <= DISK_BYTES; offset += MIB) {
		memset(expected + offset, 0x99, SECTOR);
		assert_no_error(blk_pwrite(vhdx, expected + offset, SECTOR, offset, 0));
	}
	assert_no_error(blk_pread(vhdx, got, DISK_BYTES, 0));
	assert_memory_equal(got, expected, DISK_BYTES);
}

/* Reads, repairs by opening for writing, reads again. */
static void power_fails(void *arg, struct blk *left)
{
	struct world *w = arg;
	struct vhdx_check_result result;
	struct blk *vhdx;
	bool complete;

	w->cuts++;
	if (!w->created) {
		/* No VHDX yet, or an incomplete one: never one that others would take. */
		assert_error(vhdx_open_on(left, 0, NULL, &vhdx), ERR_REFUSED);
		assert_no_error(blk_close(left));
		return;
	}
	complete = read_after_cut(w, copy_of(left));
	w->complete_after_cut += complete;
	if (w->finished)
		assert_true(complete);
	else if (!w->finishing)
		assert_false(complete);
	if (!complete)
		assert_error(vhdx_open_on(left, 0, NULL, &vhdx), ERR_REFUSED);
	assert_no_error(vhdx_check_on(left, NULL, NULL, &result));
	assert_int_equal(result.errors, complete ? 0 : 1);
	vhdx = vhdx_opened(left, VHDX_OPEN_WRITE | VHDX_OPEN_INCOMPLETE);
	check_content(w, vhdx);
	assert_no_error(vhdx_finish(vhdx));
	check_content(w, vhdx);
	check_new_blocks(vhdx);
	assert_no_error(vhdx_finish(vhdx));
	assert_clean(left);
	assert_no_error(blk_close(vhdx));
}

static void one_request(struct world *w, struct blk *vhdx, uint32_t number)
{
	uint64_t first = rng_below(&w->rng, SECTORS), count = 1 + rng_below(&w->rng, 300);
	unsigned kind = (unsigned)rng_below(&w->rng, 9);
	CLEANUP_FREE uint32_t *data = xmalloc(301 * SECTOR);

	if (kind < 3) {
		first &= ~2047ull;
		count = 2048 * (1 + rng_below(&w->rng, 2));
	}
	if (count > SECTORS - first)
		count = SECTORS - first;
	if (kind >= 7) {
		assert_no_error(blk_flush(vhdx));
		all_is_flushed(w);
		return;
	}
	/* From the start of a request on its content may be there. */
	touch(w, first, count, kind < 3 ? 0 : number);
	if (kind == 0) {
		assert_no_error(blk_discard(vhdx, count * SECTOR, first * SECTOR));
	} else if (kind < 3) {
		assert_no_error(blk_zero(vhdx, count * SECTOR, first * SECTOR, kind == 1 ? BLK_MAY_TRIM : 0));
	} else {
		for (size_t i = 0; i < count * SECTOR / 4; i++)
			data[i] = number;
		assert_no_error(blk_pwrite(vhdx, data, count * SECTOR, first * SECTOR, 0));
	}
}

static void finish(struct world *w, struct blk *vhdx)
{
	w->finishing = true;
	assert_no_error(vhdx_finish(vhdx));
	w->finished = true;
	all_is_flushed(w);
}

static void run_world(const struct vhdx_create_options *options, uint64_t seed)
{
	struct world *w = xcalloc(1, sizeof *w);
	struct blk *file, *vhdx;

	w->rng.state = seed;
	w->later = xcalloc(SECTORS, sizeof *w->later);
	file = power_cut_create(1, seed, power_fails, w);
	assert_no_error(vhdx_create_on(file, options, NULL, &vhdx));
	w->created = true;
	power_cut_every(file, 3);
	for (uint32_t i = 1; i <= REQUESTS; i++) {
		one_request(w, vhdx, i);
		if (i == REQUESTS / 2) {
			power_cut_every(file, 1);
			finish(w, vhdx);
			power_cut_every(file, 3);
		}
	}
	power_cut_every(file, 1);
	assert_no_error(vhdx_finish(vhdx));
	power_cut_every(file, 0);
	assert_true(w->cuts > 40);
	/* Both outcomes of a cut during finish have been seen. */
	assert_true(w->complete_after_cut > 10 && w->complete_after_cut < w->cuts);
	assert_no_error(blk_close(vhdx));
	free(w->later);
	free(w);
}

static void test_dynamic(void **state)
{
	const struct vhdx_create_options options = {.size_bytes = DISK_BYTES, .block_bytes = 1 << 20};

	(void)state;
	for (uint64_t seed = 1; seed <= 2; seed++)
		run_world(&options, seed);
}

static void test_fixed(void **state)
{
	const struct vhdx_create_options options = {.size_bytes = DISK_BYTES, .flags = VHDX_FIXED};

	(void)state;
	run_world(&options, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dynamic),
		cmocka_unit_test(test_fixed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
