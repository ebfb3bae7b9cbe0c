// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Power cuts while a VHD is written: the file opens, what was flushed is there,
 * and each sector written since holds its old content or a newer one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "tests/vhdx/lib-power-cut.h"
#include "tests/vhdx/lib-vhdx.h"
#include "vhdx/vhd.h"

#define SECTOR 512u
#define BLOCK_BYTES (512u << 10)
#define DISK_BYTES (6 * MIB + 1536)
#define SECTORS (DISK_BYTES / SECTOR)
#define REQUESTS 60u

/*
 * Request number n fills sectors with the byte n, or with zeros.  A sector may
 * hold what was flushed last, or what any request since wrote to it.
 */
struct world {
	uint8_t flushed[SECTORS];
	uint8_t newest[SECTORS];
	bool allowed[SECTORS][REQUESTS + 1]; /* contents since the last flush */
	unsigned cuts;
	struct rng rng;
};

static void expect_world(const struct world *w, struct blk *vhd)
{
	CLEANUP_FREE uint8_t *content = xmalloc(DISK_BYTES);

	assert_no_error(blk_pread(vhd, content, DISK_BYTES, 0));
	for (uint64_t i = 0; i < SECTORS; i++) {
		const uint8_t *sector = content + i * SECTOR;

		if (memcmp(sector, sector + 1, SECTOR - 1) ||
		    (*sector != w->flushed[i] && (*sector > REQUESTS || !w->allowed[i][*sector])))
			fail_msg("cut %u: sector %llu holds %u, flushed was %u", w->cuts,
				 (unsigned long long)i, *sector, w->flushed[i]);
	}
}

/* Blocks that get their space now must not show what lay there before. */
static void expect_new_blocks_clean(struct blk *vhd)
{
	CLEANUP_FREE uint8_t *expected = xmalloc(DISK_BYTES);

	assert_no_error(blk_pread(vhd, expected, DISK_BYTES, 0));
	for (uint64_t offset = 4096; offset + SECTOR <= DISK_BYTES; offset += BLOCK_BYTES) {
		memset(expected + offset, 0xee, SECTOR);
		assert_no_error(blk_pwrite(vhd, expected + offset, SECTOR, offset, 0));
	}
	blk_conformance_expect(vhd, expected);
}

static void power_fails(void *arg, struct blk *left)
{
	struct world *w = arg;
	struct blk *vhd = NULL;

	w->cuts++;
	assert_no_error(vhd_open_on(copy_of(left), 0, NULL, &vhd));
	expect_world(w, vhd);
	assert_no_error(blk_close(vhd));
	assert_no_error(vhd_open_on(left, VHD_OPEN_WRITE, NULL, &vhd));
	expect_world(w, vhd);
	expect_new_blocks_clean(vhd);
	assert_no_error(blk_flush(vhd));
	left = copy_of(left);
	assert_no_error(blk_close(vhd));
	assert_no_error(vhd_open_on(left, 0, NULL, &vhd));
	assert_no_error(blk_close(vhd));
}

static void all_is_flushed(struct world *w)
{
	memcpy(w->flushed, w->newest, sizeof w->flushed);
	memset(w->allowed, 0, sizeof w->allowed);
}

static void range_is_flushed(struct world *w, uint64_t first, uint64_t count)
{
	for (uint64_t i = first; i < first + count; i++) {
		w->flushed[i] = w->newest[i];
		memset(w->allowed[i], 0, sizeof w->allowed[i]);
	}
}

static void one_request(struct world *w, struct blk *vhd, uint8_t number)
{
	uint64_t first = rng_below(&w->rng, SECTORS), count = 1 + rng_below(&w->rng, 300);
	uint8_t content = rng_below(&w->rng, 4) ? number : 0;
	bool fua = !rng_below(&w->rng, 8);
	CLEANUP_FREE uint8_t *buf = NULL;

	if (count > SECTORS - first)
		count = SECTORS - first;
	for (uint64_t i = first; i < first + count; i++) {
		w->newest[i] = content;
		w->allowed[i][content] = true;
	}
	buf = xmalloc(count * SECTOR);
	memset(buf, content, count * SECTOR);
	if (content || rng_below(&w->rng, 2))
		assert_no_error(blk_pwrite(vhd, buf, count * SECTOR, first * SECTOR, fua ? BLK_FUA : 0));
	else
		assert_no_error(
			blk_zero(vhd, count * SECTOR, first * SECTOR, BLK_MAY_TRIM | (fua ? BLK_FUA : 0)));
	if (fua)
		range_is_flushed(w, first, count);
	if (!rng_below(&w->rng, 6)) {
		assert_no_error(blk_flush(vhd));
		all_is_flushed(w);
	}
}

static void run(uint64_t seed, unsigned flags)
{
	const struct vhd_create_options options = {
		.size_bytes = DISK_BYTES, .block_bytes = BLOCK_BYTES, .flags = flags};
	struct world *w = xcalloc(1, sizeof *w);
	struct blk *file = power_cut_create(0, seed, power_fails, w);
	struct blk *vhd;

	w->rng.state = seed;
	assert_no_error(vhd_create_on(file, &options, NULL, &vhd));
	assert_no_error(blk_flush(vhd));
	power_cut_every(file, 1 + seed % 3);
	for (unsigned number = 1; number <= REQUESTS; number++)
		one_request(w, vhd, number);
	assert_no_error(blk_flush(vhd));
	all_is_flushed(w);
	expect_world(w, vhd);
	power_cut_every(file, 0);
	assert_no_error(blk_close(vhd));
	assert_true(w->cuts > 30);
	free(w);
}

static void test_dynamic(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++)
		run(seed, 0);
}

static void test_fixed(void **state)
{
	(void)state;
	run(4, VHD_CREATE_FIXED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dynamic),
		cmocka_unit_test(test_fixed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
