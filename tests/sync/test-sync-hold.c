/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a job is that is held: all of it is there, nothing is complete, and what ends that (wire.h, 6). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "tests/base/lib-must.h"
#include "tests/sync/lib-live-disk.h"
#include "tests/sync/lib-sync-liar.h"

enum job_state { JOB_OPEN, JOB_HELD, JOB_COMPLETE };

static enum job_state job_state(struct liar *liar)
{
	CLEANUP_FREE char *folder = xasprintf("%s/job", scratch_path(liar->world.scratch));
	CLEANUP_CHECKPOINT struct checkpoint job = {0};

	assert_null(checkpoint_load(folder, &job));
	assert_false(job.complete && job.held_since);
	return job.complete ? JOB_COMPLETE : job.held_since ? JOB_HELD : JOB_OPEN;
}

/* Some content, held; the receiver has completed nothing. */
static void hold(struct liar *liar)
{
	liar->version = WIRE_VERSION;
	liar_init(liar);
	liar_send_content(liar, false, 0);
	liar_commit(liar, WIRE_COMMIT_HOLD);
	assert_int_equal(job_state(liar), JOB_HELD);
	assert_int_equal(liar->world.finished, 0);
}

static void expect_refusal(struct liar *liar, const char *why)
{
	liar_expect_refusal(liar, liar->control, why);
}

/* Whatever the receiver was meanwhile: another session, another receiver. */
static void test_completed(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		CLEANUP_LIAR struct liar liar = {0};

		hold(&liar);
		if (i == 2)
			sync_world_restart(&liar.world);
		if (i)
			liar_come_again(&liar);
		assert_int_equal(job_state(&liar), JOB_HELD);
		liar_commit(&liar, 0);
		assert_int_equal(job_state(&liar), JOB_COMPLETE);
		assert_int_equal(liar.world.finished, 1);
		/* An answer that got lost is given again. */
		liar_come_again(&liar);
		liar_commit(&liar, 0);
		assert_int_equal(job_state(&liar), JOB_COMPLETE);
	}
}

/* What was complete is not while it is held: its server may go on. */
static void test_complete_is_held(void **state)
{
	CLEANUP_LIAR struct liar liar = {0};

	(void)state;
	hold(&liar);
	liar_commit(&liar, 0);
	liar_come_again(&liar);
	liar_commit(&liar, WIRE_COMMIT_HOLD | WIRE_COMMIT_VERIFY);
	assert_int_equal(job_state(&liar), JOB_HELD);
	assert_int_equal(liar.world.begun, 2);
	liar_commit(&liar, 0);
	assert_int_equal(job_state(&liar), JOB_COMPLETE);
	assert_int_equal(liar.world.finished, 2);
}

/* What is there already ends nothing. */
static void test_ended_by_change(void **state)
{
	CLEANUP_LIAR struct liar liar = {0};

	(void)state;
	hold(&liar);
	liar_come_again(&liar);
	liar_send_content(&liar, true, 0);
	assert_int_equal(job_state(&liar), JOB_HELD);
	liar_send_content(&liar, false, 1);
	assert_int_equal(job_state(&liar), JOB_OPEN);
	/* And back: it is compared as any other. */
	liar_send_content(&liar, false, 1);
	assert_int_equal(job_state(&liar), JOB_OPEN);
	liar_commit(&liar, 0);
	assert_int_equal(job_state(&liar), JOB_COMPLETE);
}

/* Other roots than are held are compared with what is there. */
static void test_other_roots(void **state)
{
	CLEANUP_LIAR struct liar liar = {0};

	(void)state;
	hold(&liar);
	liar.hash[3] ^= 1;
	liar_say_commit(&liar, 0);
	expect_refusal(&liar, "differs from what was sent");
	assert_int_equal(job_state(&liar), JOB_HELD);
}

static void test_sender_goes_on(void **state)
{
	CLEANUP_LIAR struct liar liar = {0};
	CLEANUP_ERR struct err *why = err_failed("it took too long");

	(void)state;
	hold(&liar);
	channel_refuse(liar.control, WIRE_FAILED, why);
	sync_world_settle(&liar.world);
	assert_int_equal(job_state(&liar), JOB_OPEN);
}

static void test_lost_line_ends_nothing(void **state)
{
	CLEANUP_LIAR struct liar liar = {0};

	(void)state;
	hold(&liar);
	channel_interrupt(liar.control);
	sync_world_settle(&liar.world);
	assert_int_equal(job_state(&liar), JOB_HELD);
}

static void test_rules(void **state)
{
	const struct message machine = {.type = WIRE_MACHINE, .machine = {(const uint8_t *)"{}", 2}};

	(void)state;
	{
		CLEANUP_LIAR struct liar liar = {0};

		hold(&liar);
		liar_say_commit(&liar, WIRE_COMMIT_HOLD);
		expect_refusal(&liar, "to hold what is held");
		assert_int_equal(job_state(&liar), JOB_HELD);
	}
	{
		CLEANUP_LIAR struct liar liar = {0};

		hold(&liar);
		assert_null(channel_send(liar.control, &machine));
		expect_refusal(&liar, "MACHINE: it is not its time");
	}
	{
		CLEANUP_LIAR struct liar liar = {.version = WIRE_HOLD_VERSION - 1};

		liar_init(&liar);
		liar_send_content(&liar, false, 0);
		liar_say_commit(&liar, WIRE_COMMIT_HOLD);
		expect_refusal(&liar, "in a version that does not have that");
		assert_int_equal(job_state(&liar), JOB_OPEN);
	}
}

static struct err *refuse_to_keep(void *arg)
{
	(void)arg;
	return err_failed("was asked");
}

/* Says that it speaks the version before, and waits for the end. */
struct old_receiver {
	const struct key *key;
	int fds[2];
};

static void *be_old_receiver(void *arg)
{
	const struct old_receiver *receiver = arg;
	const struct message welcome = {.type = WIRE_WELCOME,
					.welcome = {WIRE_HOLD_VERSION - 1, 1, 4 << 20, {0}}};
	CLEANUP_FREE struct message *message = xmalloc(sizeof *message);
	CLEANUP_CHANNEL struct channel *channel = NULL;
	struct tls *tls;

	must(tls_accept(receiver->key, receiver->fds[1], receiver->fds[1], SYNC_ANSWER_LIMIT_NS, &tls));
	must(channel_create(tls, "the sender", &channel));
	must(channel_receive(channel, CHANNEL_TYPE(WIRE_HELLO), message, NULL));
	must(channel_send(channel, &welcome));
	err_free(channel_receive(channel, 0, message, NULL));
	assert_int_not_equal(message->type, WIRE_JOB);
	return NULL;
}

static struct err *connect_to_old(void *arg, int *ret_fd)
{
	const struct old_receiver *receiver = arg;

	*ret_fd = receiver->fds[0];
	return NULL;
}

/* It could only complete at once: so nothing begins. */
static void test_old_receiver(void **state)
{
	CLEANUP_KEY struct key *key = NULL;
	CLEANUP_SENDER_RESULT struct sender_result result = {0};
	CLEANUP(live_server_deinit) struct live_server server = {0};
	struct sender_disk disk = {.id = "disk"};
	struct old_receiver receiver;
	struct live_options live = {.source = &server.source};
	struct sender_options options = {.connect = connect_to_old,
					 .connect_arg = &receiver,
					 .name = "job",
					 .disks = &disk,
					 .disk_count = 1,
					 .live = &live};
	pthread_t thread;

	(void)state;
	live_server_init(&server, 1);
	server.source.keep = refuse_to_keep;
	disk.blk = server.disks[0];
	must(key_make(&key));
	receiver.key = options.key = key;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, receiver.fds), 0);
	assert_int_equal(pthread_create(&thread, NULL, be_old_receiver, &receiver), 0);
	must_fail_with(sender_run(&options, &result), "of an older version");
	pthread_join(thread, NULL);
}

/* Nobody else may change a job while a session has it. */
static void test_lock(void **state)
{
	CLEANUP_LIAR struct liar liar = {0};
	CLEANUP_FREE char *folder = NULL;
	CLEANUP_ERR struct err *err = NULL;
	CLEANUP_FD int fd = -1;

	(void)state;
	hold(&liar);
	folder = xasprintf("%s/job", scratch_path(liar.world.scratch));
	err = checkpoint_lock(folder, &fd);
	assert_non_null(err);
	channel_interrupt(liar.control);
	sync_world_settle(&liar.world);
	assert_null(checkpoint_lock(folder, &fd));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_completed),
		cmocka_unit_test(test_complete_is_held),
		cmocka_unit_test(test_ended_by_change),
		cmocka_unit_test(test_other_roots),
		cmocka_unit_test(test_sender_goes_on),
		cmocka_unit_test(test_lost_line_ends_nothing),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_old_receiver),
		cmocka_unit_test(test_lock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
