// SPDX-License-Identifier: GPL-3.0-or-later
/* A disk with parts left out: they read as zeros, and are told as such. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture/masked.h"
#include "p2v/base/mem.h"
#include "tests/base/lib-blk-conformance.h"
#include "tests/base/lib-must.h"
#include "tests/base/lib-nbd-server.h"
#include "tests/base/lib-rng.h"

#define DISK_BYTES (5ull << 20)
#define HOLE_START (2ull << 20) /* of the disk itself */
#define ROUNDS 30u

/* A file, which has holes of its own. */
static struct blk *make_disk(const char *dir, struct rng *rng, uint8_t *content)
{
	CLEANUP_FREE char *path = test_path(dir, "disk");
	struct blk *disk;

	rng_fill(rng, content, DISK_BYTES);
	memset(content + HOLE_START, 0, DISK_BYTES / 4);
	(void)!unlink(path);
	must(blk_file_open(path, BLK_FILE_CREATE, DISK_BYTES, &disk));
	must(blk_pwrite_data(disk, content, DISK_BYTES, 0));
	return disk;
}

static void keep_some(struct rng *rng, struct extents *kept, uint8_t *content)
{
	uint64_t offset = rng_below(rng, 2) ? 0 : rng_below(rng, 100000);

	memset(content, 0, offset);
	while (offset < DISK_BYTES) {
		uint64_t left = DISK_BYTES - offset,
			 bytes = 1 + rng_below(rng, left < 400000 ? left : 400000);
		uint64_t gap = 1 + rng_below(rng, 300000);

		extents_add(kept, offset, offset + bytes);
		offset += bytes;
		if (gap > DISK_BYTES - offset)
			gap = DISK_BYTES - offset;
		memset(content + offset, 0, gap);
		offset += gap;
	}
}

static void test_random(void **state)
{
	CLEANUP_FREE uint8_t *content = xmalloc(DISK_BYTES);
	char *dir = test_dir_make();
	struct rng rng = {21};

	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		CLEANUP_EXTENTS struct extents kept = {0};
		CLEANUP_BLK struct blk *masked = NULL;
		struct blk *disk = make_disk(dir, &rng, content);

		keep_some(&rng, &kept, content);
		masked = masked_create(disk, &kept);
		assert_int_equal(kept.count, 0);
		blk_conformance_read_only(masked, content);
	}
	test_dir_remove(dir);
}

static void test_edges(void **state)
{
	CLEANUP_FREE uint8_t *content = xmalloc(DISK_BYTES);
	char *dir = test_dir_make();
	CLEANUP_EXTENTS struct extents nothing = {0}, all = {0}, data = {0};
	CLEANUP_BLK struct blk *empty = NULL, *full = NULL;
	struct rng rng = {22};

	(void)state;
	extents_add(&all, 0, DISK_BYTES);
	full = masked_create(make_disk(dir, &rng, content), &all);
	blk_conformance_read_only(full, content);
	/* What the disk itself calls a hole stays one. */
	must(blk_data_extents(full, DISK_BYTES, 0, &data));
	assert_true(extents_total_bytes(&data) < DISK_BYTES);

	empty = masked_create(make_disk(dir, &rng, content), &nothing);
	memset(content, 0, DISK_BYTES);
	blk_conformance_read_only(empty, content);
	extents_deinit(&data);
	must(blk_data_extents(empty, DISK_BYTES, 0, &data));
	assert_int_equal(data.count, 0);
	test_dir_remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_edges),
	};

	return cmocka_run_group_tests_name("masked", tests, NULL, NULL);
}
