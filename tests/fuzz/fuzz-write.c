// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Writing to a fuzzed VHDX.  If checking finds no error in it, it must behave as
 * a disk, also when it is opened again, and be without errors afterwards.
 */
#include <stdlib.h>

#include "p2v/base/mem.h"
#include "tests/fuzz/lib-fuzz-exercise.h"
#include "tests/fuzz/lib-fuzz-target.h"
#include "vhdx/vhdx.h"

static bool is_sound(struct blk *file)
{
	CLEANUP_BLK struct blk *view = fuzz_view(file, BLK_READ_ONLY);
	struct vhdx_check_result result;

	return fuzz_succeeds(vhdx_check_on(view, NULL, NULL, &result)) && !result.errors;
}

static void check_again(struct blk *file, const uint8_t *model)
{
	CLEANUP_BLK struct blk *view = fuzz_view(file, BLK_READ_ONLY);
	CLEANUP_BLK struct blk *vhdx = NULL;

	FUZZ_ASSERT(is_sound(file), "writing did damage");
	fuzz_must(vhdx_open_on(view, VHDX_OPEN_INSPECT, NULL, &vhdx), "does not open again");
	(void)take_ptr(view);
	fuzz_expect_start(vhdx, model, "opened again");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_rest rest = {data, size};
	unsigned flags;
	CLEANUP_BLK struct blk *file = fuzz_image_decode(&rest, &flags);
	bool sound = is_sound(file);
	CLEANUP_BLK struct blk *view = fuzz_view(file, 0);
	CLEANUP_BLK struct blk *vhdx = NULL;
	CLEANUP_FREE uint8_t *model = NULL;

	if (!fuzz_succeeds(vhdx_open_on(view, VHDX_OPEN_WRITE | VHDX_OPEN_INCOMPLETE, NULL, &vhdx)))
		return 0;
	(void)take_ptr(view);
	if (sound) {
		model = fuzz_read_start(vhdx);
		FUZZ_ASSERT(model, "a sound image cannot be read");
	}
	fuzz_write(vhdx, &rest, model);
	if (flags & FUZZ_TARGET_FLAG(0))
		(void)fuzz_succeeds(vhdx_finish(vhdx));
	(void)fuzz_succeeds(blk_close(take_ptr(vhdx)));
	if (sound)
		check_again(file, model);
	return 0;
}
