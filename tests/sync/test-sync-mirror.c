/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Mirrors of copies that somebody writes to: at rest they are what the copies are; of what is not as its
 * manifest says nothing is taken; and whatever is taken while it changes was there once.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "p2v/base/scratch.h"
#include "p2v/sync/manifest.h"
#include "p2v/sync/mirror.h"
#include "tests/base/lib-must.h"
#include "tests/sync/lib-sync-world.h"

#define BLOCK 65536u
#define BLOCKS 200u
#define BYTES (BLOCKS * (uint64_t)BLOCK - 512) /* the last one is short */

struct rig {
	struct scratch *scratch;
	struct checkpoint job;
	struct checkpoint_disk disk;
	struct manifest *manifest;
	struct blk *copy, *target;
	bool cannot_open;
	struct mirror_options options;
	struct mirror *mirror;
};

/* What is open is closed by the mirror; the copy is one file for both. */
static struct err *open_copy(void *arg, size_t number, struct blk **ret_blk)
{
	struct rig *rig = arg;

	assert_int_equal(number, 0);
	if (rig->cannot_open)
		return err_failed("as planned");
	return blk_file_open(rig->copy->name, 0, 0, ret_blk);
}

static void rig_init(struct rig *rig)
{
	CLEANUP_FREE char *copy = NULL, *manifest = NULL;

	must(scratch_create("/tmp", "test-sync-mirror", &rig->scratch));
	copy = scratch_file(rig->scratch, "copy");
	manifest = scratch_file(rig->scratch, "disk0.manifest");
	rig->disk = (struct checkpoint_disk){"disk", BYTES, BLOCK, 512, 512};
	rig->job = (struct checkpoint){.name = "job", .disks = &rig->disk, .disk_count = 1};
	memcpy(rig->job.hash_key, "mirror", 7);
	must(manifest_create(manifest, BYTES, BLOCK, &rig->manifest));
	must(blk_file_open(copy, BLK_FILE_WRITE | BLK_FILE_CREATE, BYTES, &rig->copy));
	must(blk_mem_create(BYTES, &rig->target));
	rig->options = (struct mirror_options){
		.folder = scratch_path(rig->scratch),
		.job = &rig->job,
		.open = open_copy,
		.arg = rig,
		.targets = &rig->target,
		.scratch_dir = scratch_path(rig->scratch),
	};
	must(mirror_create(&rig->options, &rig->mirror));
}

static void rig_deinit(struct rig *rig)
{
	mirror_destroy(rig->mirror);
	manifest_close(rig->manifest);
	must(blk_close(rig->copy));
	must(blk_close(rig->target));
	scratch_destroy(rig->scratch);
}
#define CLEANUP_RIG CLEANUP(rig_deinit)

static size_t bytes_of(uint64_t block)
{
	return block == BLOCKS - 1 ? BLOCK - 512 : BLOCK;
}

/* 0: zeros. */
static void fill(uint8_t *data, uint64_t block, uint64_t version)
{
	memset(data, 0, BLOCK);
	if (version)
		sync_fill_random(data, bytes_of(block), block * 1000 + version);
}

/* In the receiver's order. */
static void change(struct rig *rig, uint64_t block, uint64_t version)
{
	uint8_t data[BLOCK];
	wire_hash hash;

	fill(data, block, version);
	hash_blocks(rig->job.hash_key, data, bytes_of(block), BLOCK, &hash);
	must(manifest_fill(rig->manifest, block, 1, hash_in_doubt));
	must(blk_pwrite(rig->copy, data, bytes_of(block), block * BLOCK, 0));
	must(manifest_write(rig->manifest, block, 1, &hash));
}

static struct mirror_round go(struct rig *rig)
{
	struct mirror_round round = {0};

	must(mirror_go_round(rig->mirror, &round));
	return round;
}

static void expect_block(struct rig *rig, uint64_t block, uint64_t version)
{
	uint8_t data[BLOCK] = {0}, wanted[BLOCK];

	fill(wanted, block, version);
	must(blk_pread(rig->target, data, bytes_of(block), block * BLOCK));
	assert_memory_equal(data, wanted, BLOCK);
}

static void test_at_rest(void **state)
{
	CLEANUP_RIG struct rig rig = {0};
	struct mirror_round round;
	uint64_t bytes;

	(void)state;
	rig_init(&rig);
	for (uint64_t block = 0; block < BLOCKS; block++)
		if (block % 5 < 3 || block == BLOCKS - 1)
			change(&rig, block, 1);
	must(mirror_count(rig.mirror, &bytes));
	round = go(&rig);
	assert_int_equal(round.copied_bytes, bytes);
	assert_int_equal(round.missing_bytes, 0);
	for (uint64_t block = 0; block < BLOCKS; block++)
		expect_block(&rig, block, block % 5 < 3 || block == BLOCKS - 1);
	assert_int_equal(go(&rig).copied_bytes, 0);
	/* What changes, and what is gone. */
	change(&rig, 7, 2);
	change(&rig, 10, 0);
	must(mirror_count(rig.mirror, &bytes));
	assert_int_equal(bytes, 2 * BLOCK);
	assert_int_equal(go(&rig).copied_bytes, 2 * BLOCK);
	expect_block(&rig, 7, 2);
	expect_block(&rig, 10, 0);
	assert_int_equal(go(&rig).copied_bytes, 0);
}

static void test_doubt(void **state)
{
	CLEANUP_RIG struct rig rig = {0};
	struct mirror_round round;
	uint8_t other[BLOCK];

	(void)state;
	rig_init(&rig);
	for (uint64_t block = 0; block < 20; block++)
		change(&rig, block, 1);
	/* In doubt, and another content than the hash says. */
	must(manifest_fill(rig.manifest, 3, 1, hash_in_doubt));
	fill(other, 5, 9);
	must(blk_pwrite(rig.copy, other, BLOCK, 5 * BLOCK, 0));
	round = go(&rig);
	assert_int_equal(round.copied_bytes, 18 * BLOCK);
	assert_true(round.missing_bytes >= 2 * BLOCK);
	expect_block(&rig, 3, 0);
	expect_block(&rig, 4, 1);
	expect_block(&rig, 5, 0);
	assert_null(mirror_read_error(rig.mirror));
	change(&rig, 3, 1);
	change(&rig, 5, 9);
	assert_int_equal(go(&rig).missing_bytes, 0);
	expect_block(&rig, 3, 1);
	expect_block(&rig, 5, 9);
}

static void test_read_errors(void **state)
{
	CLEANUP_RIG struct rig rig = {0};
	struct mirror_round round;

	(void)state;
	rig_init(&rig);
	change(&rig, 3, 1);
	change(&rig, 100, 1);
	rig.cannot_open = true;
	round = go(&rig);
	assert_int_equal(round.copied_bytes, 0);
	assert_true(round.missing_bytes >= 2 * BLOCK);
	assert_string_equal(err_message(mirror_read_error(rig.mirror)), "as planned");
	rig.cannot_open = false;
	assert_int_equal(go(&rig).missing_bytes, 0);
	assert_null(mirror_read_error(rig.mirror));
	expect_block(&rig, 100, 1);
}

static void test_no_manifest(void **state)
{
	CLEANUP_RIG struct rig rig = {0};
	struct mirror *mirror = NULL;

	(void)state;
	rig_init(&rig);
	rig.disk.size_bytes += 512 * 1024;
	must_fail(mirror_create(&rig.options, &mirror), ERR_REFUSED);
}

/*
 * A writer that makes generations: in each, blocks 0 … 19 in this order.  At any moment of the manifests at
 * most one generation is under way, so that a mirror at rest has some of one, then all else of the one
 * before.
 */
struct changer {
	struct rig *rig;
	atomic_bool stop;
	atomic_uint generation;
};

static void *make_generations(void *arg)
{
	/* Now and then there is time enough to see one whole. */
	const struct timespec pause = {0, 3000000};
	struct changer *changer = arg;

	for (unsigned generation = 1; !changer->stop && generation < 400; generation++) {
		for (uint64_t block = 0; block < 20; block++)
			change(changer->rig, block, generation);
		changer->generation = generation;
		nanosleep(&pause, NULL);
	}
	return NULL;
}

/* Which version it is; 0: none of them. */
static unsigned version_of(struct rig *rig, uint64_t block, unsigned newest)
{
	uint8_t data[BLOCK], wanted[BLOCK];

	must(blk_pread(rig->target, data, BLOCK, block * BLOCK));
	for (unsigned version = newest; version; version--) {
		fill(wanted, block, version);
		if (!memcmp(data, wanted, BLOCK))
			return version;
	}
	return 0;
}

static void expect_one_moment(struct rig *rig, unsigned newest)
{
	unsigned last = version_of(rig, 0, newest), fallen = 0;

	assert_true(last);
	for (uint64_t block = 1; block < 20; block++) {
		unsigned version = version_of(rig, block, newest);

		fallen += version + 1 == last;
		assert_true(version == last || (version + 1 == last && fallen == 1));
		last = version;
	}
}

static void test_meanwhile(void **state)
{
	CLEANUP_RIG struct rig rig = {0};
	/* What is there before it has made one. */
	struct changer changer = {.rig = &rig, .generation = 1};
	unsigned settled = 0;
	pthread_t thread;

	(void)state;
	rig_init(&rig);
	for (uint64_t block = 0; block < 20; block++)
		change(&rig, block, 1);
	assert_int_equal(pthread_create(&thread, NULL, make_generations, &changer), 0);
	for (unsigned i = 0; i < 2000 && settled < 5; i++) {
		struct mirror_round round = go(&rig);

		if (round.copied_bytes || round.missing_bytes)
			continue;
		settled++;
		expect_one_moment(&rig, changer.generation + 1);
	}
	changer.stop = true;
	pthread_join(thread, NULL);
	while (go(&rig).copied_bytes)
		;
	for (uint64_t block = 0; block < 20; block++)
		expect_block(&rig, block, changer.generation);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_at_rest),	    cmocka_unit_test(test_doubt),
		cmocka_unit_test(test_read_errors), cmocka_unit_test(test_no_manifest),
		cmocka_unit_test(test_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
