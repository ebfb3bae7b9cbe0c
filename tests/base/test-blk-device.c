// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A block device that others write to: two loop devices over one file, so that
 * what is written through one is not in the cache of the other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "tests/base/lib-blk-conformance.h"
#include "tests/base/lib-loop.h"
#include "tests/base/lib-must.h"
#include "tests/base/lib-nbd-server.h"
#include "tests/base/lib-rng.h"

#define DISK_BYTES ((6u << 20) + 512) /* not a multiple of a page */

struct rig {
	char *dir, *file;
	char *devices[2];
	uint8_t *content;
};

static int rig_make(void **state)
{
	struct rig *rig = xcalloc(1, sizeof *rig);
	struct rng rng = {31};
	struct blk *blk;

	rig->dir = test_dir_make();
	rig->file = test_path(rig->dir, "disk");
	rig->content = xmalloc(DISK_BYTES);
	rng_fill(&rng, rig->content, DISK_BYTES);
	must(blk_file_open(rig->file, BLK_FILE_CREATE, DISK_BYTES, &blk));
	must(blk_pwrite(blk, rig->content, DISK_BYTES, 0, 0));
	must(blk_close(blk));
	for (size_t i = 0; i < 2; i++)
		rig->devices[i] = loop_make(rig->file);
	*state = rig;
	return 0;
}

static int rig_remove(void **state)
{
	struct rig *rig = *state;

	for (size_t i = 0; i < 2; i++)
		loop_remove(rig->devices[i]);
	test_dir_remove(rig->dir);
	free(rig->file);
	free(rig->content);
	free(rig);
	return 0;
}

/* Reads all of it through the page cache, which then has it. */
static void fill_cache(const struct rig *rig, struct blk *blk)
{
	CLEANUP_FREE uint8_t *buf = xmalloc(DISK_BYTES);

	must(blk_pread(blk, buf, DISK_BYTES, 0));
	assert_memory_equal(buf, rig->content, DISK_BYTES);
}

static void overwrite(struct rig *rig)
{
	struct rng rng = {32};
	struct blk *other;

	rng_fill(&rng, rig->content, DISK_BYTES);
	must(blk_file_open(rig->devices[1], BLK_FILE_WRITE, 0, &other));
	must(blk_pwrite(other, rig->content, DISK_BYTES, 0, 0));
	must(blk_flush(other));
	must(blk_close(other));
}

static void test_uncached(void **state)
{
	struct rig *rig = *state;
	CLEANUP_BLK struct blk *cached = NULL, *uncached = NULL;
	uint8_t old, now;

	if (!rig->devices[0] || !rig->devices[1])
		skip();
	must(blk_file_open(rig->devices[0], 0, 0, &cached));
	must(blk_file_open(rig->devices[0], BLK_FILE_UNCACHED, 0, &uncached));
	fill_cache(rig, cached);
	overwrite(rig);
	/* The danger is real: the cache still has what is gone. */
	must(blk_pread(cached, &old, 1, 1 << 20));
	must(blk_pread(uncached, &now, 1, 1 << 20));
	assert_int_equal(now, rig->content[1 << 20]);
	assert_int_not_equal(old, now);
	blk_conformance_expect(uncached, rig->content);
}

static void test_sectors(void **state)
{
	struct rig *rig = *state;
	CLEANUP_BLK struct blk *uncached = NULL;
	uint8_t buf[3000];

	if (!rig->devices[0])
		skip();
	must(blk_file_open(rig->devices[0], BLK_FILE_UNCACHED, 0, &uncached));
	assert_int_equal(uncached->size_bytes, DISK_BYTES);
	for (uint64_t offset = DISK_BYTES - 5000; offset + sizeof buf <= DISK_BYTES; offset += 77) {
		size_t bytes = 1 + offset % sizeof buf;

		must(blk_pread(uncached, buf, bytes, offset));
		assert_memory_equal(buf, rig->content + offset, bytes);
	}
	must(blk_pread(uncached, buf, 1, DISK_BYTES - 1));
	assert_int_equal(buf[0], rig->content[DISK_BYTES - 1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_sectors, rig_make, rig_remove),
		cmocka_unit_test_setup_teardown(test_uncached, rig_make, rig_remove),
	};

	return cmocka_run_group_tests_name("blk device", tests, NULL, NULL);
}
