// SPDX-License-Identifier: GPL-3.0-or-later
/* While a server works its disks are read at the lowest priority and with pauses; when it is frozen, as fast
 * as can be. */
#include <linux/ioprio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "p2v/sync/sender-impl.h"
#include "tests/sync/lib-live-disk.h"
#include "tests/sync/lib-sync-world.h"

#define CLEANUP_WORLD CLEANUP(sync_world_deinit)
#define CLEANUP_SERVER CLEANUP(live_server_deinit)
#define NS_PER_MS 1000000ull

static bool is_idle_class(void)
{
	return IOPRIO_PRIO_CLASS(syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0)) == IOPRIO_CLASS_IDLE;
}

static void test_thread(void **state)
{
	int niceness = getpriority(PRIO_PROCESS, 0);
	struct gentle gentle;

	(void)state;
	if (niceness > 0)
		skip(); /* nobody but root may become less nice again */
	gentle_init(&gentle);
	assert_false(is_idle_class());
	gentle_set(&gentle, true);
	assert_true(is_idle_class());
	assert_true(getpriority(PRIO_PROCESS, 0) > niceness);
	gentle_set(&gentle, false);
	if (geteuid())
		skip();
	assert_false(is_idle_class());
	assert_int_equal(getpriority(PRIO_PROCESS, 0), niceness);
}

static void test_pauses(void **state)
{
	static const struct {
		unsigned level;
		uint64_t took_ns, pause_ns;
	} cases[] = {
		{0, 5 * NS_PER_MS, 0},
		{1, 5 * NS_PER_MS, 5 * NS_PER_MS},
		{16, 5 * NS_PER_MS, 80 * NS_PER_MS},
		{16, 0, 0},
		{16, 10000 * NS_PER_MS, 1000 * NS_PER_MS},
		{16, UINT64_MAX, 1000 * NS_PER_MS},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_int_equal(gentle_pause_ns(cases[i].level, cases[i].took_ns), cases[i].pause_ns);
}

/* A disk that looks at who reads it. */
struct watched {
	struct blk blk;
	struct live_server *server;
	struct blk *disk;
	atomic_uint idle[2], other[2]; /* reads, while the server works, and while it is frozen */
};

static struct err *watched_pread(struct blk *blk, void *buf, size_t len_bytes, uint64_t offset)
{
	struct watched *watched = (struct watched *)blk;

	(*(is_idle_class() ? &watched->idle : &watched->other))[watched->server->is_frozen]++;
	return blk_pread(watched->disk, buf, len_bytes, offset);
}

static const struct blk_ops watched_ops = {.kind = "watched", .pread = watched_pread};

static void watch(struct watched *watched, struct live_server *server, size_t disk)
{
	*watched =
		(struct watched){.blk = *server->disks[disk], .server = server, .disk = server->disks[disk]};
	watched->blk.ops = &watched_ops;
}

static unsigned hold_back(void *arg)
{
	struct live_server *server = arg;

	server->hold_backs++;
	server->hold_backs_frozen += server->is_frozen;
	return 2;
}

static void test_live(void **state)
{
	CLEANUP_WORLD struct sync_world world = {0};
	CLEANUP_SERVER struct live_server server = {0};
	CLEANUP_SENDER_RESULT struct sender_result result = {0};
	struct live_options live = {
		.source = &server.source,
		.downtime_ns = 20000 * NS_PER_MS,
		.freeze_limit_ns = 60000 * NS_PER_MS,
		.pause_ns = 5 * NS_PER_MS,
		.cuts_over = true,
	};
	struct watched watched[LIVE_DISKS];
	struct sender_disk disks[LIVE_DISKS];
	struct err *err;

	(void)state;
	if (geteuid())
		skip();
	sync_world_init(&world);
	live_server_init(&server, 1);
	server.source.hold_back = hold_back;
	for (size_t i = 0; i < LIVE_DISKS; i++) {
		watch(&watched[i], &server, i);
		disks[i] = (struct sender_disk){&watched[i].blk, i ? "b" : "a"};
	}
	err = sync_world_send(&world, disks, LIVE_DISKS, (struct sender_options){.live = &live}, &result);
	if (err)
		fail_msg("%s", err_message(err));
	assert_true(watched[0].idle[false] > 0 && watched[1].idle[false] > 0);
	assert_int_equal(watched[0].other[false] + watched[1].other[false], 0);
	assert_true(watched[0].other[true] + watched[1].other[true] > 0);
	assert_int_equal(watched[0].idle[true] + watched[1].idle[true], 0);
	assert_true(server.hold_backs > 0);
	assert_int_equal(server.hold_backs_frozen, 0);
	assert_true(sync_world_is_equal(&world, 0, server.disks[0]));
}

/* A server that is not in use is read as fast as can be. */
static void test_at_rest(void **state)
{
	CLEANUP_WORLD struct sync_world world = {0};
	CLEANUP_SERVER struct live_server server = {0};
	CLEANUP_SENDER_RESULT struct sender_result result = {0};
	struct watched watched;
	struct sender_disk disk = {&watched.blk, "a"};
	struct err *err;

	(void)state;
	sync_world_init(&world);
	live_server_init(&server, 1);
	server.ends = true;
	watch(&watched, &server, 0);
	err = sync_world_send(&world, &disk, 1, (struct sender_options){0}, &result);
	if (err)
		fail_msg("%s", err_message(err));
	assert_true(watched.other[false] > 0);
	assert_int_equal(watched.idle[false], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_thread),
		cmocka_unit_test(test_pauses),
		cmocka_unit_test(test_live),
		cmocka_unit_test(test_at_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
