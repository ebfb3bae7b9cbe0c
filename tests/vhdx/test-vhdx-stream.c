// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Random requests on disks of many sizes and shapes, against sparse memory of the
 * same size as the model; in between, the file is closed and opened, or lost with
 * its log not emptied and opened from what was on disk.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "tests/base/lib-must.h"
#include "tests/vhdx/lib-stream.h"

struct world {
	struct stream stream;
	struct blk *file;
	bool incomplete;
};

static void close_and_open(struct world *w)
{
	struct blk *copy;

	/* The file is closed with the device, so the copy is taken before: as after the close, it must hold
	 * all that was flushed. */
	must(blk_flush(w->stream.vhdx));
	copy = copy_of(w->file);
	if (!w->incomplete)
		assert_no_errors_in(copy);
	must(blk_close(w->stream.vhdx));
	w->file = copy;
	w->stream.vhdx = vhdx_opened(copy, VHDX_OPEN_WRITE | (w->incomplete ? VHDX_OPEN_INCOMPLETE : 0));
}

static void run_stream(const struct vhdx_create_options *options, uint64_t chunk_bytes, unsigned requests)
{
	struct world w = {.incomplete = true};
	struct stream *s = &w.stream;

	stream_init(s, options->size_bytes, chunk_bytes, chunk_bytes + requests);
	s->vhdx = vhdx_in_memory(options, &w.file);
	for (unsigned i = 1; i <= requests; i++) {
		stream_request(s);
		if (i == requests / 3) {
			must(vhdx_finish(s->vhdx));
			w.incomplete = false;
			assert_clean(w.file);
		}
		if (i % (requests / 6) == 0) {
			stream_compare(s);
			close_and_open(&w);
			stream_compare(s);
		}
	}
	must(vhdx_finish(s->vhdx));
	assert_clean(w.file);
	stream_compare(s);
	must(blk_close(s->vhdx));
	stream_deinit(s);
}

static void test_streams(void **state)
{
	static const struct {
		struct vhdx_create_options options;
		uint64_t chunk_bytes;
	} cases[] = {
		{{.size_bytes = 9 * GIB, .block_bytes = 1 << 20}, 4 * GIB},
		{{.size_bytes = 4 * GIB + 512 * 3}, 4 * GIB},
		{{.size_bytes = 13 * MIB + 512, .block_bytes = 4 << 20}, 4 * MIB},
		{{.size_bytes = 8 * GIB + 16 * MIB + 1024, .block_bytes = 32 << 20}, 4 * GIB},
		{{.size_bytes = 33 * GIB + 8192, .block_bytes = 1 << 20, .logical_sector_bytes = 4096},
		 32 * GIB},
		{{.size_bytes = 64 * GIB + 4096, .block_bytes = 16 << 20, .logical_sector_bytes = 4096},
		 32 * GIB},
		{{.size_bytes = 20 * MIB + 512, .flags = VHDX_FIXED}, 2 * MIB},
		{{.size_bytes = 9 * MIB, .block_bytes = 8 << 20, .flags = VHDX_FIXED}, 8 * MIB},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		run_stream(&cases[i].options, cases[i].chunk_bytes, 240);
}

/* What is given up is used again, so that a file does not grow for ever. */
static void test_space_is_used_again(void **state)
{
	const struct vhdx_create_options options = {.size_bytes = 64 * MIB, .block_bytes = 1 << 20};
	CLEANUP_FREE uint8_t *data = xmalloc(10 * MIB);
	struct blk *file, *vhdx = vhdx_in_memory(&options, &file);
	uint64_t limit;

	(void)state;
	memset(data, 0x77, 10 * MIB);
	must(vhdx_finish(vhdx));
	must(blk_pwrite(vhdx, data, 10 * MIB, 0, 0));
	must(blk_flush(vhdx));
	limit = file->size_bytes;
	for (uint64_t i = 1; i < 20; i++) {
		uint64_t from = (i - 1) % 5 * 10 * MIB, to = i % 5 * 10 * MIB;

		must(blk_discard(vhdx, 10 * MIB, from));
		must(blk_flush(vhdx));
		must(blk_pwrite(vhdx, data, 10 * MIB - 5000, to + 5000, 0));
		/* The rest of the first block must be zeros, not what was there before. */
		must(blk_pread(vhdx, data, 5000, to));
		assert_true(blk_is_zero(data, 5000));
		memset(data, 0x77, 5000);
	}
	assert_int_equal(file->size_bytes, limit);
	/* Gaps are found by a new opening, too. */
	must(blk_discard(vhdx, 64 * MIB, 0));
	must(blk_flush(vhdx));
	file = copy_of(file);
	must(blk_close(vhdx));
	vhdx = vhdx_opened(file, VHDX_OPEN_WRITE);
	must(blk_pwrite(vhdx, data, 10 * MIB, 3 * MIB + 1, 0));
	must(vhdx_finish(vhdx));
	assert_true(file->size_bytes <= limit + MIB);
	assert_clean(file);
	must(blk_close(vhdx));
}

/* Space is not used again before it is given up durably. */
static void test_space_waits_for_the_flush(void **state)
{
	const struct vhdx_create_options options = {.size_bytes = 8 * MIB, .block_bytes = 1 << 20};
	struct blk *file, *vhdx = vhdx_in_memory(&options, &file);
	uint8_t old[4096], new[4096], got[4096];
	CLEANUP_BLK struct blk *after = NULL;

	(void)state;
	memset(old, 1, sizeof old);
	memset(new, 2, sizeof new);
	must(vhdx_finish(vhdx));
	must(blk_pwrite(vhdx, old, sizeof old, 0, BLK_FUA));
	must(blk_discard(vhdx, MIB, 0));
	must(blk_pwrite(vhdx, new, sizeof new, MIB, 0));
	after = vhdx_opened(copy_of(file), 0);
	must(blk_pread(after, got, sizeof got, 0));
	assert_memory_equal(got, old, sizeof got);
	must(blk_close(vhdx));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_streams),
		cmocka_unit_test(test_space_is_used_again),
		cmocka_unit_test(test_space_waits_for_the_flush),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
