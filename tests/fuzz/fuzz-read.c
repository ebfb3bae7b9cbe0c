// SPDX-License-Identifier: GPL-3.0-or-later
/* Reading a VHDX: map, extents, content; its log is replayed in memory. */
#include <inttypes.h>
#include <stdlib.h>

#include "tests/fuzz/lib-fuzz-exercise.h"
#include "tests/fuzz/lib-fuzz-target.h"
#include "vhdx/vhdx.h"

static struct err *check_run(void *arg, const struct vhdx_map_run *run)
{
	uint64_t *at = arg;

	FUZZ_ASSERT(run->offset == *at && run->len_bytes, "map: %" PRIu64 " follows %" PRIu64, run->offset,
		    *at);
	*at += run->len_bytes;
	return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_rest rest = {data, size};
	unsigned flags;
	CLEANUP_BLK struct blk *file = fuzz_image_decode(&rest, &flags);
	CLEANUP_BLK struct blk *view = fuzz_view(file, BLK_READ_ONLY);
	CLEANUP_BLK struct blk *vhdx = NULL;
	uint64_t at = 0;

	if (!fuzz_succeeds(vhdx_open_on(view, VHDX_OPEN_INCOMPLETE, NULL, &vhdx)))
		return 0;
	(void)take_ptr(view);
	if (fuzz_succeeds(vhdx_map(vhdx, check_run, &at)))
		FUZZ_ASSERT(at == vhdx->size_bytes, "the map ends at %" PRIu64, at);
	fuzz_read_samples(vhdx);
	return 0;
}
