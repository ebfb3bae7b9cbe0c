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

static void expect_same(struct blk *a, struct blk *b)
{
	CLEANUP_FREE uint8_t *x = xmalloc(1 << 20);
	CLEANUP_FREE uint8_t *y = xmalloc(1 << 20);

	FUZZ_ASSERT(a->size_bytes == b->size_bytes, "undo leaves another length");
	for (uint64_t offset = 0; offset < a->size_bytes; offset += 1 << 20) {
		uint64_t left = a->size_bytes - offset;
		size_t bytes = left < 1 << 20 ? left : 1 << 20;

		fuzz_must(blk_pread(a, x, bytes, offset), "reading");
		fuzz_must(blk_pread(b, y, bytes, offset), "reading");
		FUZZ_ASSERT(!memcmp(x, y, bytes), "undo leaves changes near %" PRIu64, offset);
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
	expect_same(before, file);
	return 0;
}
