// SPDX-License-Identifier: GPL-3.0-or-later
/* Checking a VHDX: a file without errors opens and can be read. */
#include <stdlib.h>

#include "tests/fuzz/lib-fuzz-exercise.h"
#include "tests/fuzz/lib-fuzz-target.h"
#include "vhdx/vhdx.h"

static void count(void *arg, const struct vhdx_finding *finding)
{
	struct vhdx_check_result *result = arg;

	FUZZ_ASSERT(*finding->text, "a finding without text");
	if (finding->severity == VHDX_ERROR)
		result->errors++;
	else
		result->warnings++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vhdx_check_result counted = {0}, result = {0};
	struct fuzz_rest rest = {data, size};
	unsigned flags;
	CLEANUP_BLK struct blk *file = fuzz_image_decode(&rest, &flags);
	CLEANUP_BLK struct blk *view = fuzz_view(file, BLK_READ_ONLY);
	CLEANUP_BLK struct blk *vhdx = NULL;
	CLEANUP_VHDX_INFO struct vhdx_info info = {0};

	if (!fuzz_succeeds(vhdx_check_on(view, count, &counted, &result)))
		return 0;
	FUZZ_ASSERT(counted.errors == result.errors && counted.warnings == result.warnings,
		    "findings and counts differ");
	if (result.errors)
		return 0;
	fuzz_must(vhdx_open_on(view, VHDX_OPEN_INSPECT, NULL, &vhdx), "checks clean, but does not open");
	(void)take_ptr(view);
	fuzz_must(vhdx_get_info(vhdx, &info), "checks clean, but its map is bad");
	return 0;
}
