// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Differencing files, over a parent of the fuzzer's choice: a plain device, longer
 * or shorter than the disk.  Read, and in half of the inputs written to: then one
 * in which checking finds no error must behave as a disk, also when opened again.
 */
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "tests/fuzz/lib-fuzz-exercise.h"
#include "tests/fuzz/lib-fuzz-target.h"
#include "vhdx/vhdx.h"

/* Its size follows from the flags alone, so that it is the same each time. */
static struct blk *make_parent(unsigned flags)
{
	static const uint64_t sizes[] = {3u << 20, 512, 4u << 20, 5u << 20};
	struct blk *parent;

	fuzz_must(blk_mem_create(sizes[flags / FUZZ_TARGET_FLAG(1) % 4], &parent), "a parent");
	for (uint64_t at = 0; at < parent->size_bytes; at += 64 << 10) {
		uint8_t content[512];

		memset(content, (int)(at >> 16) + 1, sizeof content);
		fuzz_must(blk_pwrite(parent, content, sizeof content, at, 0), "a parent's content");
	}
	return parent;
}

static struct blk *opened(struct blk *file, unsigned flags, unsigned open_flags)
{
	struct blk *view = fuzz_view(file, open_flags & VHDX_OPEN_WRITE ? 0 : BLK_READ_ONLY);
	struct blk *parent = make_parent(flags), *vhdx;

	if (fuzz_succeeds(vhdx_open_over(view, parent, open_flags | VHDX_OPEN_INCOMPLETE, NULL, &vhdx)))
		return vhdx;
	err_free(blk_close(view));
	err_free(blk_close(parent));
	return NULL;
}

static bool is_sound(struct blk *file)
{
	CLEANUP_BLK struct blk *view = fuzz_view(file, BLK_READ_ONLY);
	struct vhdx_check_result result;

	return fuzz_succeeds(vhdx_check_on(view, NULL, NULL, &result)) && !result.errors;
}

static void write_to(struct blk *file, unsigned flags, struct fuzz_rest *rest)
{
	bool sound = is_sound(file);
	CLEANUP_BLK struct blk *child = opened(file, flags, VHDX_OPEN_WRITE);
	CLEANUP_BLK struct blk *again = NULL;
	CLEANUP_FREE uint8_t *model = NULL;

	if (!child)
		return;
	if (sound) {
		model = fuzz_read_start(child);
		FUZZ_ASSERT(model, "a sound image cannot be read");
	}
	fuzz_write(child, rest, model);
	(void)fuzz_succeeds(blk_close(take_ptr(child)));
	if (!sound)
		return;
	FUZZ_ASSERT(is_sound(file), "writing did damage");
	again = opened(file, flags, 0);
	FUZZ_ASSERT(again, "it does not open again");
	fuzz_expect_start(again, model, "opened again");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_rest rest = {data, size};
	unsigned flags;
	CLEANUP_BLK struct blk *file = fuzz_image_decode(&rest, &flags);
	CLEANUP_BLK struct blk *child = opened(file, flags, 0);

	if (!child)
		return 0;
	fuzz_read_samples(child);
	if (flags & FUZZ_TARGET_FLAG(0))
		write_to(file, flags, &rest);
	return 0;
}
