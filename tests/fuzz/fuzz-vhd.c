// SPDX-License-Identifier: GPL-3.0-or-later
/* VHD files: opened, told about, read; and in half of the inputs written to. */
#include <stdlib.h>

#include "p2v/base/mem.h"
#include "tests/fuzz/lib-fuzz-exercise.h"
#include "tests/fuzz/lib-fuzz-target.h"
#include "vhdx/vhd.h"

static void try_to_write(struct blk *file, struct fuzz_rest *rest)
{
	CLEANUP_BLK struct blk *view = fuzz_view(file, 0);
	CLEANUP_BLK struct blk *vhd = NULL;

	if (!fuzz_succeeds(vhd_open_on(view, VHD_OPEN_WRITE, NULL, &vhd)))
		return;
	(void)take_ptr(view);
	/* Blocks may share their place, which opening does not look for: so there is no model. */
	fuzz_write(vhd, rest, NULL);
	(void)fuzz_succeeds(blk_flush(vhd));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_rest rest = {data, size};
	unsigned flags;
	CLEANUP_BLK struct blk *file = fuzz_image_decode(&rest, &flags);
	CLEANUP_BLK struct blk *view = fuzz_view(file, BLK_READ_ONLY);
	CLEANUP_BLK struct blk *vhd = NULL;
	struct vhd_info info;
	unsigned open_flags = flags & FUZZ_TARGET_FLAG(1) ? VHD_OPEN_INSPECT : 0;

	if (!fuzz_succeeds(vhd_open_on(view, open_flags, NULL, &vhd)))
		return 0;
	(void)take_ptr(view);
	vhd_get_info(vhd, &info);
	FUZZ_ASSERT(info.size_bytes == vhd->size_bytes, "two sizes");
	fuzz_read_samples(vhd);
	if (flags & FUZZ_TARGET_FLAG(0))
		try_to_write(file, &rest);
	return 0;
}
