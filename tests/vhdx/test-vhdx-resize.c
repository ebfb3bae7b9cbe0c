// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Making disks larger: the content stays, what is new is zeros, the file is clean;
 * after a power cut the disk has the one size or the other.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "tests/base/lib-must.h"
#include "tests/base/lib-power-cut.h"
#include "tests/vhdx/lib-vhdx.h"
#include "vhdx/device.h"

#define DATA_BYTES 5000u

static const struct resize_case {
	struct vhdx_create_options options;
	uint64_t size_bytes; /* to which it grows */
	bool bat_moves;
} cases[] = {
	{{.size_bytes = 3 * MIB + 512}, 3 * MIB + 1024, false}, /* within the last block */
	{{.size_bytes = 3 * MIB + 512}, 64 * MIB, false},
	{{.size_bytes = 8 * MIB, .logical_sector_bytes = 4096}, 100 * MIB + 4096, false},
	{{.size_bytes = 3 * MIB + 512, .flags = VHDX_FIXED}, 40 * MIB, false},
	{{.size_bytes = 1 * GIB, .block_bytes = 1 << 20}, 200 * GIB, true},
	{{.size_bytes = 1 * GIB, .block_bytes = 256 << 20}, 64 * TIB, true},
	{{.size_bytes = 64 * MIB, .block_bytes = 1 << 20, .flags = VHDX_FIXED}, 160 * GIB, true},
};

static void fill(uint8_t *data, uint8_t seed)
{
	for (size_t i = 0; i < DATA_BYTES; i++)
		data[i] = (uint8_t)(seed + i * 7);
}

/* At the start, and at the end of the small disk. */
static void write_marks(struct blk *vhdx)
{
	uint8_t data[DATA_BYTES];

	fill(data, 1);
	must(blk_pwrite(vhdx, data, sizeof data, 0, 0));
	fill(data, 2);
	must(blk_pwrite(vhdx, data, sizeof data, vhdx->size_bytes - sizeof data, 0));
}

static void assert_bytes(struct blk *vhdx, uint64_t offset, const uint8_t *expected)
{
	uint8_t data[DATA_BYTES];

	must(blk_pread(vhdx, data, sizeof data, offset));
	assert_memory_equal(data, expected, sizeof data);
}

static void assert_zeros(struct blk *vhdx, uint64_t offset, uint64_t len_bytes)
{
	CLEANUP_FREE uint8_t *data = xmalloc(len_bytes);

	must(blk_pread(vhdx, data, len_bytes, offset));
	assert_true(blk_is_zero(data, len_bytes));
}

static void assert_marks(struct blk *vhdx, uint64_t old_bytes)
{
	uint64_t new_bytes = vhdx->size_bytes - old_bytes;
	uint8_t data[DATA_BYTES];

	fill(data, 1);
	assert_bytes(vhdx, 0, data);
	fill(data, 2);
	assert_bytes(vhdx, old_bytes - sizeof data, data);
	assert_zeros(vhdx, old_bytes, new_bytes < 4 * MIB ? new_bytes : 4 * MIB);
	if (new_bytes > 8 * MIB)
		assert_zeros(vhdx, vhdx->size_bytes - MIB, MIB);
}

/* What a writer that does not clear may leave behind the disk's end in its last block. */
static void soil_tail(struct blk *vhdx, struct blk *file)
{
	struct vhdx_run run;
	uint64_t last = (vhdx->size_bytes - 1) / vhdx->preferred_bytes;
	uint64_t used = vhdx->size_bytes - last * vhdx->preferred_bytes;

	must(vhdx_lookup(vhdx_of(vhdx), last, 1, &run));
	if (run.file_offset && used < vhdx->preferred_bytes)
		poke(file, run.file_offset + used, "soil", 4);
}

static void grow_one(const struct resize_case *c, bool finished)
{
	uint64_t old_bytes = c->options.size_bytes, bat_at;
	struct blk *file, *vhdx = vhdx_in_memory(&c->options, &file), *again;
	CLEANUP_BLK struct blk *left = NULL;
	uint8_t data[DATA_BYTES];

	write_marks(vhdx);
	if (finished)
		must(vhdx_finish(vhdx));
	soil_tail(vhdx, file);
	bat_at = vhdx_of(vhdx)->regions.bat.file_offset;
	must_fail(blk_resize(vhdx, old_bytes - 4096), ERR_REFUSED);
	must_fail(blk_resize(vhdx, old_bytes + 100), ERR_REFUSED);
	must_fail(blk_resize(vhdx, 64 * TIB + 4096), ERR_REFUSED);
	must(blk_resize(vhdx, c->size_bytes));
	assert_int_equal(vhdx->size_bytes, c->size_bytes);
	assert_int_equal(vhdx_of(vhdx)->regions.bat.file_offset != bat_at, c->bat_moves);
	assert_marks(vhdx, old_bytes);
	/* The new part can be written, also where old and new meet. */
	fill(data, 3);
	must(blk_pwrite(vhdx, data, sizeof data, c->size_bytes - sizeof data, 0));
	must(vhdx_finish(vhdx));
	/* Finished, it is what another would find. */
	left = borrowed(file);
	assert_clean(left);
	again = vhdx_opened(borrowed(file), 0);
	assert_int_equal(again->size_bytes, c->size_bytes);
	assert_bytes(again, c->size_bytes - sizeof data, data);
	fill(data, 1);
	assert_bytes(again, 0, data);
	must(blk_close(again));
	must(blk_close(vhdx));
}

static void test_growing(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		bool is_large = cases[i].size_bytes > 100 * GIB && cases[i].options.flags & VHDX_FIXED;

		grow_one(&cases[i], true);
		if (!is_large)
			grow_one(&cases[i], false);
	}
}

/* Again and again, with the file closed in between. */
static void test_growing_often(void **state)
{
	const struct vhdx_create_options options = {.size_bytes = 3 * MIB + 512, .block_bytes = 1 << 20};
	struct blk *file, *vhdx = vhdx_in_memory(&options, &file), *copy;

	(void)state;
	write_marks(vhdx);
	must(vhdx_finish(vhdx));
	for (uint64_t size = 4 * MIB; size <= 4 * TIB; size *= 8) {
		must(blk_resize(vhdx, size));
		must(blk_pwrite(vhdx, "x", 1, size - 1, 0));
		must(vhdx_finish(vhdx));
		copy = copy_of(file);
		must(blk_close(vhdx));
		assert_clean(copy);
		file = copy;
		vhdx = vhdx_opened(file, VHDX_OPEN_WRITE);
	}
	assert_int_equal(vhdx->size_bytes, 4 * MIB * (1 << 18));
	must(blk_close(vhdx));
}

/* A parent in memory that is larger than its child, and nowhere zero. */
static struct blk *make_parent(void)
{
	CLEANUP_FREE uint8_t *data = xmalloc(MIB);
	struct blk *parent;

	memset(data, 'p', MIB);
	must(blk_mem_create(16 * MIB, &parent));
	for (uint64_t at = 0; at < parent->size_bytes; at += MIB)
		must(blk_pwrite(parent, data, MIB, at, 0));
	return parent;
}

/* A child of 3 MiB and a sector, with something of its own at 1 MiB. */
static struct blk *make_child(uint32_t block_bytes)
{
	struct vhdx_create_options options = {.size_bytes = 3 * MIB + 512, .block_bytes = block_bytes};
	struct blk *base_file, *base = vhdx_in_memory(&options, &base_file), *file, *child, *left;

	must(vhdx_finish(base));
	options = (struct vhdx_create_options){.block_bytes = block_bytes, .parent = base};
	must(blk_mem_create(0, &file));
	must(vhdx_create_on(file, &options, NULL, &child));
	must(blk_pwrite(child, "own", 3, MIB, 0));
	must(vhdx_finish(child));
	left = copy_of(file);
	must(blk_close(child));
	return left;
}

static void assert_filled(struct blk *vhdx, uint64_t start, uint64_t end, uint8_t wanted)
{
	CLEANUP_FREE uint8_t *data = xmalloc(end - start);

	must(blk_pread(vhdx, data, end - start, start));
	for (uint64_t i = 0; i < end - start; i++)
		if (data[i] != wanted)
			fail_msg("byte %llu is %02x, not %02x", (unsigned long long)(start + i), data[i],
				 wanted);
}

/* What is new in a child is zeros, whatever its parent has there. */
static void test_child(void **state)
{
	static const struct {
		uint32_t block_bytes;
		uint64_t size_bytes;
	} children[] = {
		{1 << 20, 3 * MIB + 1024}, {1 << 20, 12 * MIB + 512}, {2 << 20, 40 * MIB},
		{8 << 20, 12 * MIB},	   {1 << 20, 300 * GIB},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(children); i++) {
		struct blk *file = make_child(children[i].block_bytes), *child;
		uint64_t size = children[i].size_bytes;

		must(vhdx_open_over(file, make_parent(), VHDX_OPEN_WRITE, NULL, &child));
		must(blk_resize(child, size));
		for (unsigned again = 0; again < 2; again++) {
			assert_filled(child, 0, MIB, 'p');
			assert_filled(child, MIB + 512, 3 * MIB + 512, 'p');
			assert_filled(child, 3 * MIB + 512, size < 20 * MIB ? size : 20 * MIB, 0);
			must(blk_pwrite(child, "", 1, size - 1, 0));
			must(vhdx_finish(child));
			assert_clean(file);
			file = copy_of(file);
			must(blk_close(child));
			must(vhdx_open_over(file, make_parent(), VHDX_OPEN_WRITE, NULL, &child));
			assert_int_equal(child->size_bytes, size);
		}
		must(blk_close(child));
	}
}

struct world {
	uint64_t old_bytes, new_bytes;
	unsigned old_count, new_count; /* states with either size */
};

static void look_after_cut(struct world *w, struct blk *left)
{
	struct blk *vhdx;

	assert_no_errors_in(left);
	vhdx = vhdx_opened(left, VHDX_OPEN_WRITE);
	if (vhdx->size_bytes == w->old_bytes)
		w->old_count++;
	else
		w->new_count++;
	assert_true(vhdx->size_bytes == w->old_bytes || vhdx->size_bytes == w->new_bytes);
	assert_marks(vhdx, w->old_bytes);
	must(blk_close(vhdx));
}

/* Records one growth. */
static void record_growth(const struct resize_case *c, struct recording *recording)
{
	struct blk *file, *vhdx = vhdx_in_memory(&c->options, &file), *start;

	write_marks(vhdx);
	must(vhdx_finish(vhdx));
	start = copy_of(file);
	must(blk_close(vhdx));
	vhdx = vhdx_opened(recording_attach(recording, start), VHDX_OPEN_WRITE);
	must(blk_resize(vhdx, c->size_bytes));
	must(blk_close(vhdx));
}

static void test_power_cut(void **state)
{
	static const size_t used[] = {0, 1, 3, 4};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(used); i++) {
		const struct resize_case *c = &cases[used[i]];
		struct world w = {.old_bytes = c->options.size_bytes, .new_bytes = c->size_bytes};
		struct recording *recording = recording_create();
		struct power_cut *cut;
		uint64_t hash;

		record_growth(c, recording);
		cut = power_cut_create(recording, i);
		for (uint64_t time = 1; power_cut_advance(cut, time); time++) {
			for (unsigned n = 0; n < (power_cut_pending(cut) ? 4 : 1); n++) {
				power_cut_choose(cut, &hash);
				look_after_cut(&w, power_cut_leave(cut, 0));
			}
		}
		power_cut_destroy(cut);
		recording_destroy(recording);
		assert_true(w.old_count > 10 && w.new_count > 10);
	}
}

/* A child of either size shows its parent up to the old end, and never what that has behind it. */
static bool look_at_child(struct blk *left, uint64_t old_bytes, uint64_t new_bytes, uint64_t own_at)
{
	CLEANUP_BLK struct blk *child = NULL;
	bool is_new;

	assert_no_errors_in(left);
	must(vhdx_open_over(left, make_parent(), VHDX_OPEN_WRITE, NULL, &child));
	is_new = child->size_bytes == new_bytes;
	assert_true(is_new || child->size_bytes == old_bytes);
	assert_filled(child, 0, own_at, 'p');
	assert_filled(child, own_at, own_at + 3, 'o');
	assert_filled(child, own_at + 3, old_bytes, 'p');
	if (is_new)
		assert_filled(child, old_bytes, new_bytes, 0);
	return is_new;
}

/* Power cuts while a child grows, the last block of which it has not, or has in part. */
static void test_child_power_cut(void **state)
{
	static const struct {
		uint32_t block_bytes;
		uint64_t size_bytes, own_at;
	} children[] = {
		{1 << 20, 3 * MIB + 2048, 2 * MIB},
		{1 << 20, 5 * MIB, 3 * MIB},
		{4 << 20, 12 * MIB, 0},
		{8 << 20, 5 * MIB, 3 * MIB},
	};
	const uint64_t old_bytes = 3 * MIB + 512;
	uint8_t sector[512];

	(void)state;
	memset(sector, 'p', sizeof sector);
	for (size_t i = 0; i < COUNT_OF(children); i++) {
		uint64_t new_bytes = children[i].size_bytes, hash;
		struct recording *recording = recording_create();
		struct blk *file = make_child(children[i].block_bytes), *child;
		unsigned counts[2] = {0};
		struct power_cut *cut;

		/* What it has of its own is overwritten by what the parent has, but for this. */
		must(vhdx_open_over(file, make_parent(), VHDX_OPEN_WRITE, NULL, &child));
		must(blk_pwrite(child, sector, sizeof sector, MIB, 0));
		must(blk_pwrite(child, "ooo", 3, children[i].own_at, 0));
		must(vhdx_finish(child));
		file = copy_of(file);
		must(blk_close(child));
		must(vhdx_open_over(recording_attach(recording, file), make_parent(), VHDX_OPEN_WRITE, NULL,
				    &child));
		must(blk_resize(child, new_bytes));
		must(blk_close(child));
		cut = power_cut_create(recording, i);
		for (uint64_t time = 1; power_cut_advance(cut, time); time++) {
			for (unsigned n = 0; n < (power_cut_pending(cut) ? 3 : 1); n++) {
				power_cut_choose(cut, &hash);
				counts[look_at_child(power_cut_leave(cut, 0), old_bytes, new_bytes,
						     children[i].own_at)]++;
			}
		}
		power_cut_destroy(cut);
		recording_destroy(recording);
		assert_true(counts[0] > 10 && counts[1] > 5);
	}
}

/* A file that fails at any write: the disk keeps the one size or has the other, and its content. */
static void test_failing(void **state)
{
	const struct resize_case *c = &cases[4];
	unsigned failures = 0;

	(void)state;
	for (unsigned nth = 1; nth < 40; nth++) {
		const struct blk_fault fault = {
			.op = BLK_OP_WRITE, .end = UINT64_MAX, .nth = nth, .times = 0, .errnum = ENOSPC};
		struct world w = {.old_bytes = c->options.size_bytes, .new_bytes = c->size_bytes};
		struct blk *file, *vhdx = vhdx_in_memory(&c->options, &file), *left, *faulty;
		struct err *err;

		write_marks(vhdx);
		must(vhdx_finish(vhdx));
		left = copy_of(file);
		must(blk_close(vhdx));
		must(blk_fault_create(left, &fault, 1, &faulty));
		vhdx = vhdx_opened(faulty, VHDX_OPEN_WRITE);
		err = blk_resize(vhdx, c->size_bytes);
		failures += err != NULL;
		if (err)
			must_fail(err, ERR_FAILED);
		look_after_cut(&w, copy_of(left));
		err_free(blk_close(vhdx));
	}
	assert_true(failures > 3 && failures < 39);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_growing),		cmocka_unit_test(test_growing_often),
		cmocka_unit_test(test_child),		cmocka_unit_test(test_power_cut),
		cmocka_unit_test(test_child_power_cut), cmocka_unit_test(test_failing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
