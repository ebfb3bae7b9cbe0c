/* SPDX-License-Identifier: GPL-3.0-or-later */
/* That a receiver can tell when it has all of a pass, and nothing of the next one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "p2v/sync/passes.h"
#include "tests/base/lib-must.h"
#include "tests/sync/lib-sync-liar.h"

static struct passes passes_of(struct sync_world *world)
{
	CLEANUP_FREE char *folder = xasprintf("%s/job", scratch_path(world->scratch));
	struct passes passes;

	must(passes_load(folder, &passes));
	return passes;
}

/* An answer on the lane: all that was said before is behind the receiver. */
static void wait_for_lane(struct liar *liar, struct channel *lane)
{
	const struct message query = {.type = WIRE_QUERY, .query = {0, WIRE_PAGES, 1, 0}};

	must(channel_send(lane, &query));
	do
		must(channel_receive(lane, ~0u, liar->message, NULL));
	while (liar->message->type != WIRE_HASHES);
}

static void expect_passes(struct liar *liar, uint64_t over, bool is_between)
{
	struct passes passes;

	wait_for_lane(liar, liar->lane);
	passes = passes_of(&liar->world);
	assert_int_equal(passes.over, over);
	assert_int_equal(passes.is_between, is_between);
	assert_true(passes.is_connected);
}

static void say_sync(struct liar *liar, struct channel *lane)
{
	const struct message sync = {.type = WIRE_SYNC};

	must(channel_send(lane, &sync));
	wait_for_lane(liar, lane);
}

static void send_zeros(struct liar *liar, struct channel *lane, uint64_t block)
{
	const struct message zero = {.type = WIRE_ZERO, .zero = {0, block, 1}};

	must(channel_send(lane, &zero));
	wait_for_lane(liar, lane);
}

static struct channel *add_lane(struct liar *liar)
{
	struct message_hello hello = {WIRE_OLDEST_VERSION, WIRE_OLDEST_VERSION, WIRE_LANE, {0}};
	struct channel *lane;

	memcpy(hello.token, liar->token, sizeof hello.token);
	lane = sync_world_say_hello(&liar->world, hello);
	liar_expect(liar, lane, WIRE_WELCOME);
	return lane;
}

static void test_passes(void **state)
{
	CLEANUP_LIAR struct liar liar = {0};

	(void)state;
	liar_init(&liar);
	expect_passes(&liar, 0, false);
	liar_send_content(&liar, false, 0);
	say_sync(&liar, liar.lane);
	expect_passes(&liar, 1, true);
	/* One with nothing in it is none. */
	say_sync(&liar, liar.lane);
	expect_passes(&liar, 1, true);
	send_zeros(&liar, liar.lane, 0);
	expect_passes(&liar, 1, false);
	say_sync(&liar, liar.lane);
	expect_passes(&liar, 2, true);
	/* Whoever comes again may bring anything, but nothing is forgotten. */
	liar_come_again(&liar);
	expect_passes(&liar, 2, false);
	say_sync(&liar, liar.lane);
	expect_passes(&liar, 3, true);
}

/* One lane may be through with a pass before another has anything of it. */
static void test_two_lanes(void **state)
{
	CLEANUP_LIAR struct liar liar = {0};
	struct channel *other;

	(void)state;
	liar_init(&liar);
	send_zeros(&liar, liar.lane, 0);
	other = add_lane(&liar);
	say_sync(&liar, liar.lane);
	expect_passes(&liar, 0, false);
	say_sync(&liar, other);
	expect_passes(&liar, 1, true);
	send_zeros(&liar, liar.lane, 1);
	say_sync(&liar, liar.lane);
	expect_passes(&liar, 1, false);
	send_zeros(&liar, other, 2);
	say_sync(&liar, other);
	expect_passes(&liar, 2, true);
	/* Here the lane without content is the first. */
	say_sync(&liar, other);
	send_zeros(&liar, liar.lane, 1);
	expect_passes(&liar, 2, false);
	say_sync(&liar, liar.lane);
	expect_passes(&liar, 3, true);
	/* What one that leaves has begun is never over. */
	send_zeros(&liar, other, 2);
	channel_destroy(other);
	say_sync(&liar, liar.lane);
	say_sync(&liar, liar.lane);
	expect_passes(&liar, 3, false);
}

/* One that comes after the first pass is over has nothing of it. */
static void test_late_lane(void **state)
{
	CLEANUP_LIAR struct liar liar = {0};
	struct channel *other;

	(void)state;
	liar_init(&liar);
	send_zeros(&liar, liar.lane, 0);
	say_sync(&liar, liar.lane);
	other = add_lane(&liar);
	expect_passes(&liar, 1, true);
	say_sync(&liar, other);
	expect_passes(&liar, 1, true);
	send_zeros(&liar, other, 0);
	say_sync(&liar, other);
	expect_passes(&liar, 1, false);
	say_sync(&liar, liar.lane);
	expect_passes(&liar, 2, true);
	channel_destroy(other);
}

/* With several lanes, as an ordinary sender has them. */
static void test_transfer(void **state)
{
	CLEANUP_WORLD struct sync_world world = {0};
	CLEANUP_BLK struct blk *blk = sync_make_disk(1);
	const struct sender_disk disk = {.blk = blk, .id = "one"};
	struct sender_result result = {0};
	struct passes passes;

	(void)state;
	sync_world_init(&world);
	must(sync_world_send(&world, &disk, 1, (struct sender_options){.lanes = 4}, &result));
	sender_result_deinit(&result);
	sync_world_settle(&world);
	passes = passes_of(&world);
	assert_int_equal(passes.over, 1);
	assert_true(passes.is_between);
	assert_false(passes.is_connected);
}

static void test_nothing_saved(void **state)
{
	struct passes passes = {7, true, true};

	(void)state;
	must(passes_load("/nonexistent", &passes));
	assert_int_equal(passes.over, 0);
	assert_false(passes.is_between);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_passes), cmocka_unit_test(test_two_lanes),
					   cmocka_unit_test(test_late_lane), cmocka_unit_test(test_transfer),
					   cmocka_unit_test(test_nothing_saved)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
