// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Converting without moving data: over devices in memory that clone as a file
 * system with reflinks does (aligned ranges, between two of their kind), and give
 * up after a while if told to.  tests/e2e/vhdx-reflink.sh has real file systems.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "p2v/base/clone.h"
#include "p2v/base/mem.h"
#include "tests/base/lib-blk-conformance.h"
#include "tests/base/lib-must.h"
#include "tests/base/lib-rng.h"
#include "tests/vhdx/lib-vhdx.h"
#include "vhdx/convert.h"

#define DISK_BYTES (41 * MIB + 512)

struct sharing {
	struct blk blk;
	struct blk *inner;
	uint64_t read_bytes, cloned_bytes;
	uint64_t give_up_bytes; /* nothing more is cloned from then on */
	bool cannot;
};

static struct sharing *to_sharing(struct blk *blk)
{
	return (struct sharing *)blk;
}

static struct err *sharing_pread(struct blk *blk, void *buf, size_t len_bytes, uint64_t offset)
{
	__atomic_fetch_add(&to_sharing(blk)->read_bytes, len_bytes, __ATOMIC_RELAXED);
	return blk_pread(to_sharing(blk)->inner, buf, len_bytes, offset);
}

static struct err *sharing_pwrite(struct blk *blk, const void *buf, size_t len_bytes, uint64_t offset,
				  unsigned flags)
{
	return blk_pwrite(to_sharing(blk)->inner, buf, len_bytes, offset, flags);
}

static struct err *sharing_zero(struct blk *blk, uint64_t len_bytes, uint64_t offset, unsigned flags)
{
	return blk_zero(to_sharing(blk)->inner, len_bytes, offset, flags);
}

static struct err *sharing_extents(struct blk *blk, uint64_t len_bytes, uint64_t offset, blk_extent_fn fn,
				   void *arg)
{
	return blk_extents(to_sharing(blk)->inner, len_bytes, offset, fn, arg);
}

static struct err *sharing_resize(struct blk *blk, uint64_t size_bytes)
{
	blk->size_bytes = size_bytes;
	return blk_resize(to_sharing(blk)->inner, size_bytes);
}

static struct err *sharing_locate(struct blk *blk, uint64_t len_bytes, uint64_t offset,
				  struct blk_place *ret_place)
{
	*ret_place = (struct blk_place){blk, offset, len_bytes};
	return NULL;
}

static bool sharing_can_clone(struct blk *blk, struct blk *file)
{
	return file->ops == blk->ops && !to_sharing(blk)->cannot;
}

static struct err *sharing_clone(struct blk *blk, struct blk *file, uint64_t len_bytes, uint64_t file_offset,
				 uint64_t offset, uint64_t *ret_bytes)
{
	CLEANUP_FREE uint8_t *buf = xmalloc(len_bytes);
	struct sharing *to = to_sharing(blk);

	assert_int_equal((len_bytes | file_offset | offset) % BLK_CLONE_ALIGN_BYTES, 0);
	if (len_bytes > to->give_up_bytes - to->cloned_bytes)
		len_bytes = to->give_up_bytes - to->cloned_bytes;
	TRY(blk_pread(to_sharing(file)->inner, buf, len_bytes, file_offset));
	TRY(blk_pwrite(to->inner, buf, len_bytes, offset, 0));
	to->cloned_bytes += len_bytes;
	*ret_bytes = len_bytes;
	return NULL;
}

static struct err *sharing_close(struct blk *blk)
{
	struct err *err = blk_close(to_sharing(blk)->inner);

	free(blk);
	return err;
}

static struct blk *sharing_create(uint64_t size_bytes)
{
	static const struct blk_ops ops = {
		.kind = "sharing",
		.pread = sharing_pread,
		.pwrite = sharing_pwrite,
		.zero = sharing_zero,
		.extents = sharing_extents,
		.resize = sharing_resize,
		.locate = sharing_locate,
		.can_clone = sharing_can_clone,
		.clone = sharing_clone,
		.close = sharing_close,
	};
	struct sharing *s = xcalloc(1, sizeof *s);

	must(blk_mem_create(size_bytes, &s->inner));
	s->blk = *s->inner;
	s->blk.ops = &ops;
	s->give_up_bytes = UINT64_MAX;
	return &s->blk;
}

/* A raw disk (block_bytes 0) or a VHDX; *ret_file is what it lies in. */
static struct blk *make_disk(uint32_t block_bytes, struct sharing **ret_file)
{
	struct blk *file = sharing_create(block_bytes ? 0 : DISK_BYTES), *vhdx;

	*ret_file = to_sharing(file);
	if (!block_bytes)
		return file;
	must(vhdx_create_on(
		file, &(struct vhdx_create_options){.size_bytes = DISK_BYTES, .block_bytes = block_bytes},
		NULL, &vhdx));
	return vhdx;
}

static void fill(struct blk *blk, uint8_t *model)
{
	static const struct extent ranges[] = {{4096, 3 * MIB + 8192},
					       {9 * MIB + 100, 9 * MIB + 900},
					       {17 * MIB, 30 * MIB},
					       {41 * MIB - 4096, DISK_BYTES}};
	struct rng rng = {9};

	for (size_t i = 0; i < COUNT_OF(ranges); i++) {
		uint64_t bytes = ranges[i].end - ranges[i].start;

		rng_fill(&rng, model + ranges[i].start, bytes);
		must(blk_pwrite(blk, model + ranges[i].start, bytes, ranges[i].start, 0));
	}
}

static const uint32_t kinds[] = {0, 1 << 20, 8 << 20};

static void test_matrix(void **state)
{
	CLEANUP_FREE uint8_t *model = xcalloc(1, DISK_BYTES);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(kinds) * COUNT_OF(kinds); i++) {
		struct sharing *from, *to;
		CLEANUP_BLK struct blk *source = make_disk(kinds[i / COUNT_OF(kinds)], &from);
		CLEANUP_BLK struct blk *target = make_disk(kinds[i % COUNT_OF(kinds)], &to);

		fill(source, model);
		from->read_bytes = 0;
		assert_true(image_can_clone(source, target));
		must(image_convert(source, target, NULL));
		/* The last 512 bytes, with what is around them. */
		assert_true(from->read_bytes <= 64 << 10);
		assert_true(to->cloned_bytes >= 16 * MIB);
		blk_conformance_expect(target, model);
		if (kinds[i % COUNT_OF(kinds)]) {
			must(vhdx_finish(target));
			assert_clean(&to->blk);
		}
	}
}

/* Not possible, not wanted, or no longer possible: it is read and written. */
static void test_fallback(void **state)
{
	static const struct {
		bool cannot, unwanted;
		uint64_t give_up_bytes;
	} cases[] = {{true, false, 0}, {false, true, UINT64_MAX}, {false, false, 0}, {false, false, 2 * MIB}};
	CLEANUP_FREE uint8_t *model = xcalloc(1, DISK_BYTES);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct image_convert_options options = {.no_clone = cases[i].unwanted};
		struct sharing *from, *to;
		CLEANUP_BLK struct blk *source = make_disk(0, &from);
		CLEANUP_BLK struct blk *target = make_disk(1 << 20, &to);

		fill(source, model);
		to->cannot = cases[i].cannot;
		to->give_up_bytes = cases[i].give_up_bytes;
		assert_true(image_can_clone(source, target) == !cases[i].cannot);
		must(image_convert(source, target, &options));
		assert_int_equal(to->cloned_bytes > 0, cases[i].give_up_bytes == 2 * MIB);
		assert_true(from->read_bytes >= 12 * MIB);
		blk_conformance_expect(target, model);
	}
}

/* What a log in memory lies over, is no place of the file; nothing is cloned to what is read-only. */
static void test_not_located(void **state)
{
	struct sharing *file, *other;
	CLEANUP_BLK struct blk *vhdx = make_disk(1 << 20, &file);
	CLEANUP_BLK struct blk *target = make_disk(0, &other);
	CLEANUP_FREE uint8_t *model = xcalloc(1, DISK_BYTES);
	CLEANUP_BLK struct blk *left = NULL, *dirty = NULL;
	struct blk_place place;
	uint64_t done = 1;

	(void)state;
	must(vhdx_finish(vhdx));
	fill(vhdx, model);
	must(blk_flush(vhdx));
	must(blk_locate(vhdx, MIB, 17 * MIB, &place));
	assert_ptr_equal(place.file, &file->blk);
	assert_int_equal(place.len_bytes, MIB);
	must(blk_locate(vhdx, MIB, 12 * MIB, &place));
	assert_null(place.file);
	dirty = vhdx_opened(borrowed(&file->blk), 0);
	assert_false(image_can_clone(dirty, target));
	must(image_convert(dirty, target, NULL));
	assert_int_equal(other->cloned_bytes, 0);
	blk_conformance_expect(target, model);
	/* Not aligned: nothing is done. */
	must(blk_clone(target, &file->blk, 4096, MIB, 512, &done));
	assert_int_equal(done, 0);
	left = borrowed(target);
	assert_false(blk_can_clone(left, &file->blk));
	must_fail(blk_clone(left, &file->blk, 4096, 0, 0, &done), ERR_REFUSED);
}

/* The ways themselves, as far as the file system of the tests goes. */
static void test_ways(void **state)
{
	char *dir = test_dir_make();
	CLEANUP_FREE char *from_path = test_path(dir, "from");
	CLEANUP_FREE char *to_path = test_path(dir, "to");
	CLEANUP_FREE uint8_t *data = xmalloc(2 * MIB);
	CLEANUP_FREE uint8_t *got = xmalloc(2 * MIB);
	int from = open(from_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int to = open(to_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), pipes[2];
	struct rng rng = {4};

	(void)state;
	rng_fill(&rng, data, 2 * MIB);
	assert_int_equal(pwrite(from, data, 2 * MIB, 0), 2 * MIB);
	/* Works everywhere, though it is only chosen where a server does it. */
	assert_int_equal(clone_range(CLONE_SERVER, from, 4096, to, 8192, MIB), MIB);
	assert_int_equal(pread(to, got, MIB, 8192), MIB);
	assert_memory_equal(got, data + 4096, MIB);
	/* What it cannot have it does not claim. */
	assert_int_equal(clone_range(CLONE_SERVER, from, 2 * MIB - 4096, to, 0, MIB), 4096);
	assert_int_equal(clone_range(CLONE_NONE, from, 0, to, 0, MIB), 0);
	assert_int_equal(clone_range(CLONE_SHARE, from, 0, to, 0, 0), 0);
	if (clone_find_way(from, to) == CLONE_SHARE) {
		assert_int_equal(clone_range(CLONE_SHARE, from, 0, to, MIB, MIB), MIB);
		assert_int_equal(pread(to, got, MIB, MIB), MIB);
		assert_memory_equal(got, data, MIB);
	} else {
		assert_int_equal(clone_range(CLONE_SHARE, from, 0, to, MIB, MIB), 0);
	}
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(clone_find_way(pipes[0], to), CLONE_NONE);
	assert_int_equal(clone_find_way(-1, to), CLONE_NONE);
	close(pipes[0]);
	close(pipes[1]);
	close(from);
	close(to);
	test_dir_remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_matrix),
		cmocka_unit_test(test_fallback),
		cmocka_unit_test(test_not_located),
		cmocka_unit_test(test_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
