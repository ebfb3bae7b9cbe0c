/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Blocks that are sent more than once: what is the same changes nothing, of what differs the last one counts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "tests/base/lib-must.h"
#include "tests/sync/lib-sync-liar.h"

static bool job_is_complete(struct liar *liar)
{
	CLEANUP_FREE char *folder = xasprintf("%s/job", scratch_path(liar->world.scratch));
	CLEANUP_CHECKPOINT struct checkpoint job = {0};

	assert_null(checkpoint_load(folder, &job));
	return job.complete;
}

static void commit_content(struct liar *liar)
{
	liar_commit(liar, 0);
	assert_true(job_is_complete(liar));
}

/* What is there already may be sent again: a complete job stays one.  What changes it ends that. */
static void test_no_change(void **state)
{
	CLEANUP_LIAR struct liar liar = {0};

	(void)state;
	liar_init(&liar);
	liar_send_content(&liar, false, 0);
	assert_false(job_is_complete(&liar));
	commit_content(&liar);
	assert_int_equal(liar.world.begun, 1);
	for (unsigned i = 0; i < 4; i++) {
		liar_come_again(&liar);
		liar_send_content(&liar, i % 2, 0);
		assert_true(job_is_complete(&liar));
		assert_int_equal(liar.world.begun, 1);
	}
	liar_send_content(&liar, false, 1);
	assert_false(job_is_complete(&liar));
	assert_int_equal(liar.world.begun, 2);
	/* There and back: what was last counts. */
	liar_send_content(&liar, false, 1);
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
	assert_null(blk_mem_create(LIAR_DISK_BYTES, &disk));
	for (unsigned round = 0; round < 30; round++) {
		uint64_t sent = 0;

		for (; sent < 20; sent++) {
			struct message data = {.type = WIRE_DATA,
					       .data = {.block_count = 1,
							.first_block = 2,
							.hashes = &liar.hash,
							.payload = liar.content,
							.payload_bytes = LIAR_BLOCK}};

			sync_fill_random(liar.content, LIAR_BLOCK, 100 * round + sent);
			hash_blocks(liar.hash_key, liar.content, LIAR_BLOCK, LIAR_BLOCK, &liar.hash);
			assert_null(channel_send(liar.lane, &data));
		}
		assert_null(channel_send(liar.lane, &sync));
		do {
			liar_expect(&liar, liar.lane, WIRE_DURABLE);
		} while (liar.message->durable < (round + 1) * sent);
		assert_null(blk_pwrite(disk, liar.content, LIAR_BLOCK, 2 * LIAR_BLOCK, 0));
		assert_true(sync_world_is_equal(&liar.world, 0, disk));
	}
	commit_content(&liar);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_change),
					   cmocka_unit_test(test_same_block)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
