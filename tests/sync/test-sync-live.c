// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Disks that are written to while they are sent: what is committed is what they are when frozen, whatever
 * fails; P2V_LIVE_ROUNDS says how often each is tried.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/sync/forecast.h"
#include "tests/base/lib-must.h"
#include "tests/sync/lib-live-disk.h"
#include "tests/sync/lib-sync-world.h"

#define CLEANUP_WORLD CLEANUP(sync_world_deinit)
#define CLEANUP_SERVER CLEANUP(live_server_deinit)
#define MIB (1ull << 20)
#define NS_PER_MS 1000000ull

static unsigned rounds(void)
{
	const char *text = getenv("P2V_LIVE_ROUNDS");

	return text ? strtoul(text, NULL, 10) : 1;
}

static struct live_options make_live(const struct live_server *server)
{
	return (struct live_options){
		.source = &server->source,
		.downtime_ns = 20000 * NS_PER_MS,
		.freeze_limit_ns = 60000 * NS_PER_MS,
		.pause_ns = 5 * NS_PER_MS,
		.cuts_over = true,
	};
}

static struct err *send_live(struct sync_world *world, struct live_server *server,
			     const struct live_options *live, struct sender_options options)
{
	const struct sender_disk disks[] = {{server->disks[0], "a"}, {server->disks[1], "b"}};
	CLEANUP_SENDER_RESULT struct sender_result result = {0};
	struct err *err;

	options.live = live;
	err = sync_world_send(world, disks, LIVE_DISKS, options, &result);
	/* What it took is told where there was a cutover. */
	assert_int_equal(result.cutover.commit_ns > 0, !err);
	assert_int_equal(result.cutover.freeze_ns > 0 && result.cutover.send_ns > 0, server->is_frozen);
	return err;
}

static bool is_equal(struct sync_world *world, struct live_server *server)
{
	return sync_world_is_equal(world, 0, server->disks[0]) &&
	       sync_world_is_equal(world, 1, server->disks[1]);
}

/* Frozen since, so that nothing has changed. */
static void assert_captured(struct sync_world *world, struct live_server *server)
{
	assert_true(server->is_frozen);
	assert_int_equal(world->finished, LIVE_DISKS);
	assert_true(is_equal(world, server));
}

static void test_equal(void **state)
{
	static const struct sender_options options[] = {
		{0},
		{.lanes = 1, .block_bytes = 256 << 10},
		{.lanes = 4, .flags = SENDER_VERIFY},
	};

	(void)state;
	for (unsigned round = 0; round < rounds(); round++)
		for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
			CLEANUP_WORLD struct sync_world world = {0};
			CLEANUP_SERVER struct live_server server = {0};
			struct live_options live;

			sync_world_init(&world);
			live_server_init(&server, round + i);
			live = make_live(&server);
			must(send_live(&world, &server, &live, options[i]));
			assert_captured(&world, &server);
			assert_true(server.state.is_certain && server.state.is_ready);
			assert_int_equal(server.thaws, 0);
		}
}

/* Whatever take it is that loses changes, the copy is equal, or there is none. */
static void lose(enum live_fault fault, unsigned take)
{
	CLEANUP_WORLD struct sync_world world = {0};
	CLEANUP_SERVER struct live_server server = {.fault = fault, .fault_take = take};
	struct live_options live;

	sync_world_init(&world);
	live_server_init(&server, take);
	live = make_live(&server);
	must(send_live(&world, &server, &live, (struct sender_options){0}));
	assert_captured(&world, &server);
}

static void test_lost_changes(void **state)
{
	(void)state;
	for (unsigned round = 0; round < rounds(); round++) {
		for (unsigned take = 1; take <= 8; take++)
			lose(LIVE_LOSES, take);
		for (unsigned take = 1; take <= 6; take++)
			lose(LIVE_LOSES_LATE, take);
		lose(LIVE_KNOWS_NOTHING, 0);
	}
}

/* The negative control: what no test could notice is noticed by comparing. */
static void test_silent_loss(void **state)
{
	unsigned differences = 0;

	(void)state;
	for (unsigned take = 3; take < 9; take++) {
		CLEANUP_WORLD struct sync_world world = {0};
		CLEANUP_SERVER struct live_server server = {.fault = LIVE_LOSES_SILENTLY, .fault_take = take};
		struct live_options live;

		sync_world_init(&world);
		live_server_init(&server, take);
		server.pause_us = 20;
		live = make_live(&server);
		must(send_live(&world, &server, &live, (struct sender_options){0}));
		differences += !is_equal(&world, &server);
	}
	assert_true(differences > 0);
}

static void test_written_while_frozen(void **state)
{
	CLEANUP_WORLD struct sync_world world = {0};
	CLEANUP_SERVER struct live_server server = {.writes_while_frozen = 1};
	struct live_options live;

	(void)state;
	sync_world_init(&world);
	live_server_init(&server, 1);
	live = make_live(&server);
	must_fail_with(send_live(&world, &server, &live, (struct sender_options){0}), "was written");
	assert_int_equal(world.finished, 0);
	assert_int_equal(server.thaws, 1);
	assert_false(server.is_frozen);
	/* The next time nobody does. */
	must(send_live(&world, &server, &live, (struct sender_options){0}));
	assert_captured(&world, &server);
}

static void find_own(void *arg, size_t disk, struct extents *ret_own)
{
	(void)arg;
	if (!disk)
		extents_add(ret_own, 0, LIVE_CELL_BYTES);
}

static struct err *send_with_own_writes(unsigned count, bool are_known, bool *ret_is_captured)
{
	CLEANUP_WORLD struct sync_world world = {0};
	CLEANUP_SERVER struct live_server server = {.own_writes = count};
	struct live_options live;
	struct err *err;

	sync_world_init(&world);
	live_server_init(&server, 1);
	server.source.find_own = are_known ? find_own : NULL;
	live = make_live(&server);
	err = send_live(&world, &server, &live, (struct sender_options){0});
	*ret_is_captured = world.finished && is_equal(&world, &server);
	return err;
}

/* What volumes write for themselves is brought over, until they have done. */
static void test_own_writes(void **state)
{
	bool is_captured;

	(void)state;
	must(send_with_own_writes(2, true, &is_captured));
	assert_true(is_captured);
	must_fail_with(send_with_own_writes(2, false, &is_captured), "while all file systems were frozen");
	assert_false(is_captured);
	must_fail_with(send_with_own_writes(1000, true, &is_captured), "cannot be told for certain");
	assert_false(is_captured);
}

/* A cutover that fails when it was ordered does not end the passes. */
static void test_ordered(void **state)
{
	CLEANUP_WORLD struct sync_world world = {0};
	CLEANUP_SERVER struct live_server server = {.freezes_that_fail = 2, .cut_over_pass = 3};
	struct live_options live;

	(void)state;
	sync_world_init(&world);
	live_server_init(&server, 1);
	live = make_live(&server);
	live.cuts_over = false;
	live.downtime_ns = 1;
	must(send_live(&world, &server, &live, (struct sender_options){0}));
	assert_captured(&world, &server);
	assert_int_equal(server.freezes, 3);
	assert_int_equal(server.thaws, 2);
	assert_int_equal(server.prepares, 3);
}

static bool is_over(void *arg)
{
	const struct live_server *server = arg;

	return server->thaws > 0;
}

/* But for a server that has gone by then. */
static void test_ordered_once(void **state)
{
	CLEANUP_WORLD struct sync_world world = {0};
	CLEANUP_SERVER struct live_server server = {.freezes_that_fail = 1, .cut_over_pass = 3};
	struct live_options live;

	(void)state;
	sync_world_init(&world);
	live_server_init(&server, 1);
	server.source.is_over = is_over;
	live = make_live(&server);
	live.cuts_over = false;
	must_fail(send_live(&world, &server, &live, (struct sender_options){0}), 0);
	assert_int_equal(server.freezes, 1);
	assert_int_equal(server.thaws, 1);
	assert_int_equal(world.finished, 0);
}

static void test_ended(void **state)
{
	CLEANUP_WORLD struct sync_world world = {0};
	CLEANUP_SERVER struct live_server server = {.end_pass = 2};
	struct live_options live;

	(void)state;
	sync_world_init(&world);
	live_server_init(&server, 1);
	live = make_live(&server);
	live.cuts_over = false;
	must_fail_with(send_live(&world, &server, &live, (struct sender_options){0}), "before the cutover");
	assert_int_equal(world.finished, 0);
	assert_int_equal(server.freezes, 0);
}

static void test_not_converging(void **state)
{
	CLEANUP_WORLD struct sync_world world = {0};
	CLEANUP_SERVER struct live_server server = {0};
	struct live_options live;

	(void)state;
	sync_world_init(&world);
	live_server_init(&server, 1);
	server.pause_us = 0;
	live = make_live(&server);
	live.downtime_ns = 1;
	must_fail_with(send_live(&world, &server, &live, (struct sender_options){0}), "does not become less");
	assert_int_equal(world.finished, 0);
	assert_int_equal(server.freezes, 0);
}

/* Comparing everything while it is frozen would take too long. */
static void test_uncertain_and_large(void **state)
{
	CLEANUP_WORLD struct sync_world world = {0};
	CLEANUP_SERVER struct live_server server = {.fault = LIVE_KNOWS_NOTHING};
	struct live_options live;

	(void)state;
	sync_world_init(&world);
	live_server_init(&server, 1);
	live = make_live(&server);
	live.freeze_limit_ns = 1;
	must_fail_with(send_live(&world, &server, &live, (struct sender_options){0}),
		       "not known for certain");
	assert_int_equal(world.finished, 0);
}

static void test_unused(void **state)
{
	CLEANUP_WORLD struct sync_world world = {0};
	CLEANUP_SERVER struct live_server server = {0};
	CLEANUP_SENDER_RESULT struct sender_result result = {0};
	struct live_options live;
	struct sender_disk disks[LIVE_DISKS];

	(void)state;
	sync_world_init(&world);
	live_server_init(&server, 1);
	extents_add(&server.used[0], 0, 4 * MIB);
	extents_add(&server.used[1], 0, 2 * MIB);
	for (size_t i = 0; i < LIVE_DISKS; i++)
		disks[i] = (struct sender_disk){server.disks[i], i ? "b" : "a"};
	server.pause_us = 20000;
	live = make_live(&server);
	must(sync_world_send(&world, disks, LIVE_DISKS, (struct sender_options){.live = &live}, &result));
	assert_true(result.read_bytes < 12 * MIB);
	assert_false(sync_world_is_equal(&world, 0, server.disks[0]));
	assert_int_equal(world.finished, LIVE_DISKS);
}

/* Cuts anywhere: nothing is committed with a difference, the server goes on, and the end is equal. */
static void test_cuts(void **state)
{
	CLEANUP_WORLD struct sync_world world = {0};
	CLEANUP_SERVER struct live_server server = {0};
	uint64_t random = 88172645463325252ull;
	unsigned failures = 0;
	struct live_options live;

	(void)state;
	sync_world_init(&world);
	live_server_init(&server, 1);
	live = make_live(&server);
	for (unsigned i = 0; i < 10 * rounds(); i++) {
		struct err *err;

		random = random * 6364136223846793005ull + 1442695040888963407ull;
		world.fault = LINE_CUT;
		world.fault_after_bytes = (random >> 30) % (i % 2 ? 30 * MIB : 4 * MIB);
		world.finished = 0;
		err = send_live(&world, &server, &live, (struct sender_options){.lanes = 3});
		failures += !!err;
		if (!err) {
			assert_captured(&world, &server);
			server.source.thaw(&server, err_nomem());
		}
		assert_false(server.is_frozen && err && !server.checks);
		if (server.is_frozen)
			server.source.thaw(&server, err);
		err_free(err);
		sync_world_settle(&world);
	}
	assert_true(failures > 0);
	world.fault = LINE_SOUND;
	world.finished = 0;
	must(send_live(&world, &server, &live, (struct sender_options){0}));
	assert_captured(&world, &server);
}

static void test_forecast(void **state)
{
	struct forecast forecast = {0};

	(void)state;
	assert_true(isinf(forecast_downtime(&forecast, 1)));
	forecast_learn_pass(&forecast, 1000, 0.25);
	forecast_learn_freeze(&forecast, 0.5);
	assert_float_equal(forecast_downtime(&forecast, MIB), 0.75, 0.01);
	assert_true(isinf(forecast_downtime(&forecast, 100 * MIB)));
	forecast_learn_pass(&forecast, 100 * MIB, 1.25);
	assert_float_equal(forecast_downtime(&forecast, 200 * MIB), 2.75, 0.01);
	/* It learns. */
	for (unsigned i = 0; i < 20; i++)
		forecast_learn_pass(&forecast, 100 * MIB, 10.25);
	assert_float_equal(forecast_downtime(&forecast, 100 * MIB), 10.75, 0.1);

	forecast_learn_rest(&forecast, 1000);
	forecast_learn_rest(&forecast, 5000);
	assert_true(forecast_is_converging(&forecast));
	forecast_learn_rest(&forecast, 950);
	assert_false(forecast_is_converging(&forecast));
	forecast_learn_rest(&forecast, 800);
	assert_true(forecast_is_converging(&forecast));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forecast),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_lost_changes),
		cmocka_unit_test(test_silent_loss),
		cmocka_unit_test(test_written_while_frozen),
		cmocka_unit_test(test_own_writes),
		cmocka_unit_test(test_ordered),
		cmocka_unit_test(test_ordered_once),
		cmocka_unit_test(test_ended),
		cmocka_unit_test(test_not_converging),
		cmocka_unit_test(test_uncertain_and_large),
		cmocka_unit_test(test_unused),
		cmocka_unit_test(test_cuts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
