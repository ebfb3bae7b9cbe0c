/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Senders that have the key and lie: refused with a line in the log, nothing
 * completed, and the receiver serves the next one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zstd.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "tests/sync/lib-sync-liar.h"

/* What a lane says. */
static void test_lane_lies(void **state)
{
	static const struct {
		struct message message; /* DATA gets content and hash of one sound block */
		const char *why;
	} cases[] = {
		{{.type = WIRE_DATA, .data = {.disk = 1, .block_count = 1}}, "behind the end"},
		{{.type = WIRE_DATA, .data = {.disk = UINT32_MAX, .block_count = 1}}, "behind the end"},
		{{.type = WIRE_DATA, .data = {.block_count = 1, .first_block = LIAR_BLOCKS}},
		 "behind the end"},
		{{.type = WIRE_DATA, .data = {.block_count = 1, .first_block = UINT64_MAX}},
		 "behind the end"},
		{{.type = WIRE_DATA, .data = {.block_count = 1, .first_block = LIAR_BLOCKS - 1}},
		 "wrong amount"},
		{{.type = WIRE_DATA, .data = {.block_count = 1, .encoding = WIRE_ZSTD}}, "wrong amount"},
		{{.type = WIRE_ZERO, .zero = {1, 0, 1}}, "behind the end"},
		{{.type = WIRE_ZERO, .zero = {0, LIAR_BLOCKS, 1}}, "behind the end"},
		{{.type = WIRE_ZERO, .zero = {0, 1, UINT64_MAX}}, "behind the end"},
		{{.type = WIRE_QUERY, .query = {1, WIRE_PAGES, 1, 0}}, "no such disk"},
		{{.type = WIRE_QUERY, .query = {0, WIRE_PAGES, 1, 9}}, "behind the end"},
		{{.type = WIRE_QUERY, .query = {0, WIRE_BLOCKS, 130, 0}}, "behind the end"},
		{{.type = WIRE_QUERY, .query = {0, WIRE_BLOCKS, 2, UINT64_MAX}}, "behind the end"},
		{{.type = WIRE_ALIVE}, "not its time"},
		{{.type = WIRE_DURABLE, .durable = 1}, "not its time"},
		{{.type = WIRE_WELCOME, .welcome = {1, 1, 4 << 20, {0}}}, "not its time"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CLEANUP_LIAR struct liar liar = {0};
		struct message message = cases[i].message;

		liar_init(&liar);
		if (message.type == WIRE_DATA) {
			message.data.hashes = &liar.hash;
			message.data.payload = liar.content;
			message.data.payload_bytes = LIAR_BLOCK;
		}
		assert_null(channel_send(liar.lane, &message));
		liar_expect_refusal(&liar, liar.lane, cases[i].why);
		liar_expect_service(&liar);
	}
}

static void test_content_lies(void **state)
{
	enum { WRONG_HASH, TOO_SHORT, BOMB, DAMAGED, IN_DOUBT, CASES };
	static const char *const whys[] = {"not the hash", "wrong amount", "wrong amount",
					   "the protocol: DATA", "not the hash"};

	(void)state;
	for (unsigned i = 0; i < CASES; i++) {
		CLEANUP_LIAR struct liar liar = {0};
		CLEANUP_FREE uint8_t *bomb = xcalloc(1, 64 << 20), *packed = xmalloc(1 << 20);
		struct message message = {.type = WIRE_DATA, .data = {.block_count = 1, .first_block = 3}};
		struct message_data *data = &message.data;

		liar_init(&liar);
		data->hashes = &liar.hash;
		data->payload = liar.content;
		data->payload_bytes = LIAR_BLOCK;
		if (i == WRONG_HASH)
			liar.content[77] ^= 1;
		if (i == TOO_SHORT)
			data->payload_bytes--;
		if (i == IN_DOUBT)
			data->hashes = &hash_in_doubt;
		if (i == BOMB || i == DAMAGED) {
			data->encoding = WIRE_ZSTD;
			data->payload = packed;
			data->payload_bytes =
				i == BOMB ? ZSTD_compress(packed, 1 << 20, bomb, 64 << 20, 1)
					  : ZSTD_compress(packed, 1 << 20, liar.content, LIAR_BLOCK, 1);
		}
		if (i == DAMAGED)
			packed[data->payload_bytes / 2] ^= 0x20;
		assert_null(channel_send(liar.lane, &message));
		liar_expect_refusal(&liar, liar.lane, whys[i]);
		liar_expect_service(&liar);
	}
}

static void test_control_lies(void **state)
{
	static const struct root roots[2] = {{{1}}};
	const struct message messages[] = {
		{.type = WIRE_COMMIT, .commit = {0, roots, 1}},
		{.type = WIRE_COMMIT, .commit = {WIRE_COMMIT_VERIFY, roots, 2}},
		liar_job(),
		{.type = WIRE_HELLO, .hello = {1, 1, WIRE_CONTROL, {0}}},
		{.type = WIRE_DATA,
		 .data = {.block_count = 1,
			  .hashes = &hash_zero,
			  .payload = (const uint8_t *)"x",
			  .payload_bytes = 1}},
	};
	static const char *const whys[] = {"differs from what was sent", "another number of disks",
					   "not its time", "not its time", "not its time"};

	(void)state;
	for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
		CLEANUP_LIAR struct liar liar = {0};

		liar_init(&liar);
		assert_null(channel_send(liar.control, &messages[i]));
		liar_expect_refusal(&liar, liar.control, whys[i]);
		liar_expect_service(&liar);
	}
}

static void test_hello_lies(void **state)
{
	static const struct {
		struct message_hello hello;
		const char *why;
	} cases[] = {
		{{WIRE_VERSION + 1, 9, WIRE_CONTROL, {0}}, "another version"},
		{{0, 0, WIRE_LANE, {0}}, "another version"},
		{{1, 1, WIRE_LANE, {0}}, "no such session"},
		{{1, 1, WIRE_LANE, {1, 2, 3}}, "no such session"},
	};
	CLEANUP_LIAR struct liar liar = {0};

	(void)state;
	liar_init(&liar);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CLEANUP_CHANNEL struct channel *channel = sync_world_say_hello(&liar.world, cases[i].hello);
		CLEANUP_ERR struct err *err =
			channel_receive(channel, CHANNEL_TYPE(WIRE_WELCOME), liar.message, NULL);

		assert_non_null(err);
		assert_non_null(strstr(err_message(err), cases[i].why));
	}
	liar_expect_service(&liar);
}

/* Names that would be paths, and disks that nobody has: nothing is made of them. */
static void test_job_lies(void **state)
{
	static const char *const names[] = {"..", ".", NULL, "a/b", "", ".x"};

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names + 2; i++) {
		CLEANUP_LIAR struct liar liar = {0};
		struct message job = liar_job();
		CLEANUP_CHANNEL struct channel *channel = NULL;
		CLEANUP_FREE char *outside = NULL;
		CLEANUP_FREE char *path = NULL;
		struct err *err;

		liar_init(&liar);
		/* Beside the receiver's folder, where nobody else has one of this name. */
		path = xasprintf("%s.x", scratch_path(liar.world.scratch));
		outside = xasprintf("..%s", strrchr(path, '/'));
		if (i < sizeof names / sizeof *names) {
			job.job.name = names[i] ? names[i] : outside;
			job.job.name_bytes = strlen(job.job.name);
		} else if (i % 2) {
			job.job.disks[0].size_bytes = WIRE_MAX_DISK_BYTES + 512;
		} else {
			job.job.disks[0].block_bytes = 512;
		}
		channel = sync_world_say_hello(&liar.world, (struct message_hello){1, 1, WIRE_CONTROL, {0}});
		liar_expect(&liar, channel, WIRE_WELCOME);
		assert_null(channel_send(channel, &job));
		err = channel_receive(channel, CHANNEL_TYPE(WIRE_READY), liar.message, NULL);
		assert_non_null(err);
		assert_non_null(strstr(err_message(err), "broke the protocol"));
		err_free(err);
		assert_int_not_equal(access(path, F_OK), 0);
		liar_expect_service(&liar);
	}
}

/* A lane that sends well-formed messages with bytes replaced, of all types, behind the handshake. */
static void test_fuzzed_streams(void **state)
{
	const char *count = getenv("P2V_SYNC_STREAMS");
	unsigned streams = count ? strtoul(count, NULL, 10) : 150;
	uint64_t random = 88172645463325252ull;
	CLEANUP_LIAR struct liar liar = {0};
	CLEANUP_FREE uint8_t *bytes = xmalloc(WIRE_MAX_HEAD_BYTES + LIAR_BLOCK);
	struct message hello = {.type = WIRE_HELLO, .hello = {WIRE_VERSION, WIRE_VERSION, WIRE_LANE, {0}}};
	const struct timespec pause = {0, 1000000};

	(void)state;
	liar_init(&liar);
	memcpy(hello.hello.token, liar.token, sizeof liar.token);
	for (unsigned i = 0; i < streams; i++) {
		const struct message messages[] = {
			{.type = WIRE_DATA,
			 .data = {.block_count = 1,
				  .first_block = i % LIAR_BLOCKS,
				  .hashes = &liar.hash,
				  .payload = liar.content,
				  .payload_bytes = LIAR_BLOCK}},
			{.type = WIRE_ZERO, .zero = {0, i % LIAR_BLOCKS, 1 + i % 50}},
			{.type = WIRE_QUERY, .query = {0, i % 2, 1 + i % 9, 0}},
			{.type = WIRE_SYNC},
			liar_job(),
			{.type = WIRE_HELLO, .hello = {1, 1, WIRE_CONTROL, {0}}},
		};
		struct tls *tls;
		int fd;

		assert_null(sync_world_connect(&liar.world, &fd));
		assert_null(tls_connect(liar.world.key, fd, fd, SYNC_ANSWER_LIMIT_NS, &tls));
		for (unsigned k = 0; k < 6; k++) {
			const struct message *message = k ? &messages[(i + k) % 6] : &hello;
			size_t length = wire_encode(message, bytes);
			struct err *err;

			if (message->type == WIRE_DATA) {
				memcpy(bytes + length, liar.content, LIAR_BLOCK);
				length += LIAR_BLOCK;
			}
			for (unsigned flips = k ? i % 4 : 0; flips; flips--) {
				random ^= random << 13;
				random ^= random >> 7;
				random ^= random << 17;
				bytes[random % (length < 64 ? length : 64)] ^= 1 << (random >> 60) % 8;
			}
			err = tls_write(tls, bytes, length);
			err_free(err);
		}
		tls_destroy(tls);
		/* So that there is room for the next lane. */
		while (liar.world.connections > 2)
			nanosleep(&pause, NULL);
	}
	channel_interrupt(liar.lane);
	channel_interrupt(liar.control);
	sync_world_settle(&liar.world);
	assert_int_equal(liar.world.finished, 0);
	assert_true(liar.world.warnings >= streams);
	liar_expect_service(&liar);
}
int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lane_lies),    cmocka_unit_test(test_content_lies),
		cmocka_unit_test(test_control_lies), cmocka_unit_test(test_hello_lies),
		cmocka_unit_test(test_job_lies),     cmocka_unit_test(test_fuzzed_streams),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
