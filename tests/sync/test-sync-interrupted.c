/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Transfers that something ends early: the line, a disk at either end, another sender. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "tests/base/lib-must.h"
#include "tests/sync/lib-sync-world.h"

#define KIB 1024ull
#define MIB (1024 * KIB)

/* A line that is cut, or flips a bit, at any place: never a success with a difference, and the end is equal.
 */
static void interrupt_at_random(enum line_fault fault, unsigned runs)
{
	CLEANUP_WORLD struct sync_world world = {0};
	CLEANUP_BLK struct blk *a = sync_make_disk(1), *b = sync_make_disk(2);
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
		must(sync_world_send(&world, disks, 2, (struct sender_options){.flags = SENDER_VERIFY},
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
	must_fail_with(sync_world_send(&world, disks, 1, one_lane, &first), "the receiver");
	sync_world_settle(&world);
	world.fault = LINE_SOUND;
	must(sync_world_send(&world, disks, 1, one_lane, &second));
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
	CLEANUP_BLK struct blk *disk = NULL, *whole = sync_make_disk(1);
	CLEANUP_SENDER_RESULT struct sender_result stopped = {0};
	CLEANUP_SENDER_RESULT struct sender_result zeroed = {0};
	struct sender_disk disks[1];

	(void)state;
	sync_world_init(&world);
	assert_null(blk_fault_create(sync_make_disk(1), faults, 2, &disk));
	disks[0] = (struct sender_disk){disk, "disk"};
	must_fail_with(sync_world_send(&world, disks, 1, (struct sender_options){0}, &stopped),
		       "cannot be read at offset 1049600, 1024 bytes");
	assert_int_equal(world.finished, 0);
	must(sync_world_send(&world, disks, 1, (struct sender_options){.flags = SENDER_ZERO_UNREADABLE},
			     &zeroed));
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
	CLEANUP_BLK struct blk *disk = sync_make_disk(1);
	const struct sender_disk disks[] = {{disk, "disk"}};
	CLEANUP_SENDER_RESULT struct sender_result first = {0};
	CLEANUP_SENDER_RESULT struct sender_result second = {0};

	(void)state;
	sync_world_init(&world);
	must_fail_with(sync_world_send(&world, disks, 1, (struct sender_options){0}, &first),
		       "No space left");
	sync_world_settle(&world);
	assert_int_equal(world.finished, 0);
	world.wrap_copy = NULL;
	must(sync_world_send(&world, disks, 1, (struct sender_options){.flags = SENDER_VERIFY}, &second));
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
	CLEANUP_BLK struct blk *disk = sync_make_disk(1);
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

		must(sync_world_send(&world, disks, 1, runs[1], &result));
		assert_true(sync_world_is_equal(&world, 0, disk));
		if (!i) {
			assert_int_equal(pthread_join(older.thread, NULL), 0);
			assert_int_equal(err_kind(older.err), ERR_REFUSED);
			assert_non_null(err_advice(older.err));
			must_fail_with(older.err, "another sender has taken this job over");
		}
		must_fail_with(sync_world_send(&world, disks, 1, runs[0], &again),
			       "another sender has taken this job over");
		sync_world_restart(&world); /* not forgotten */
	}
}

/* A sender that tries again is not kept out by what is left of its last try. */
static void test_next_try_takes_over(void **state)
{
	CLEANUP_WORLD struct sync_world world = {0};
	CLEANUP_BLK struct blk *disk = sync_make_disk(1);
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
	must(sync_world_send(&world, disks, 1, (struct sender_options){.run = "same"}, &result));
	assert_int_equal(pthread_join(older.thread, NULL), 0);
	assert_non_null(older.err);
	err_free(older.err);
	assert_true(sync_world_is_equal(&world, 0, disk));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut_lines),
		cmocka_unit_test(test_flipped_bits),
		cmocka_unit_test(test_resume_sends_the_rest),
		cmocka_unit_test(test_unreadable_source),
		cmocka_unit_test(test_full_receiver),
		cmocka_unit_test(test_taken_over),
		cmocka_unit_test(test_next_try_takes_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
