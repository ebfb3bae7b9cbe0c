/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whole transfers: first and second runs, what is refused, what the job's log says.  Interrupted ones are in
 * test-sync-interrupted.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "tests/base/lib-must.h"
#include "tests/sync/lib-sync-world.h"

#define KIB 1024ull
#define MIB (1024 * KIB)
#define BLOCK (64 * KIB)

static void test_first_and_second_run(void **state)
{
	CLEANUP_WORLD struct sync_world world = {0};
	CLEANUP_BLK struct blk *a = sync_make_disk(1), *b = sync_make_disk(2);
	const struct sender_disk disks[] = {{a, "a"}, {b, "b"}};
	CLEANUP_SENDER_RESULT struct sender_result first = {0};
	CLEANUP_SENDER_RESULT struct sender_result second = {0};
	CLEANUP_SENDER_RESULT struct sender_result third = {0};

	(void)state;
	sync_world_init(&world);
	must(sync_world_send(&world, disks, 2, (struct sender_options){.flags = SENDER_VERIFY}, &first));
	assert_true(sync_world_is_equal(&world, 0, a));
	assert_true(sync_world_is_equal(&world, 1, b));
	assert_int_equal(world.finished, 2);
	/* Zeros do not travel. */
	assert_true(first.content_bytes > 40 * MIB && first.content_bytes < 52 * MIB);

	sync_world_restart(&world);
	must(sync_world_send(&world, disks, 2, (struct sender_options){0}, &second));
	assert_int_equal(second.content_bytes, 0);
	/* The second run changes nothing, and begins nothing. */
	assert_int_equal(world.begun, 2);
	assert_memory_equal(&first.root, &second.root, sizeof first.root);
	assert_true(second.wire_bytes < 4 * KIB);

	/* One block changed, one gone to zeros, one come from zeros. */
	sync_write_random(a, 5 * BLOCK, 100, 77);
	assert_null(blk_zero(b, BLOCK, 0, 0));
	sync_write_random(b, 3 * MIB + 12345, 1, 3);
	must(sync_world_send(&world, disks, 2, (struct sender_options){0}, &third));
	assert_true(sync_world_is_equal(&world, 0, a));
	assert_true(sync_world_is_equal(&world, 1, b));
	assert_true(third.content_bytes <= 3 * BLOCK);
	assert_int_equal(world.begun, 4);
	assert_memory_not_equal(&first.root, &third.root, sizeof first.root);
	sync_world_settle(&world);
	assert_int_equal(world.warnings, 0);
}

static void test_options(void **state)
{
	static const struct sender_options cases[] = {
		{.lanes = 1},
		{.block_bytes = 1 << 20},
		{.block_bytes = 256 << 10, .lanes = 4},
		{.limit_bytes_per_second = 200 << 20},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CLEANUP_WORLD struct sync_world world = {0};
		CLEANUP_BLK struct blk *disk = sync_make_disk(i + 3);
		const struct sender_disk disks[] = {{disk, "disk"}};
		CLEANUP_SENDER_RESULT struct sender_result result = {0};

		sync_world_init(&world);
		must(sync_world_send(&world, disks, 1, cases[i], &result));
		assert_true(sync_world_is_equal(&world, 0, disk));
	}
}

/* What somebody else changes in the copy behind our back --verify finds, and the next run mends. */
static void test_verify(void **state)
{
	CLEANUP_WORLD struct sync_world world = {0};
	CLEANUP_BLK struct blk *disk = sync_make_disk(1), *copy = NULL;
	const struct sender_disk disks[] = {{disk, "disk"}};
	const struct sender_options verify = {.flags = SENDER_VERIFY};
	CLEANUP_FREE char *path = NULL;

	(void)state;
	sync_world_init(&world);
	for (unsigned i = 0; i < 4; i++) {
		CLEANUP_SENDER_RESULT struct sender_result result = {0};
		struct err *err = sync_world_send(&world, disks, 1, verify, &result);

		if (i == 1) {
			must_fail_with(err, "2 blocks of the copies");
			continue;
		}
		must(err);
		assert_true(sync_world_is_equal(&world, 0, disk));
		assert_int_equal(result.content_bytes > 2 * BLOCK, i == 0);
		sync_world_settle(&world);
		if (i)
			continue;
		path = xasprintf("%s/job/disk0.raw", scratch_path(world.scratch));
		assert_null(blk_file_open(path, BLK_FILE_WRITE, 0, &copy));
		sync_write_random(copy, 5 * BLOCK + 77, 1, 9);
		sync_write_random(copy, 3 * MIB, 1, 9); /* where zeros should be */
	}
}

static void test_refusals(void **state)
{
	CLEANUP_WORLD struct sync_world world = {0};
	CLEANUP_BLK struct blk *disk = sync_make_disk(1), *smaller = NULL;
	const struct sender_disk disks[] = {{disk, "disk"}, {disk, "other"}};
	struct sender_disk wrong[] = {{NULL, "disk"}};
	CLEANUP_SENDER_RESULT struct sender_result result = {0};
	struct {
		const struct sender_disk *disks;
		size_t count;
	} cases[] = {{disks, 2}, {disks + 1, 1}, {wrong, 1}};

	(void)state;
	sync_world_init(&world);
	assert_null(blk_mem_create(MIB, &smaller));
	wrong[0].blk = smaller;
	must(sync_world_send(&world, disks, 1, (struct sender_options){0}, &result));
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CLEANUP_SENDER_RESULT struct sender_result refused = {0};

		must_fail_with(sync_world_send(&world, cases[i].disks, cases[i].count,
					       (struct sender_options){0}, &refused),
			       "a job 'job' with other disks");
	}
	assert_true(sync_world_is_equal(&world, 0, disk));
}

/* How many lines of the job's log say that. */
static unsigned count_log(struct sync_world *world, const char *words)
{
	CLEANUP_FREE char *path = xasprintf("%s/job/log", scratch_path(world->scratch)), *line = NULL;
	FILE *log = fopen(path, "r");
	size_t capacity = 0;
	unsigned count = 0;

	assert_non_null(log);
	while (getline(&line, &capacity, log) > 0)
		count += !!strstr(line, words);
	fclose(log);
	return count;
}

static void test_job_log(void **state)
{
	CLEANUP_WORLD struct sync_world world = {0};
	CLEANUP_BLK struct blk *disk = sync_make_disk(1);
	const struct sender_disk disks[] = {{disk, "disk"}}, others[] = {{disk, "other"}};
	CLEANUP_SENDER_RESULT struct sender_result first = {0}, cut = {0}, resumed = {0}, refused = {0};
	struct err *err;

	(void)state;
	sync_world_init(&world);
	must(sync_world_send(&world, disks, 1, (struct sender_options){0}, &first));
	sync_world_settle(&world);
	assert_int_equal(count_log(&world, "connected, to send all of it"), 1);
	assert_int_equal(count_log(&world, ": complete"), 1);
	sync_write_random(disk, 0, 20 * MIB, 5);
	world.fault = LINE_CUT;
	world.fault_after_bytes = 10 * MIB;
	err = sync_world_send(&world, disks, 1, (struct sender_options){.lanes = 1}, &cut);
	assert_non_null(err);
	err_free(err);
	world.fault = LINE_SOUND;
	sync_world_settle(&world);
	assert_int_equal(count_log(&world, "connected, to bring a complete job up to date"), 1);
	assert_true(count_log(&world, "ended: ") >= 1);
	must(sync_world_send(&world, disks, 1, (struct sender_options){0}, &resumed));
	sync_world_settle(&world);
	assert_int_equal(count_log(&world, "connected, to go on where it was"), 1);
	assert_int_equal(count_log(&world, ": complete"), 2);
	must_fail_with(sync_world_send(&world, others, 1, (struct sender_options){0}, &refused),
		       "other disks");
	sync_world_settle(&world);
	assert_int_equal(count_log(&world, "refused: "), 1);
}

static void test_no_space(void **state)
{
	CLEANUP_WORLD struct sync_world world = {0};
	CLEANUP_BLK struct blk *disk = sync_make_disk(1);
	const struct sender_disk disks[] = {{disk, "disk"}};
	CLEANUP_SENDER_RESULT struct sender_result result = {0};

	(void)state;
	world.receiver_options.reserve_bytes = 1;
	sync_world_init(&world);
	world.receiver_options.reserve_bytes = UINT64_MAX;
	sync_world_restart(&world);
	must_fail_with(sync_world_send(&world, disks, 1, (struct sender_options){0}, &result),
		       "not enough space");
	assert_int_equal(result.content_bytes, 0);
}

/* 10 TiB with two little pieces of data: as quick as these are small. */
static void test_sparse(void **state)
{
	CLEANUP_WORLD struct sync_world world = {0};
	CLEANUP_FREE char *path = NULL;
	CLEANUP_BLK struct blk *disk = NULL;
	struct sender_disk disks[1];

	(void)state;
	sync_world_init(&world);
	path = scratch_file(world.scratch, "source");
	assert_null(blk_file_open(path, BLK_FILE_CREATE, 10ull << 40, &disk));
	sync_write_random(disk, 123 * MIB, 3 * MIB, 1);
	sync_write_random(disk, (10ull << 40) - MIB, MIB, 2);
	disks[0] = (struct sender_disk){disk, "disk"};
	for (unsigned i = 0; i < 2; i++) {
		CLEANUP_SENDER_RESULT struct sender_result result = {0};

		must(sync_world_send(&world, disks, 1, (struct sender_options){0}, &result));
		assert_true(result.read_bytes <= 6 * MIB);
		assert_int_equal(result.content_bytes, i ? 0 : 4 * MIB);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_and_second_run),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_verify),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_job_log),
		cmocka_unit_test(test_no_space),
		cmocka_unit_test(test_sparse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
