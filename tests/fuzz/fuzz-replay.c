// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The log: what reading sees with the log replayed in memory is what the file
 * holds after it was replayed there, and then there is nothing left to replay.
 */
#include <stdlib.h>

#include "tests/fuzz/lib-fuzz-exercise.h"
#include "tests/fuzz/lib-fuzz-target.h"
#include "vhdx/vhdx.h"

static struct blk *opened(struct blk *file, unsigned flags)
{
	struct blk *view = fuzz_view(file, flags & VHDX_OPEN_WRITE ? 0 : BLK_READ_ONLY);
	struct blk *vhdx = NULL;

	if (!fuzz_succeeds(vhdx_open_on(view, flags | VHDX_OPEN_INCOMPLETE, NULL, &vhdx)))
		err_free(blk_close(view));
	return vhdx;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_rest rest = {data, size}, again = rest;
	unsigned flags;
	CLEANUP_BLK struct blk *file = fuzz_image_decode(&rest, &flags);
	CLEANUP_BLK struct blk *untouched = fuzz_image_decode(&again, &flags);
	CLEANUP_BLK struct blk *before = opened(untouched, 0);
	CLEANUP_BLK struct blk *replayed = opened(file, VHDX_OPEN_WRITE);
	CLEANUP_BLK struct blk *after = NULL;
	CLEANUP_VHDX_INFO struct vhdx_info info = {0};

	if (!replayed)
		return 0;
	FUZZ_ASSERT(before, "it can be opened for writing, but not for reading");
	fuzz_compare_samples(before, replayed);
	fuzz_must(blk_close(take_ptr(replayed)), "closing fails");
	after = opened(file, 0);
	FUZZ_ASSERT(after, "replayed, it does not open any more");
	fuzz_compare_samples(before, after);
	if (fuzz_succeeds(vhdx_get_info(after, &info)))
		FUZZ_ASSERT(!info.log.replayed_entries && guid_is_zero(&info.log.guid),
			    "the log is still there");
	return 0;
}
