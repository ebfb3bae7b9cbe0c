// SPDX-License-Identifier: GPL-3.0-or-later
/* A second look at a disk: what was written to it meanwhile is noticed, what was read is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "capture/changes.h"
#include "p2v/base/blk.h"
#include "p2v/base/mem.h"
#include "tests/base/lib-loop.h"
#include "tests/base/lib-must.h"
#include "tests/base/lib-nbd-server.h"

#define DISK_BYTES (4u << 20)

static void read_all_of(const char *path)
{
	CLEANUP_FREE uint8_t *buf = xmalloc(DISK_BYTES);
	CLEANUP_BLK struct blk *blk = NULL;

	must(blk_file_open(path, 0, 0, &blk));
	must(blk_pread(blk, buf, DISK_BYTES, 0));
}

static void write_some_of(const char *path, size_t bytes)
{
	CLEANUP_FREE uint8_t *buf = xmalloc(bytes);
	CLEANUP_BLK struct blk *blk = NULL;

	memset(buf, 0x77, bytes);
	must(blk_file_open(path, BLK_FILE_WRITE, 0, &blk));
	must(blk_pwrite(blk, buf, bytes, 8192, BLK_FUA));
}

static void expect_noticed(const char *path, uint64_t wanted_bytes)
{
	struct changes_look before, after;
	uint64_t bytes;

	changes_look(path, &before);
	read_all_of(path);
	changes_look(path, &after);
	assert_false(changes_between(&before, &after, &bytes));
	write_some_of(path, 8192);
	changes_look(path, &after);
	assert_true(changes_between(&before, &after, &bytes));
	assert_int_equal(bytes, wanted_bytes);
}

static void test_noticed(void **state)
{
	char *dir = test_dir_make();
	CLEANUP_FREE char *file = test_path(dir, "disk");
	struct blk *blk;
	char *device;

	(void)state;
	must(blk_file_open(file, BLK_FILE_CREATE, DISK_BYTES, &blk));
	must(blk_close(blk));
	expect_noticed(file, 0);
	device = loop_make(file);
	if (device)
		expect_noticed(device, 8192);
	else
		print_message("  no loop devices here\n");
	loop_remove(device);
	test_dir_remove(dir);
}

static void test_nothing_to_look_at(void **state)
{
	struct changes_look before, after;
	uint64_t bytes;

	(void)state;
	changes_look("nbd://192.0.2.1/", &before);
	changes_look("nbd://192.0.2.1/", &after);
	assert_false(changes_between(&before, &after, &bytes));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_noticed),
		cmocka_unit_test(test_nothing_to_look_at),
	};

	return cmocka_run_group_tests_name("changes", tests, NULL, NULL);
}
