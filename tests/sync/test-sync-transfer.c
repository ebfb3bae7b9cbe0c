/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whole transfers: first and second runs, interrupted ones, failing disks at either end. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "tests/sync/lib-sync-world.h"

#define KIB 1024ull
#define MIB (1024 * KIB)
#define BLOCK (64 * KIB)
#define DISK_BYTES (40 * MIB + 512) /* ends in a short block */

#define CLEANUP_WORLD CLEANUP(sync_world_deinit)

/* Half of it random, some of it text, the rest zeros. */
static struct blk *make_disk(uint64_t seed)
{
	struct blk *disk;
	CLEANUP_FREE char *text = xcalloc(1, 4 * MIB);

	assert_null(blk_mem_create(DISK_BYTES, &disk));
	for (uint64_t at = 0; at < 40 * MIB; at += 4 * MIB)
		sync_write_random(disk, at + seed * 4096, 2 * MIB, seed + at);
	for (size_t i = 0; i < 4 * MIB; i++)
		text[i] = "the quick brown fox "[(i * seed + i / 977) % 20];
	assert_null(blk_pwrite(disk, text, 4 * MIB, 18 * MIB, 0));
	sync_write_random(disk, DISK_BYTES - 700, 700, seed);
	return disk;
}

static void assert_fine(struct err *err)
{
	if (err)
		fail_msg("%s", err_message(err));
}

static void assert_fails(struct err *err, const char *text)
{
	assert_non_null(err);
	if (!strstr(err_message(err), text))
		fail_msg("'%s' is not in '%s'", text, err_message(err));
	err_free(err);
}

static void test_first_and_second_run(void **state)
{
	CLEANUP_WORLD struct sync_world world = {0};
	CLEANUP_BLK struct blk *a = make_disk(1), *b = make_disk(2);
	const struct sender_disk disks[] = {{a, "a"}, {b, "b"}};
	CLEANUP_SENDER_RESULT struct sender_result first = {0};
	CLEANUP_SENDER_RESULT struct sender_result second = {0};
	CLEANUP_SENDER_RESULT struct sender_result third = {0};

	(void)state;
	sync_world_init(&world);
	assert_fine(
		sync_world_send(&world, disks, 2, (struct sender_options){.flags = SENDER_VERIFY}, &first));
	assert_true(sync_world_is_equal(&world, 0, a));
	assert_true(sync_world_is_equal(&world, 1, b));
	assert_int_equal(world.finished, 2);
	/* Zeros do not travel. */
	assert_true(first.content_bytes > 40 * MIB && first.content_bytes < 52 * MIB);

	sync_world_restart(&world);
	assert_fine(sync_world_send(&world, disks, 2, (struct sender_options){0}, &second));
	assert_int_equal(second.content_bytes, 0);
	/* The second run changes nothing, and begins nothing. */
	assert_int_equal(world.begun, 2);
	assert_memory_equal(&first.root, &second.root, sizeof first.root);
	assert_true(second.wire_bytes < 4 * KIB);

	/* One block changed, one gone to zeros, one come from zeros. */
	sync_write_random(a, 5 * BLOCK, 100, 77);
	assert_null(blk_zero(b, BLOCK, 0, 0));
	sync_write_random(b, 3 * MIB + 12345, 1, 3);
	assert_fine(sync_world_send(&world, disks, 2, (struct sender_options){0}, &third));
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
		CLEANUP_BLK struct blk *disk = make_disk(i + 3);
		const struct sender_disk disks[] = {{disk, "disk"}};
		CLEANUP_SENDER_RESULT struct sender_result result = {0};

		sync_world_init(&world);
		assert_fine(sync_world_send(&world, disks, 1, cases[i], &result));
		assert_true(sync_world_is_equal(&world, 0, disk));
	}
}

/* A line that is cut, or flips a bit, at any place: never a success with a difference, and the end is equal.
 */
static void interrupt_at_random(enum line_fault fault, unsigned runs)
{
	CLEANUP_WORLD struct sync_world world = {0};
	CLEANUP_BLK struct blk *a = make_disk(1), *b = make_disk(2);
	const struct sender_disk disks[] = {{a, "a"}, {b, "b"}};
	uint64_t random = 88172645463325252ull;
	unsigned failures = 0;

	sync_world_init(&world);
	for (unsigned i = 0; i < runs; i++) {
		CLEANUP_SENDER_RESULT struct sender_result result = {0};
		struct err *err;

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		world.fault = fault;
		/* Many in the handshakes, many anywhere. */
		world.fault_after_bytes = i % 3 ? random % (8 * MIB) : random % (4 * KIB);
		sync_write_random(a, random % (30 * MIB), 3 * MIB, i);
		err = sync_world_send(&world, disks, 2, (struct sender_options){.lanes = 3}, &result);
		failures += !!err;
		if (!err)
			assert_true(sync_world_is_equal(&world, 0, a) && sync_world_is_equal(&world, 1, b));
		err_free(err);
		sync_world_settle(&world);
		if (i % 7 == 6)
			sync_world_restart(&world);
	}
	assert_true(failures > runs / 3);
	assert_true(world.warnings);
	{
		CLEANUP_SENDER_RESULT struct sender_result result = {0};

		world.fault = LINE_SOUND;
		assert_fine(sync_world_send(&world, disks, 2, (struct sender_options){.flags = SENDER_VERIFY},
					    &result));
		assert_true(sync_world_is_equal(&world, 0, a));
		assert_true(sync_world_is_equal(&world, 1, b));
	}
}

static unsigned run_count(void)
{
	const char *count = getenv("P2V_SYNC_CUTS");

	return count ? strtoul(count, NULL, 10) : 25;
}

static void test_cut_lines(void **state)
{
	(void)state;
	interrupt_at_random(LINE_CUT, run_count());
}

static void test_flipped_bits(void **state)
{
	(void)state;
	interrupt_at_random(LINE_FLIP, run_count());
}

/* Cut late: what was acknowledged is not sent again. */
static void test_resume_sends_the_rest(void **state)
{
	CLEANUP_WORLD struct sync_world world = {0};
	CLEANUP_BLK struct blk *disk = NULL;
	const struct sender_options one_lane = {.lanes = 1};
	CLEANUP_SENDER_RESULT struct sender_result first = {0};
	CLEANUP_SENDER_RESULT struct sender_result second = {0};
	struct sender_disk disks[1];

	(void)state;
	world.receiver_options.window_bytes = 16 * MIB; /* 4 MiB a lane */
	sync_world_init(&world);
	assert_null(blk_mem_create(40 * MIB, &disk));
	for (uint64_t at = 0; at < 40 * MIB; at += MIB)
		sync_write_random(disk, at, MIB, at);
	disks[0] = (struct sender_disk){disk, "disk"};
	world.fault = LINE_CUT;
	world.fault_after_bytes = 30 * MIB;
	assert_fails(sync_world_send(&world, disks, 1, one_lane, &first), "the receiver");
	sync_world_settle(&world);
	world.fault = LINE_SOUND;
	assert_fine(sync_world_send(&world, disks, 1, one_lane, &second));
	assert_true(sync_world_is_equal(&world, 0, disk));
	assert_true(second.content_bytes <= 40 * MIB - (30 * MIB - 6 * MIB));
}

static void test_unreadable_source(void **state)
{
	const struct blk_fault faults[] = {
		{BLK_OP_READ, MIB + 1024, MIB + 2048, 1, 0, EIO},
		{BLK_OP_READ, 5 * MIB, 5 * MIB + 512, 1, 1, EIO}, /* once: the second try reads it */
	};
	CLEANUP_WORLD struct sync_world world = {0};
	CLEANUP_BLK struct blk *disk = NULL, *whole = make_disk(1);
	CLEANUP_SENDER_RESULT struct sender_result stopped = {0};
	CLEANUP_SENDER_RESULT struct sender_result zeroed = {0};
	struct sender_disk disks[1];

	(void)state;
	sync_world_init(&world);
	assert_null(blk_fault_create(make_disk(1), faults, 2, &disk));
	disks[0] = (struct sender_disk){disk, "disk"};
	assert_fails(sync_world_send(&world, disks, 1, (struct sender_options){0}, &stopped),
		     "cannot be read at offset 1049600, 1024 bytes");
	assert_int_equal(world.finished, 0);
	assert_fine(sync_world_send(&world, disks, 1,
				    (struct sender_options){.flags = SENDER_ZERO_UNREADABLE}, &zeroed));
	assert_int_equal(zeroed.unreadable[0].count, 1);
	assert_int_equal(zeroed.unreadable[0].ranges[0].start, MIB + 1024);
	assert_int_equal(zeroed.unreadable[0].ranges[0].end, MIB + 2048);
	assert_false(sync_world_is_equal(&world, 0, whole));
	assert_null(blk_zero(whole, 1024, MIB + 1024, 0));
	assert_true(sync_world_is_equal(&world, 0, whole));
}

static struct blk *full_disk(struct blk *copy)
{
	const struct blk_fault fault = {BLK_OP_WRITE, 20 * MIB, 24 * MIB, 1, 0, ENOSPC};
	struct blk *blk;

	assert_null(blk_fault_create(copy, &fault, 1, &blk));
	return blk;
}

/* The receiver's disk is full, then freed. */
static void test_full_receiver(void **state)
{
	CLEANUP_WORLD struct sync_world world = {.wrap_copy = full_disk};
	CLEANUP_BLK struct blk *disk = make_disk(1);
	const struct sender_disk disks[] = {{disk, "disk"}};
	CLEANUP_SENDER_RESULT struct sender_result first = {0};
	CLEANUP_SENDER_RESULT struct sender_result second = {0};

	(void)state;
	sync_world_init(&world);
	assert_fails(sync_world_send(&world, disks, 1, (struct sender_options){0}, &first), "No space left");
	sync_world_settle(&world);
	assert_int_equal(world.finished, 0);
	world.wrap_copy = NULL;
	assert_fine(
		sync_world_send(&world, disks, 1, (struct sender_options){.flags = SENDER_VERIFY}, &second));
	assert_true(sync_world_is_equal(&world, 0, disk));
}

/* What somebody else changes in the copy behind our back --verify finds, and the next run mends. */
static void test_verify(void **state)
{
	CLEANUP_WORLD struct sync_world world = {0};
	CLEANUP_BLK struct blk *disk = make_disk(1), *copy = NULL;
	const struct sender_disk disks[] = {{disk, "disk"}};
	const struct sender_options verify = {.flags = SENDER_VERIFY};
	CLEANUP_FREE char *path = NULL;

	(void)state;
	sync_world_init(&world);
	for (unsigned i = 0; i < 4; i++) {
		CLEANUP_SENDER_RESULT struct sender_result result = {0};
		struct err *err = sync_world_send(&world, disks, 1, verify, &result);

		if (i == 1) {
			assert_fails(err, "2 blocks of the copies");
			continue;
		}
		assert_fine(err);
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
	CLEANUP_BLK struct blk *disk = make_disk(1), *smaller = NULL;
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
	assert_fine(sync_world_send(&world, disks, 1, (struct sender_options){0}, &result));
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CLEANUP_SENDER_RESULT struct sender_result refused = {0};

		assert_fails(sync_world_send(&world, cases[i].disks, cases[i].count,
					     (struct sender_options){0}, &refused),
			     "a job 'job' with other disks");
	}
	assert_true(sync_world_is_equal(&world, 0, disk));
}

/* A sender in the background, so slow that it does not end by itself. */
struct slow_sender {
	struct sync_world *world;
	const struct sender_disk *disks;
	struct sender_options options;
	struct err *err;
	pthread_t thread;
};

static void *send_slowly(void *arg)
{
	struct slow_sender *sender = arg;
	CLEANUP_SENDER_RESULT struct sender_result result = {0};

	sender->err = sync_world_send(sender->world, sender->disks, 1, sender->options, &result);
	return NULL;
}

/* Of two senders of a job the newer one goes on; the other one is told, and is not let in again. */
static void test_taken_over(void **state)
{
	CLEANUP_WORLD struct sync_world world = {0};
	CLEANUP_BLK struct blk *disk = make_disk(1);
	const struct sender_disk disks[] = {{disk, "disk"}};
	struct sender_options runs[2] = {{.run = "older"}, {.run = "newer"}};
	struct slow_sender older = {.world = &world, .disks = disks, .options = runs[0]};
	const struct timespec pause = {0, 1000000};

	(void)state;
	sync_world_init(&world);
	older.options.limit_bytes_per_second = MIB;
	assert_int_equal(pthread_create(&older.thread, NULL, send_slowly, &older), 0);
	while (world.connections < 2)
		nanosleep(&pause, NULL);
	for (unsigned i = 0; i < 2; i++) {
		CLEANUP_SENDER_RESULT struct sender_result result = {0}, again = {0};

		assert_fine(sync_world_send(&world, disks, 1, runs[1], &result));
		assert_true(sync_world_is_equal(&world, 0, disk));
		if (!i) {
			assert_int_equal(pthread_join(older.thread, NULL), 0);
			assert_int_equal(err_kind(older.err), ERR_REFUSED);
			assert_non_null(err_advice(older.err));
			assert_fails(older.err, "another sender has taken this job over");
		}
		assert_fails(sync_world_send(&world, disks, 1, runs[0], &again),
			     "another sender has taken this job over");
		sync_world_restart(&world); /* not forgotten */
	}
}

/* A sender that tries again is not kept out by what is left of its last try. */
static void test_next_try_takes_over(void **state)
{
	CLEANUP_WORLD struct sync_world world = {0};
	CLEANUP_BLK struct blk *disk = make_disk(1);
	const struct sender_disk disks[] = {{disk, "disk"}};
	struct slow_sender older = {
		.world = &world, .disks = disks, .options = {.run = "same", .limit_bytes_per_second = MIB}};
	const struct timespec pause = {0, 1000000};
	CLEANUP_SENDER_RESULT struct sender_result result = {0};

	(void)state;
	sync_world_init(&world);
	assert_int_equal(pthread_create(&older.thread, NULL, send_slowly, &older), 0);
	while (world.connections < 2)
		nanosleep(&pause, NULL);
	/* The same run, as when a sender tries again. */
	assert_fine(sync_world_send(&world, disks, 1, (struct sender_options){.run = "same"}, &result));
	assert_int_equal(pthread_join(older.thread, NULL), 0);
	assert_non_null(older.err);
	err_free(older.err);
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
	CLEANUP_BLK struct blk *disk = make_disk(1);
	const struct sender_disk disks[] = {{disk, "disk"}}, others[] = {{disk, "other"}};
	CLEANUP_SENDER_RESULT struct sender_result first = {0}, cut = {0}, resumed = {0}, refused = {0};
	struct err *err;

	(void)state;
	sync_world_init(&world);
	assert_fine(sync_world_send(&world, disks, 1, (struct sender_options){0}, &first));
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
	assert_fine(sync_world_send(&world, disks, 1, (struct sender_options){0}, &resumed));
	sync_world_settle(&world);
	assert_int_equal(count_log(&world, "connected, to go on where it was"), 1);
	assert_int_equal(count_log(&world, ": complete"), 2);
	assert_fails(sync_world_send(&world, others, 1, (struct sender_options){0}, &refused), "other disks");
	sync_world_settle(&world);
	assert_int_equal(count_log(&world, "refused: "), 1);
}

static void test_no_space(void **state)
{
	CLEANUP_WORLD struct sync_world world = {0};
	CLEANUP_BLK struct blk *disk = make_disk(1);
	const struct sender_disk disks[] = {{disk, "disk"}};
	CLEANUP_SENDER_RESULT struct sender_result result = {0};

	(void)state;
	world.receiver_options.reserve_bytes = 1;
	sync_world_init(&world);
	world.receiver_options.reserve_bytes = UINT64_MAX;
	sync_world_restart(&world);
	assert_fails(sync_world_send(&world, disks, 1, (struct sender_options){0}, &result),
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

		assert_fine(sync_world_send(&world, disks, 1, (struct sender_options){0}, &result));
		assert_true(result.read_bytes <= 6 * MIB);
		assert_int_equal(result.content_bytes, i ? 0 : 4 * MIB);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_and_second_run),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_cut_lines),
		cmocka_unit_test(test_flipped_bits),
		cmocka_unit_test(test_resume_sends_the_rest),
		cmocka_unit_test(test_unreadable_source),
		cmocka_unit_test(test_full_receiver),
		cmocka_unit_test(test_verify),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_taken_over),
		cmocka_unit_test(test_next_try_takes_over),
		cmocka_unit_test(test_job_log),
		cmocka_unit_test(test_no_space),
		cmocka_unit_test(test_sparse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
