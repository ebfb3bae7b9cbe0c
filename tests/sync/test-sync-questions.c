/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A long line costs its delay for several pages at once: this receiver, made by
 * hand, answers no question about blocks before it has been asked them all.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "tests/base/lib-must.h"
#include "tests/sync/lib-sync-world.h"

#define PAGES 4u
#define DISK_BYTES ((uint64_t)PAGES * WIRE_PAGE_BLOCKS * WIRE_MIN_BLOCK_BYTES)

struct late_receiver {
	const struct key *key;
	int ends[2][2]; /* of the control connection and the lane: the sender's, ours */
	unsigned connected;
	struct message *message; /* received */
	struct message_query questions[PAGES]; /* about blocks, all unanswered */
	size_t answered_blocks, got_blocks;
};

static struct channel *welcome(struct late_receiver *receiver, int fd)
{
	const struct message message = {.type = WIRE_WELCOME, .welcome = {WIRE_VERSION, 1, 4 << 20, {0}}};
	struct channel *channel;
	struct tls *tls;

	must(tls_accept(receiver->key, fd, fd, SYNC_ANSWER_LIMIT_NS, &tls));
	must(channel_create(tls, "the sender", &channel));
	channel_set_limits(channel, SYNC_ANSWER_LIMIT_NS, SYNC_ANSWER_LIMIT_NS);
	must(channel_receive(channel, CHANNEL_TYPE(WIRE_HELLO), receiver->message, NULL));
	must(channel_send(channel, &message));
	return channel;
}

static void accept_job(struct late_receiver *receiver, struct channel *control)
{
	static const uint8_t hash_key[WIRE_HASH_KEY_BYTES], flags[1];
	const struct message ready = {.type = WIRE_READY, .ready = {hash_key, flags, 1}};

	must(channel_receive(control, CHANNEL_TYPE(WIRE_JOB), receiver->message, NULL));
	must(channel_send(control, &ready));
}

/* All of it is something else here. */
static void answer(struct channel *lane, const struct message_query *query)
{
	CLEANUP_FREE wire_hash *hashes = xcalloc(query->count, sizeof *hashes);
	const struct message message = {.type = WIRE_HASHES, .hashes = {*query, hashes}};

	memset(hashes, 0x55, query->count * sizeof *hashes);
	must(channel_send(lane, &message));
}

static void *receive_late(void *arg)
{
	struct late_receiver *receiver = arg;
	CLEANUP_CHANNEL struct channel *control = welcome(receiver, receiver->ends[0][1]);
	CLEANUP_CHANNEL struct channel *lane = NULL;

	accept_job(receiver, control);
	lane = welcome(receiver, receiver->ends[1][1]);
	must(channel_receive(lane, CHANNEL_TYPE(WIRE_QUERY), receiver->message, NULL));
	answer(lane, &receiver->message->query);
	for (unsigned i = 0; i < PAGES; i++) {
		must(channel_receive(lane, CHANNEL_TYPE(WIRE_QUERY), receiver->message, NULL));
		receiver->questions[i] = receiver->message->query;
	}
	for (unsigned i = 0; i < PAGES; i++) {
		answer(lane, &receiver->questions[i]);
		receiver->answered_blocks += receiver->questions[i].count;
	}
	while (receiver->got_blocks < receiver->answered_blocks) {
		must(channel_receive(lane, CHANNEL_TYPE(WIRE_DATA), receiver->message, NULL));
		receiver->got_blocks += receiver->message->data.block_count;
	}
	return NULL;
}

static struct err *connect_late(void *arg, int *ret_fd)
{
	struct late_receiver *receiver = arg;

	*ret_fd = receiver->ends[receiver->connected++][0];
	return NULL;
}

static void test_questions_at_once(void **state)
{
	CLEANUP_KEY struct key *key = NULL;
	CLEANUP_BLK struct blk *blk = NULL;
	CLEANUP_FREE struct message *message = xmalloc(sizeof *message);
	struct late_receiver receiver = {.message = message};
	struct sender_disk disk = {.id = "disk"};
	struct sender_options options = {.connect = connect_late,
					 .connect_arg = &receiver,
					 .name = "job",
					 .disks = &disk,
					 .disk_count = 1,
					 .lanes = 1};
	CLEANUP_SENDER_RESULT struct sender_result result = {0};
	CLEANUP_ERR struct err *err = NULL;
	pthread_t thread;

	(void)state;
	must(key_make(&key));
	must(blk_mem_create(DISK_BYTES, &blk));
	sync_write_random(blk, 0, DISK_BYTES, 1);
	disk.blk = blk;
	receiver.key = options.key = key;
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, receiver.ends[i]), 0);
	assert_int_equal(pthread_create(&thread, NULL, receive_late, &receiver), 0);
	/* It is left alone when it has sent everything. */
	err = sender_run(&options, &result);
	assert_non_null(err);
	pthread_join(thread, NULL);
	assert_int_equal(receiver.got_blocks, PAGES * WIRE_PAGE_BLOCKS);
	assert_int_equal(result.content_bytes, DISK_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_questions_at_once)};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
