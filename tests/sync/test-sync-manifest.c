/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Manifests and checkpoints: what is written comes back, sparse stays sparse, nothing foreign is taken. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "p2v/base/scratch.h"
#include "p2v/sync/checkpoint.h"
#include "p2v/sync/manifest.h"
#include "tests/base/lib-must.h"

#define BLOCK 65536u
#define TIB (1ull << 40)

static const uint8_t key[WIRE_HASH_KEY_BYTES] = "manifest";

struct world {
	struct scratch *scratch;
	char *path;
};

static void world_init(struct world *world)
{
	assert_null(scratch_create("/tmp", "test-sync-manifest", &world->scratch));
	world->path = scratch_file(world->scratch, "manifest");
}

static void world_deinit(struct world *world)
{
	free(world->path);
	scratch_destroy(world->scratch);
}

static void number_hash(uint64_t number, wire_hash hash)
{
	memset(hash, 0, sizeof(wire_hash));
	memcpy(hash, &number, sizeof number);
	hash[15] = 1;
}

static void test_keeps(void **state)
{
	CLEANUP(world_deinit) struct world world = {0};
	CLEANUP_MANIFEST struct manifest *manifest = NULL;
	wire_hash hash, back;
	uint64_t blocks = 10000;

	(void)state;
	world_init(&world);
	/* The last block is a short one. */
	assert_null(manifest_create(world.path, blocks * BLOCK - 512, BLOCK, &manifest));
	assert_int_equal(manifest_block_count(manifest), blocks);
	assert_int_equal(manifest_page_count(manifest), blocks / WIRE_PAGE_BLOCKS);
	for (uint64_t i = 0; i < blocks; i += 7) {
		number_hash(i, hash);
		assert_null(manifest_write(manifest, i, 1, &hash));
	}
	assert_null(manifest_sync(manifest));
	manifest_close(take_ptr(manifest));
	assert_null(manifest_open(world.path, blocks * BLOCK - 512, BLOCK, &manifest));
	for (uint64_t i = 0; i < blocks; i++) {
		if (i % 7)
			memset(hash, 0, sizeof hash);
		else
			number_hash(i, hash);
		assert_null(manifest_read(manifest, i, 1, &back));
		assert_memory_equal(hash, back, sizeof hash);
	}
}

static void test_refuses(void **state)
{
	CLEANUP(world_deinit) struct world world = {0};
	struct manifest *manifest = NULL;
	struct err *err;

	(void)state;
	world_init(&world);
	assert_null(manifest_create(world.path, 100 * BLOCK, BLOCK, &manifest));
	manifest_close(take_ptr(manifest));
	err = manifest_create(world.path, 100 * BLOCK, BLOCK, &manifest);
	assert_int_equal(err_errno(err), EEXIST);
	err_free(err);
	for (unsigned i = 0; i < 4; i++) {
		if (i == 2)
			assert_int_equal(truncate(world.path, 5000), 0);
		err = manifest_open(world.path, i == 0 ? 101 * BLOCK : 100 * BLOCK,
				    i == 1 ? 2 * BLOCK : BLOCK, &manifest);
		must_fail(err, ERR_REFUSED);
		assert_null(manifest);
	}
}

/* The root that the definition gives, from a plain array. */
static struct root root_of(const wire_hash *hashes, uint64_t blocks)
{
	struct root root = {{0}};
	wire_hash page;

	for (uint64_t at = 0; at < blocks; at += WIRE_PAGE_BLOCKS) {
		hash_page(key, hashes + at, blocks - at < WIRE_PAGE_BLOCKS ? blocks - at : WIRE_PAGE_BLOCKS,
			  page);
		root_add_page(&root, key, 3, at / WIRE_PAGE_BLOCKS, page);
	}
	return root;
}

static void test_root(void **state)
{
	enum { BLOCKS = 9001 };
	CLEANUP(world_deinit) struct world world = {0};
	CLEANUP_MANIFEST struct manifest *manifest = NULL;
	CLEANUP_FREE wire_hash *model = xcalloc(BLOCKS, sizeof *model);
	wire_hash pages[3], page;
	struct root root, expected;
	uint64_t in_doubt;
	uint32_t random = 1;

	(void)state;
	world_init(&world);
	assert_null(manifest_create(world.path, (uint64_t)BLOCKS * BLOCK, BLOCK, &manifest));
	for (unsigned i = 0; i < 300; i++) {
		uint64_t block;

		random = random * 1103515245 + 12345;
		block = random / 7 % BLOCKS;
		number_hash(random, model[block]);
		assert_null(manifest_write(manifest, block, 1, &model[block]));
	}
	number_hash(1, model[BLOCKS - 1]);
	assert_null(manifest_write(manifest, BLOCKS - 1, 1, &model[BLOCKS - 1]));
	expected = root_of(model, BLOCKS);
	assert_null(manifest_root(manifest, key, 3, &root, &in_doubt));
	assert_memory_equal(&root, &expected, sizeof root);
	assert_int_equal(in_doubt, 0);
	assert_null(manifest_hash_pages(manifest, key, BLOCKS / WIRE_PAGE_BLOCKS - 2, 3, pages));
	for (unsigned i = 0; i < 3; i++) {
		uint64_t at = (BLOCKS / WIRE_PAGE_BLOCKS - 2 + i) * WIRE_PAGE_BLOCKS;

		hash_page(key, model + at, BLOCKS - at < WIRE_PAGE_BLOCKS ? BLOCKS - at : WIRE_PAGE_BLOCKS,
			  page);
		assert_memory_equal(page, pages[i], sizeof page);
	}

	assert_null(manifest_fill(manifest, 100, 5000, hash_in_doubt));
	assert_null(manifest_root(manifest, key, 3, &root, &in_doubt));
	assert_int_equal(in_doubt, 5000);
	assert_null(manifest_hash_pages(manifest, key, 100 / WIRE_PAGE_BLOCKS, 1, pages));
	assert_memory_equal(pages[0], hash_in_doubt, sizeof(wire_hash));
	assert_null(manifest_fill(manifest, 0, BLOCKS, hash_zero));
	assert_null(manifest_root(manifest, key, 3, &root, &in_doubt));
	for (size_t i = 0; i < sizeof root; i++)
		assert_int_equal(root.bytes[i], 0);
}

static struct err *count_blocks(void *arg, uint64_t first_block, size_t count, const wire_hash *hashes)
{
	(void)first_block;
	(void)hashes;
	*(uint64_t *)arg += count;
	return NULL;
}

/* 64 TiB with one block: little space, little work. */
static void test_sparse(void **state)
{
	CLEANUP(world_deinit) struct world world = {0};
	CLEANUP_MANIFEST struct manifest *manifest = NULL;
	uint64_t last = 64 * TIB / BLOCK - 1, seen = 0;
	wire_hash hash;
	struct stat st;

	(void)state;
	world_init(&world);
	assert_null(manifest_create(world.path, 64 * TIB, BLOCK, &manifest));
	number_hash(5, hash);
	assert_null(manifest_write(manifest, last, 1, &hash));
	assert_null(manifest_sync(manifest));
	assert_int_equal(stat(world.path, &st), 0);
	assert_true(st.st_blocks * 512 < 1 << 20);
	assert_null(manifest_walk(manifest, 0, last + 1, count_blocks, &seen));
	assert_true(seen >= 1 && seen <= 1 << 16);
	seen = 0;
	assert_null(manifest_walk(manifest, 0, last / 2, count_blocks, &seen));
	assert_true(seen <= 1 << 16);
}

static void test_checkpoint(void **state)
{
	CLEANUP(world_deinit) struct world world = {0};
	CLEANUP_CHECKPOINT struct checkpoint saved = {0}, loaded = {0};
	struct message_job job = {.name = "one", .name_bytes = 3, .disk_count = 2};
	struct err *err;

	(void)state;
	world_init(&world);
	job.disks[0] = (struct message_disk){64 * TIB, 0, BLOCK, 512, 4096, "a\"b", 3};
	job.disks[1] = (struct message_disk){4096, 0, 16 * BLOCK, 4096, 4096, "c", 1};
	err = checkpoint_load(scratch_path(world.scratch), &loaded);
	assert_int_equal(err_errno(err), ENOENT);
	err_free(err);
	assert_null(checkpoint_init(&job, &saved));
	saved.complete = true;
	saved.completed = 1234567890;
	saved.root.bytes[31] = 0xa5;
	assert_null(checkpoint_save(&saved, scratch_path(world.scratch)));
	assert_null(checkpoint_load(scratch_path(world.scratch), &loaded));
	assert_string_equal(loaded.name, "one");
	assert_true(loaded.complete);
	assert_int_equal(loaded.completed, 1234567890);
	assert_memory_equal(&loaded.root, &saved.root, sizeof saved.root);
	assert_memory_equal(loaded.hash_key, saved.hash_key, sizeof saved.hash_key);
	assert_null(checkpoint_compare(&loaded, &job));
	job.disks[1].size_bytes += 4096;
	must_fail_as(checkpoint_compare(&loaded, &job), ERR_REFUSED, "disk c");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keeps),  cmocka_unit_test(test_refuses),	  cmocka_unit_test(test_root),
		cmocka_unit_test(test_sparse), cmocka_unit_test(test_checkpoint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
