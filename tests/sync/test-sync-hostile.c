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
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zstd.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "p2v/sync/channel.h"
#include "tests/sync/lib-sync-world.h"

#define BLOCK (64u << 10)
#define DISK_BYTES ((8u << 20) + 512)
#define BLOCKS 129
#define LIMIT_NS 30000000000ull

/* A sender made by hand. */
struct liar {
	struct sync_world world;
	struct channel *control, *lane;
	struct message *message;
	uint8_t token[WIRE_TOKEN_BYTES];
	uint8_t hash_key[WIRE_HASH_KEY_BYTES];
	uint8_t content[BLOCK];
	wire_hash hash; /* of content */
};

static struct channel *say_hello(struct liar *liar, struct message_hello hello)
{
	struct message message = {.type = WIRE_HELLO, .hello = hello};
	struct channel *channel;
	struct tls *tls;
	int fd;

	assert_null(sync_world_connect(&liar->world, &fd));
	assert_null(tls_connect(liar->world.key, fd, fd, LIMIT_NS, &tls));
	assert_null(channel_create(tls, "the receiver", &channel));
	channel_set_limits(channel, LIMIT_NS, LIMIT_NS);
	assert_null(channel_send(channel, &message));
	return channel;
}

static void expect(struct liar *liar, struct channel *channel, enum wire_type type)
{
	struct err *err = channel_receive(channel, CHANNEL_TYPE(type), liar->message, NULL);

	if (err)
		fail_msg("%s", err_message(err));
}

static struct message job_message(void)
{
	struct message message = {.type = WIRE_JOB, .job = {.name = "job", .name_bytes = 3, .disk_count = 1}};

	message.job.disks[0] = (struct message_disk){DISK_BYTES, 0, BLOCK, 512, 4096, "disk", 4};
	return message;
}

static void open_connections(struct liar *liar)
{
	const struct message job = job_message();
	struct message_hello hello = {WIRE_OLDEST_VERSION, WIRE_OLDEST_VERSION, WIRE_CONTROL, {0}};

	liar->control = say_hello(liar, hello);
	expect(liar, liar->control, WIRE_WELCOME);
	memcpy(hello.token, liar->message->welcome.token, sizeof hello.token);
	memcpy(liar->token, hello.token, sizeof liar->token);
	assert_null(channel_send(liar->control, &job));
	expect(liar, liar->control, WIRE_READY);
	memcpy(liar->hash_key, liar->message->ready.hash_key, sizeof liar->hash_key);
	hash_blocks(liar->hash_key, liar->content, BLOCK, BLOCK, &liar->hash);
	hello.purpose = WIRE_LANE;
	liar->lane = say_hello(liar, hello);
	expect(liar, liar->lane, WIRE_WELCOME);
}

static void liar_init(struct liar *liar)
{
	sync_world_init(&liar->world);
	liar->message = xmalloc(sizeof *liar->message);
	sync_fill_random(liar->content, sizeof liar->content, 1);
	open_connections(liar);
}

static void liar_deinit(struct liar *liar)
{
	channel_destroy(liar->lane);
	channel_destroy(liar->control);
	free(liar->message);
	sync_world_deinit(&liar->world);
}
#define CLEANUP_LIAR CLEANUP(liar_deinit)

/* The receiver ends this connection, says why, and logs it. */
static void expect_refusal(struct liar *liar, struct channel *channel, const char *why)
{
	CLEANUP_ERR struct err *err = NULL;

	do {
		err_free(err);
		err = channel_receive(channel, CHANNEL_TYPE(WIRE_DURABLE) | CHANNEL_TYPE(WIRE_HASHES),
				      liar->message, NULL);
	} while (!err);
	if (!strstr(err_message(err), why))
		fail_msg("'%s' is not in '%s'", why, err_message(err));
	channel_interrupt(channel);
	channel_interrupt(liar->control);
	sync_world_settle(&liar->world);
	assert_true(liar->world.warnings > 0);
	assert_int_equal(liar->world.finished, 0);
}

/* An honest sender of the same job is served as if nothing had been. */
static void expect_service(struct liar *liar)
{
	CLEANUP_BLK struct blk *disk = NULL;
	CLEANUP_SENDER_RESULT struct sender_result result = {0};
	struct sender_disk disks[1];

	assert_null(blk_mem_create(DISK_BYTES, &disk));
	sync_write_random(disk, 100, 5000, 3);
	disks[0] = (struct sender_disk){disk, "disk"};
	assert_null(sync_world_send(&liar->world, disks, 1, (struct sender_options){.flags = SENDER_VERIFY},
				    &result));
	assert_true(sync_world_is_equal(&liar->world, 0, disk));
}

/* What a lane says. */
static void test_lane_lies(void **state)
{
	static const struct {
		struct message message; /* DATA gets content and hash of one sound block */
		const char *why;
	} cases[] = {
		{{.type = WIRE_DATA, .data = {.disk = 1, .block_count = 1}}, "behind the end"},
		{{.type = WIRE_DATA, .data = {.disk = UINT32_MAX, .block_count = 1}}, "behind the end"},
		{{.type = WIRE_DATA, .data = {.block_count = 1, .first_block = BLOCKS}}, "behind the end"},
		{{.type = WIRE_DATA, .data = {.block_count = 1, .first_block = UINT64_MAX}},
		 "behind the end"},
		{{.type = WIRE_DATA, .data = {.block_count = 1, .first_block = BLOCKS - 1}}, "wrong amount"},
		{{.type = WIRE_DATA, .data = {.block_count = 1, .encoding = WIRE_ZSTD}}, "wrong amount"},
		{{.type = WIRE_ZERO, .zero = {1, 0, 1}}, "behind the end"},
		{{.type = WIRE_ZERO, .zero = {0, BLOCKS, 1}}, "behind the end"},
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
			message.data.payload_bytes = BLOCK;
		}
		assert_null(channel_send(liar.lane, &message));
		expect_refusal(&liar, liar.lane, cases[i].why);
		expect_service(&liar);
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
		data->payload_bytes = BLOCK;
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
					  : ZSTD_compress(packed, 1 << 20, liar.content, BLOCK, 1);
		}
		if (i == DAMAGED)
			packed[data->payload_bytes / 2] ^= 0x20;
		assert_null(channel_send(liar.lane, &message));
		expect_refusal(&liar, liar.lane, whys[i]);
		expect_service(&liar);
	}
}

static void test_control_lies(void **state)
{
	static const struct root roots[2] = {{{1}}};
	const struct message messages[] = {
		{.type = WIRE_COMMIT, .commit = {0, roots, 1}},
		{.type = WIRE_COMMIT, .commit = {WIRE_COMMIT_VERIFY, roots, 2}},
		job_message(),
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
		expect_refusal(&liar, liar.control, whys[i]);
		expect_service(&liar);
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
		CLEANUP_CHANNEL struct channel *channel = say_hello(&liar, cases[i].hello);
		CLEANUP_ERR struct err *err =
			channel_receive(channel, CHANNEL_TYPE(WIRE_WELCOME), liar.message, NULL);

		assert_non_null(err);
		assert_non_null(strstr(err_message(err), cases[i].why));
	}
	expect_service(&liar);
}

/* Names that would be paths, and disks that nobody has: nothing is made of them. */
static void test_job_lies(void **state)
{
	static const char *const names[] = {"..", ".", "../x", "a/b", "", ".x"};

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names + 2; i++) {
		CLEANUP_LIAR struct liar liar = {0};
		struct message job = job_message();
		CLEANUP_CHANNEL struct channel *channel = NULL;
		CLEANUP_FREE char *escaped = NULL;
		struct err *err;

		liar_init(&liar);
		if (i < sizeof names / sizeof *names) {
			job.job.name = names[i];
			job.job.name_bytes = strlen(names[i]);
		} else if (i % 2) {
			job.job.disks[0].size_bytes = WIRE_MAX_DISK_BYTES + 512;
		} else {
			job.job.disks[0].block_bytes = 512;
		}
		channel = say_hello(&liar, (struct message_hello){1, 1, WIRE_CONTROL, {0}});
		expect(&liar, channel, WIRE_WELCOME);
		assert_null(channel_send(channel, &job));
		err = channel_receive(channel, CHANNEL_TYPE(WIRE_READY), liar.message, NULL);
		assert_non_null(err);
		assert_non_null(strstr(err_message(err), "broke the protocol"));
		err_free(err);
		escaped = xasprintf("%s/../x", scratch_path(liar.world.scratch));
		assert_int_not_equal(access(escaped, F_OK), 0);
		expect_service(&liar);
	}
}

static bool job_is_complete(struct liar *liar)
{
	CLEANUP_FREE char *folder = xasprintf("%s/job", scratch_path(liar->world.scratch));
	CLEANUP_CHECKPOINT struct checkpoint job = {0};

	assert_null(checkpoint_load(folder, &job));
	return job.complete;
}

/* One block of content, and all the rest zeros, in this order or the other; acknowledged. */
static void send_content(struct liar *liar, bool zeros_first, uint8_t change)
{
	struct message data = {.type = WIRE_DATA,
			       .data = {.block_count = 1,
					.first_block = 2,
					.hashes = &liar->hash,
					.payload = liar->content,
					.payload_bytes = BLOCK}};
	const struct message zeros = {.type = WIRE_ZERO, .zero = {0, 3, BLOCKS - 3}},
			     sync = {.type = WIRE_SYNC};

	liar->content[5] ^= change;
	hash_blocks(liar->hash_key, liar->content, BLOCK, BLOCK, &liar->hash);
	assert_null(channel_send(liar->lane, zeros_first ? &zeros : &data));
	assert_null(channel_send(liar->lane, zeros_first ? &data : &zeros));
	assert_null(channel_send(liar->lane, &sync));
	do {
		expect(liar, liar->lane, WIRE_DURABLE);
	} while (liar->message->durable % 2);
}

static void commit_content(struct liar *liar)
{
	wire_hash hashes[WIRE_PAGE_BLOCKS] = {{0}}, page;
	struct root root = {{0}};
	const struct message commit = {.type = WIRE_COMMIT, .commit = {0, &root, 1}};

	memcpy(hashes[2], liar->hash, sizeof liar->hash);
	hash_page(liar->hash_key, hashes, WIRE_PAGE_BLOCKS, page);
	root_add_page(&root, liar->hash_key, 0, 0, page);
	assert_null(channel_send(liar->control, &commit));
	do {
		struct err *err = channel_receive(liar->control,
						  CHANNEL_TYPE(WIRE_ALIVE) | CHANNEL_TYPE(WIRE_COMMITTED),
						  liar->message, NULL);

		if (err)
			fail_msg("%s", err_message(err));
	} while (liar->message->type == WIRE_ALIVE);
	assert_true(job_is_complete(liar));
}

static void come_again(struct liar *liar)
{
	channel_destroy(liar->lane);
	channel_destroy(liar->control);
	sync_world_settle(&liar->world);
	open_connections(liar);
}

/* What is there already may be sent again: a complete job stays one.  What changes it ends that. */
static void test_no_change(void **state)
{
	CLEANUP_LIAR struct liar liar = {0};

	(void)state;
	liar_init(&liar);
	send_content(&liar, false, 0);
	assert_false(job_is_complete(&liar));
	commit_content(&liar);
	assert_int_equal(liar.world.begun, 1);
	for (unsigned i = 0; i < 4; i++) {
		come_again(&liar);
		send_content(&liar, i % 2, 0);
		assert_true(job_is_complete(&liar));
		assert_int_equal(liar.world.begun, 1);
	}
	send_content(&liar, false, 1);
	assert_false(job_is_complete(&liar));
	assert_int_equal(liar.world.begun, 2);
	/* There and back: what was last counts. */
	send_content(&liar, false, 1);
	commit_content(&liar);
}

/* Many versions of one block that become durable together: the copy has the last one, as the manifest says.
 */
static void test_same_block(void **state)
{
	const struct message sync = {.type = WIRE_SYNC};
	CLEANUP_LIAR struct liar liar = {0};
	CLEANUP_BLK struct blk *disk = NULL;

	(void)state;
	liar_init(&liar);
	assert_null(blk_mem_create(DISK_BYTES, &disk));
	for (unsigned round = 0; round < 30; round++) {
		uint64_t sent = 0;

		for (; sent < 20; sent++) {
			struct message data = {.type = WIRE_DATA,
					       .data = {.block_count = 1,
							.first_block = 2,
							.hashes = &liar.hash,
							.payload = liar.content,
							.payload_bytes = BLOCK}};

			sync_fill_random(liar.content, BLOCK, 100 * round + sent);
			hash_blocks(liar.hash_key, liar.content, BLOCK, BLOCK, &liar.hash);
			assert_null(channel_send(liar.lane, &data));
		}
		assert_null(channel_send(liar.lane, &sync));
		do {
			expect(&liar, liar.lane, WIRE_DURABLE);
		} while (liar.message->durable < (round + 1) * sent);
		assert_null(blk_pwrite(disk, liar.content, BLOCK, 2 * BLOCK, 0));
		assert_true(sync_world_is_equal(&liar.world, 0, disk));
	}
	commit_content(&liar);
}

/* A lane that sends well-formed messages with bytes replaced, of all types, behind the handshake. */
static void test_fuzzed_streams(void **state)
{
	const char *count = getenv("P2V_SYNC_STREAMS");
	unsigned streams = count ? strtoul(count, NULL, 10) : 150;
	uint64_t random = 88172645463325252ull;
	CLEANUP_LIAR struct liar liar = {0};
	CLEANUP_FREE uint8_t *bytes = xmalloc(WIRE_MAX_HEAD_BYTES + BLOCK);
	struct message hello = {.type = WIRE_HELLO, .hello = {WIRE_VERSION, WIRE_VERSION, WIRE_LANE, {0}}};
	const struct timespec pause = {0, 1000000};

	(void)state;
	liar_init(&liar);
	memcpy(hello.hello.token, liar.token, sizeof liar.token);
	for (unsigned i = 0; i < streams; i++) {
		const struct message messages[] = {
			{.type = WIRE_DATA,
			 .data = {.block_count = 1,
				  .first_block = i % BLOCKS,
				  .hashes = &liar.hash,
				  .payload = liar.content,
				  .payload_bytes = BLOCK}},
			{.type = WIRE_ZERO, .zero = {0, i % BLOCKS, 1 + i % 50}},
			{.type = WIRE_QUERY, .query = {0, i % 2, 1 + i % 9, 0}},
			{.type = WIRE_SYNC},
			job_message(),
			{.type = WIRE_HELLO, .hello = {1, 1, WIRE_CONTROL, {0}}},
		};
		struct tls *tls;
		int fd;

		assert_null(sync_world_connect(&liar.world, &fd));
		assert_null(tls_connect(liar.world.key, fd, fd, LIMIT_NS, &tls));
		for (unsigned k = 0; k < 6; k++) {
			const struct message *message = k ? &messages[(i + k) % 6] : &hello;
			size_t length = wire_encode(message, bytes);
			struct err *err;

			if (message->type == WIRE_DATA) {
				memcpy(bytes + length, liar.content, BLOCK);
				length += BLOCK;
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
	expect_service(&liar);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lane_lies),    cmocka_unit_test(test_content_lies),
		cmocka_unit_test(test_control_lies), cmocka_unit_test(test_hello_lies),
		cmocka_unit_test(test_job_lies),     cmocka_unit_test(test_no_change),
		cmocka_unit_test(test_same_block),   cmocka_unit_test(test_fuzzed_streams),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
