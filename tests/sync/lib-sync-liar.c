/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/sync/lib-sync-liar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "tests/base/lib-must.h"

void liar_expect(struct liar *liar, struct channel *channel, enum wire_type type)
{
	struct err *err = channel_receive(channel, CHANNEL_TYPE(type), liar->message, NULL);

	if (err)
		fail_msg("%s", err_message(err));
}

struct message liar_job(void)
{
	struct message message = {.type = WIRE_JOB, .job = {.name = "job", .name_bytes = 3, .disk_count = 1}};

	message.job.disks[0] = (struct message_disk){LIAR_DISK_BYTES, 0, LIAR_BLOCK, 512, 4096, "disk", 4};
	return message;
}

void liar_connect(struct liar *liar)
{
	const struct message job = liar_job();
	unsigned version = liar->version ?: WIRE_OLDEST_VERSION;
	struct message_hello hello = {version, version, WIRE_CONTROL, {0}};

	liar->control = sync_world_say_hello(&liar->world, hello);
	liar_expect(liar, liar->control, WIRE_WELCOME);
	memcpy(hello.token, liar->message->welcome.token, sizeof hello.token);
	memcpy(liar->token, hello.token, sizeof liar->token);
	assert_null(channel_send(liar->control, &job));
	liar_expect(liar, liar->control, WIRE_READY);
	memcpy(liar->hash_key, liar->message->ready.hash_key, sizeof liar->hash_key);
	hash_blocks(liar->hash_key, liar->content, LIAR_BLOCK, LIAR_BLOCK, &liar->hash);
	hello.purpose = WIRE_LANE;
	liar->lane = sync_world_say_hello(&liar->world, hello);
	liar_expect(liar, liar->lane, WIRE_WELCOME);
}

void liar_send_content(struct liar *liar, bool zeros_first, uint8_t change)
{
	struct message data = {.type = WIRE_DATA,
			       .data = {.block_count = 1,
					.first_block = 2,
					.hashes = &liar->hash,
					.payload = liar->content,
					.payload_bytes = LIAR_BLOCK}};
	const struct message zeros = {.type = WIRE_ZERO, .zero = {0, 3, LIAR_BLOCKS - 3}},
			     sync = {.type = WIRE_SYNC};

	liar->content[5] ^= change;
	hash_blocks(liar->hash_key, liar->content, LIAR_BLOCK, LIAR_BLOCK, &liar->hash);
	assert_null(channel_send(liar->lane, zeros_first ? &zeros : &data));
	assert_null(channel_send(liar->lane, zeros_first ? &data : &zeros));
	assert_null(channel_send(liar->lane, &sync));
	do {
		liar_expect(liar, liar->lane, WIRE_DURABLE);
	} while (liar->message->durable % 2);
}

void liar_say_commit(struct liar *liar, unsigned flags)
{
	wire_hash hashes[WIRE_PAGE_BLOCKS] = {{0}}, page;
	struct root root = {{0}};
	const struct message commit = {.type = WIRE_COMMIT, .commit = {flags, &root, 1}};

	memcpy(hashes[2], liar->hash, sizeof liar->hash);
	hash_page(liar->hash_key, hashes, WIRE_PAGE_BLOCKS, page);
	root_add_page(&root, liar->hash_key, 0, 0, page);
	assert_null(channel_send(liar->control, &commit));
}

void liar_commit(struct liar *liar, unsigned flags)
{
	liar_say_commit(liar, flags);
	do {
		struct err *err = channel_receive(liar->control,
						  CHANNEL_TYPE(WIRE_ALIVE) | CHANNEL_TYPE(WIRE_COMMITTED),
						  liar->message, NULL);

		if (err)
			fail_msg("%s", err_message(err));
	} while (liar->message->type == WIRE_ALIVE);
}

void liar_come_again(struct liar *liar)
{
	channel_destroy(liar->lane);
	channel_destroy(liar->control);
	sync_world_settle(&liar->world);
	liar_connect(liar);
}

void liar_init(struct liar *liar)
{
	sync_world_init(&liar->world);
	liar->message = xmalloc(sizeof *liar->message);
	sync_fill_random(liar->content, sizeof liar->content, 1);
	liar_connect(liar);
}

void liar_deinit(struct liar *liar)
{
	channel_destroy(liar->lane);
	channel_destroy(liar->control);
	free(liar->message);
	sync_world_deinit(&liar->world);
}

void liar_expect_refusal(struct liar *liar, struct channel *channel, const char *why)
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

void liar_expect_service(struct liar *liar)
{
	CLEANUP_BLK struct blk *disk = NULL;
	CLEANUP_SENDER_RESULT struct sender_result result = {0};
	struct sender_disk disks[1];

	assert_null(blk_mem_create(LIAR_DISK_BYTES, &disk));
	sync_write_random(disk, 100, 5000, 3);
	disks[0] = (struct sender_disk){disk, "disk"};
	assert_null(sync_world_send(&liar->world, disks, 1, (struct sender_options){.flags = SENDER_VERIFY},
				    &result));
	assert_true(sync_world_is_equal(&liar->world, 0, disk));
}
