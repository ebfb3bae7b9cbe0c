// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Repairing: what it says it put right checks without other errors than those it
 * says are left, and opens; and the backup brings back the file as it was.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "tests/fuzz/lib-fuzz-exercise.h"
#include "tests/fuzz/lib-fuzz-target.h"
#include "vhdx/repair.h"

#define PIECE_BYTES (64u << 10)

static void expect_repaired(struct blk *file, const struct vhdx_repair_summary *summary)
{
	CLEANUP_BLK struct blk *view = fuzz_view(file, BLK_READ_ONLY);
	CLEANUP_BLK struct blk *vhdx = NULL;
	struct vhdx_check_result result;

	fuzz_must(vhdx_check_on(view, NULL, NULL, &result), "checking what was repaired");
	FUZZ_ASSERT(result.errors == summary->left_count,
		    "%" PRIu64 " errors after repair, %zu were foretold", result.errors, summary->left_count);
	fuzz_must(vhdx_open_on(view, VHDX_OPEN_INSPECT, NULL, &vhdx), "opening what was repaired");
	(void)take_ptr(view);
}

static void expect_same_range(struct blk *a, struct blk *b, struct extent range)
{
	CLEANUP_FREE uint8_t *x = xmalloc(PIECE_BYTES);
	CLEANUP_FREE uint8_t *y = xmalloc(PIECE_BYTES);

	for (uint64_t offset = range.start; offset < range.end; offset += PIECE_BYTES) {
		size_t bytes = range.end - offset < PIECE_BYTES ? range.end - offset : PIECE_BYTES;

		fuzz_must(blk_pread(a, x, bytes, offset), "reading");
		fuzz_must(blk_pread(b, y, bytes, offset), "reading");
		FUZZ_ASSERT(!memcmp(x, y, bytes), "undo leaves changes near %" PRIu64, offset);
	}
}

/* Wherever one of them was changed. */
static void expect_same(struct blk *before, struct blk *after, const struct extents *changed)
{
	FUZZ_ASSERT(before->size_bytes == after->size_bytes, "undo leaves another length");
	for (size_t i = 0; i < changed->count; i++) {
		struct extent range = changed->ranges[i];

		if (range.end > before->size_bytes)
			range.end = before->size_bytes;
		expect_same_range(before, after, range);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_rest rest = {data, size}, again = rest;
	unsigned flags;
	CLEANUP_BLK struct blk *before = fuzz_image_decode(&rest, &flags);
	CLEANUP_BLK struct blk *file = fuzz_image_decode(&again, &flags);
	CLEANUP_BLK struct blk *view = fuzz_view(file, 0);
	CLEANUP_BLK struct blk *backup = NULL;
	CLEANUP_VHDX_REPAIR struct vhdx_repair *repair = NULL;
	struct vhdx_repair_summary summary;

	if (!fuzz_succeeds(vhdx_repair_plan(before, flags & FUZZ_TARGET_FLAG(0) ? VHDX_REPAIR_COMPLETE : 0,
					    &repair)))
		return 0;
	summary = vhdx_repair_summarize(repair);
	if (!summary.needed)
		return 0;
	fuzz_must(blk_mem_create(0, &backup), "a backup");
	fuzz_must(vhdx_repair_back_up(repair, backup), "writing the backup");
	/* No space for what the file has to become is a fair answer. */
	if (fuzz_succeeds(vhdx_repair_apply(repair, view)))
		expect_repaired(file, &summary);
	fuzz_must(vhdx_repair_undo(view, backup), "undoing");
	expect_same(before, file, fuzz_view_changed(view));
	return 0;
}
