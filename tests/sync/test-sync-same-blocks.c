/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Two lanes that send the same block, in a round each of the receiver's writer: the
 * second must not be written before the first has been settled, else the older hash
 * is recorded for the newer content, and a cut then leaves a manifest that knows
 * what is not so (wait_for_same_blocks() in receiver-writer.c).
 *
 * The copy holds the first flush back until the second write comes, or long enough
 * for it to come if nothing keeps it; and fails the second flush, which is the cut.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "p2v/sync/manifest.h"
#include "tests/sync/lib-sync-world.h"

#define BLOCK WIRE_MIN_BLOCK_BYTES
#define DISK_BYTES (64ull * BLOCK)
#define HOLD_SECONDS 2

struct gate {
	struct blk blk;
	struct blk *inner;
	pthread_mutex_t lock; /* what follows */
	pthread_cond_t changed;
	unsigned writes, flushes; /* flushes from the first write on */
};

static struct gate *to_gate(struct blk *blk)
{
	return (struct gate *)blk;
}

static struct err *gate_pread(struct blk *blk, void *buf, size_t len_bytes, uint64_t offset)
{
	return blk_pread(to_gate(blk)->inner, buf, len_bytes, offset);
}

static struct err *gate_pwrite(struct blk *blk, const void *buf, size_t len_bytes, uint64_t offset,
			       unsigned flags)
{
	struct gate *gate = to_gate(blk);
	struct err *err = blk_pwrite(gate->inner, buf, len_bytes, offset, flags);
	LOCKED(&gate->lock);

	gate->writes++;
	pthread_cond_broadcast(&gate->changed);
	return err;
}

static struct err *gate_flush(struct blk *blk)
{
	struct gate *gate = to_gate(blk);
	struct timespec until;
	LOCKED(&gate->lock);

	if (!gate->writes)
		return NULL;
	if (gate->flushes++)
		return err_from_errno(EIO, "the disk is gone");
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += HOLD_SECONDS;
	while (gate->writes < 2)
		if (pthread_cond_timedwait(&gate->changed, &gate->lock, &until) == ETIMEDOUT)
			break;
	return NULL;
}

static struct err *gate_close(struct blk *blk)
{
	struct gate *gate = to_gate(blk);
	struct err *err = blk_close(gate->inner);

	pthread_cond_destroy(&gate->changed);
	pthread_mutex_destroy(&gate->lock);
	free(gate);
	return err;
}

static const struct blk_ops gate_ops = {
	.kind = "gate",
	.pread = gate_pread,
	.pwrite = gate_pwrite,
	.flush = gate_flush,
	.close = gate_close,
};

static struct blk *put_gate(struct blk *copy)
{
	struct gate *gate = xcalloc(1, sizeof *gate);

	gate->blk = *copy;
	gate->blk.ops = &gate_ops;
	gate->inner = copy;
	pthread_mutex_init(&gate->lock, NULL);
	pthread_cond_init(&gate->changed, NULL);
	return &gate->blk;
}

static struct channel *come(struct sync_world *world, enum wire_purpose purpose, struct message *message)
{
	struct message_hello hello = {WIRE_OLDEST_VERSION, WIRE_VERSION, purpose, {0}};
	struct channel *channel;

	if (purpose == WIRE_LANE)
		memcpy(hello.token, message->welcome.token, WIRE_TOKEN_BYTES);
	channel = sync_world_say_hello(world, hello);
	assert_null(channel_receive(channel, CHANNEL_TYPE(WIRE_WELCOME), message, NULL));
	return channel;
}

/* One version of one block, to be made durable. */
static void send_version(struct channel *lane, const uint8_t *hash_key, uint64_t seed)
{
	const struct message sync = {.type = WIRE_SYNC};
	CLEANUP_FREE uint8_t *content = xmalloc(BLOCK);
	wire_hash hash;
	const struct message data = {
		.type = WIRE_DATA,
		.data = {.block_count = 1,
			 .first_block = 2,
			 .hashes = &hash,
			 .payload = content,
			 .payload_bytes = BLOCK},
	};

	sync_fill_random(content, BLOCK, seed);
	hash_blocks(hash_key, content, BLOCK, BLOCK, &hash);
	assert_null(channel_send(lane, &data));
	assert_null(channel_send(lane, &sync));
}

/* The manifest knows nothing of the block, or what it is. */
static void judge(struct sync_world *world, const uint8_t *hash_key)
{
	CLEANUP_FREE char *folder = xasprintf("%s/job", scratch_path(world->scratch));
	CLEANUP_FREE char *path = xasprintf("%s/disk0.manifest", folder);
	CLEANUP_FREE char *copy_path = xasprintf("%s/disk0.raw", folder);
	CLEANUP_FREE uint8_t *content = xmalloc(BLOCK);
	CLEANUP_MANIFEST struct manifest *manifest = NULL;
	CLEANUP_BLK struct blk *copy = NULL;
	wire_hash known, found;

	assert_null(manifest_open(path, DISK_BYTES, BLOCK, &manifest));
	assert_null(blk_file_open(copy_path, 0, 0, &copy));
	assert_null(manifest_read(manifest, 2, 1, &known));
	assert_null(blk_pread(copy, content, BLOCK, 2 * BLOCK));
	hash_blocks(hash_key, content, BLOCK, BLOCK, &found);
	assert_true(hash_equal(known, hash_in_doubt) || hash_equal(known, found));
}

static void test_same_block_in_the_next_round(void **state)
{
	CLEANUP_WORLD struct sync_world world = {.wrap_copy = put_gate};
	CLEANUP_FREE struct message *message = xcalloc(1, sizeof *message);
	struct message job = {.type = WIRE_JOB, .job = {.name = "job", .name_bytes = 3, .disk_count = 1}};
	uint8_t hash_key[WIRE_HASH_KEY_BYTES], token[WIRE_TOKEN_BYTES];
	struct channel *control, *lanes[2];
	struct err *err;

	(void)state;
	sync_world_init(&world);
	job.job.disks[0] = (struct message_disk){DISK_BYTES, 0, BLOCK, 512, 4096, "disk", 4};
	control = come(&world, WIRE_CONTROL, message);
	memcpy(token, message->welcome.token, sizeof token);
	{
		CLEANUP_FREE struct message *ready = xcalloc(1, sizeof *ready);

		assert_null(channel_send(control, &job));
		assert_null(channel_receive(control, CHANNEL_TYPE(WIRE_READY), ready, NULL));
		memcpy(hash_key, ready->ready.hash_key, sizeof hash_key);
	}
	lanes[0] = come(&world, WIRE_LANE, message);
	memcpy(message->welcome.token, token, sizeof token);
	lanes[1] = come(&world, WIRE_LANE, message);
	send_version(lanes[0], hash_key, 1);
	/* Rounds of their own: the first has been taken by now. */
	while (!world.begun)
		nanosleep(&(struct timespec){0, 1000000}, NULL);
	send_version(lanes[1], hash_key, 2);
	/* The first is durable, the second one never. */
	assert_null(channel_receive(lanes[0], CHANNEL_TYPE(WIRE_DURABLE), message, NULL));
	assert_int_equal(message->durable, 1);
	err = channel_receive(lanes[1], CHANNEL_TYPE(WIRE_DURABLE), message, NULL);
	assert_non_null(err);
	err_free(err);
	channel_destroy(lanes[0]);
	channel_destroy(lanes[1]);
	channel_destroy(control);
	sync_world_settle(&world);
	judge(&world, hash_key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_block_in_the_next_round)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
