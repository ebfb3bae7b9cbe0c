// SPDX-License-Identifier: GPL-3.0-or-later
/* Opening a VHDX in each way, and telling all about it. */
#include <stdlib.h>

#include "tests/fuzz/lib-fuzz-exercise.h"
#include "tests/fuzz/lib-fuzz-target.h"
#include "vhdx/vhdx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned ways[] = {0, VHDX_OPEN_INCOMPLETE, VHDX_OPEN_INSPECT,
					VHDX_OPEN_INSPECT | VHDX_OPEN_INCOMPLETE};
	struct fuzz_rest rest = {data, size};
	unsigned flags;
	CLEANUP_BLK struct blk *file = fuzz_image_decode(&rest, &flags);
	CLEANUP_BLK struct blk *view = fuzz_view(file, BLK_READ_ONLY);
	CLEANUP_BLK struct blk *vhdx = NULL;
	CLEANUP_VHDX_INFO struct vhdx_info info = {0};

	if (!fuzz_succeeds(vhdx_open_on(view, ways[flags / FUZZ_TARGET_FLAG(0) % 4], NULL, &vhdx)))
		return 0;
	(void)take_ptr(view);
	if (fuzz_succeeds(vhdx_get_info(vhdx, &info)))
		FUZZ_ASSERT(info.disk.size_bytes == vhdx->size_bytes, "two sizes");
	return 0;
}
