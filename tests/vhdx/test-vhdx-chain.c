// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Chains of differencing files: random requests at each level against a memory
 * model, power cuts, and what a chain must not be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "tests/base/lib-must.h"
#include "tests/vhdx/lib-stream.h"

#define MAX_LEVELS 4u

struct chain {
	struct blk *files[MAX_LEVELS]; /* the last one belongs to the open device */
	unsigned levels;
	struct stream stream;
};

/* Levels [0, count) read-only. */
static struct blk *open_parents(struct chain *c, unsigned count)
{
	struct blk *vhdx = NULL;

	for (unsigned i = 0; i < count; i++) {
		struct blk *file = borrowed(c->files[i]), *parent = vhdx;

		must(parent ? vhdx_open_over(file, parent, 0, NULL, &vhdx)
			    : vhdx_open_on(file, 0, NULL, &vhdx));
	}
	return vhdx;
}

static void open_last(struct chain *c, struct blk *file)
{
	struct blk *parent = open_parents(c, c->levels - 1);

	c->files[c->levels - 1] = file;
	must(parent ? vhdx_open_over(file, parent, VHDX_OPEN_WRITE, NULL, &c->stream.vhdx)
		    : vhdx_open_on(file, VHDX_OPEN_WRITE, NULL, &c->stream.vhdx));
}

static void close_and_open(struct chain *c)
{
	struct blk *copy;

	must(blk_flush(c->stream.vhdx));
	copy = copy_of(c->files[c->levels - 1]);
	assert_no_errors_in(copy);
	must(blk_close(c->stream.vhdx));
	open_last(c, copy);
}

static void add_level(struct chain *c, const struct vhdx_create_options *options)
{
	struct vhdx_create_options o = *options;
	struct blk *file;

	o.parent = open_parents(c, c->levels);
	must(blk_mem_create(0, &file));
	must(vhdx_create_on(file, &o, NULL, &c->stream.vhdx));
	c->files[c->levels++] = file;
	/* Half of the time it is written to before it is finished. */
	for (unsigned i = 0; c->levels % 2 && i < 20; i++)
		stream_request(&c->stream);
	must(vhdx_finish(c->stream.vhdx));
	assert_clean(file);
	stream_compare(&c->stream);
}

static void work_on_level(struct chain *c, unsigned requests)
{
	struct blk *copy;

	for (unsigned i = 1; i <= requests; i++) {
		stream_request(&c->stream);
		if (i % (requests / 3) == 0) {
			stream_compare(&c->stream);
			close_and_open(c);
			stream_compare(&c->stream);
		}
	}
	must(vhdx_finish(c->stream.vhdx));
	assert_clean(c->files[c->levels - 1]);
	copy = copy_of(c->files[c->levels - 1]);
	must(blk_close(c->stream.vhdx));
	c->files[c->levels - 1] = copy;
}

/* What of the disk is the parent's, the child's and neither's. */
static void test_streams(void **state)
{
	static const struct {
		uint64_t size_bytes;
		uint32_t sector_bytes;
		uint32_t block_bytes[MAX_LEVELS];
		uint64_t chunk_bytes;
		unsigned requests;
	} cases[] = {
		{9 * MIB + 512 * 5, 512, {1 << 20, 1 << 20, 2 << 20}, 4 * GIB, 120},
		{9 * GIB, 512, {1 << 20, 2 << 20, 1 << 20, 32 << 20}, 4 * GIB, 90},
		{4 * GIB + 512 * 3, 512, {2 << 20, 2 << 20}, 4 * GIB, 120},
		{33 * GIB + 8192, 4096, {1 << 20, 16 << 20, 2 << 20}, 32 * GIB, 60},
		{8 * GIB + 512, 512, {256 << 20, 1 << 20, 256 << 20}, 4 * GIB, 60},
		{600 * MIB, 4096, {64 << 20, 8 << 20, 4 << 20, 128 << 20}, 32 * GIB, 60},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct chain c = {0};
		unsigned levels = 0;

		stream_init(&c.stream, cases[i].size_bytes, cases[i].chunk_bytes, 1000 + i);
		while (levels < MAX_LEVELS && cases[i].block_bytes[levels]) {
			struct vhdx_create_options options = {
				.size_bytes = levels ? 0 : cases[i].size_bytes,
				.logical_sector_bytes = levels ? 0 : cases[i].sector_bytes,
				.block_bytes = cases[i].block_bytes[levels++],
			};

			add_level(&c, &options);
			work_on_level(&c, cases[i].requests);
		}
		c.stream.vhdx = open_parents(&c, levels);
		stream_compare(&c.stream);
		must(blk_close(c.stream.vhdx));
		while (levels--)
			must(blk_close(c.files[levels]));
		stream_deinit(&c.stream);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_streams),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
