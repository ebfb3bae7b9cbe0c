/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "capture/masked.h"

#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"

struct masked {
	struct blk blk;
	struct blk *disk;
	struct extents kept;
};

static struct masked *to_masked(struct blk *blk)
{
	return (struct masked *)blk;
}

/* How many bytes from offset on, of at most len_bytes, are all kept or all left out. */
static uint64_t run_at(const struct masked *masked, uint64_t offset, uint64_t len_bytes, bool *ret_is_kept)
{
	size_t i = extents_find(&masked->kept, offset);
	const struct extent *range = &masked->kept.ranges[i];
	uint64_t run = len_bytes;

	*ret_is_kept = i < masked->kept.count && range->start <= offset;
	if (*ret_is_kept)
		run = range->end - offset;
	else if (i < masked->kept.count)
		run = range->start - offset;
	return run < len_bytes ? run : len_bytes;
}

static struct err *masked_pread(struct blk *blk, void *buf, size_t len_bytes, uint64_t offset)
{
	const struct masked *masked = to_masked(blk);
	uint8_t *at = buf;

	while (len_bytes) {
		bool is_kept;
		size_t run = run_at(masked, offset, len_bytes, &is_kept);

		if (is_kept)
			TRY(blk_pread(masked->disk, at, run, offset));
		else
			memset(at, 0, run);
		at += run;
		offset += run;
		len_bytes -= run;
	}
	return NULL;
}

static struct err *masked_extents(struct blk *blk, uint64_t len_bytes, uint64_t offset, blk_extent_fn fn,
				  void *arg)
{
	const struct masked *masked = to_masked(blk);

	while (len_bytes) {
		bool is_kept;
		uint64_t run = run_at(masked, offset, len_bytes, &is_kept);

		if (is_kept)
			TRY(blk_extents(masked->disk, run, offset, fn, arg));
		else
			TRY(fn(arg, offset, run, BLK_EXTENT_ZERO));
		offset += run;
		len_bytes -= run;
	}
	return NULL;
}

static struct err *masked_close(struct blk *blk)
{
	struct masked *masked = to_masked(blk);
	struct err *err = blk_close(masked->disk);

	extents_deinit(&masked->kept);
	free(blk->name);
	free(masked);
	return err;
}

static const struct blk_ops masked_ops = {
	.kind = "masked",
	.pread = masked_pread,
	.extents = masked_extents,
	.close = masked_close,
};

struct blk *masked_create(struct blk *disk, struct extents *kept)
{
	struct masked *masked = xcalloc(1, sizeof *masked);

	masked->blk = (struct blk){
		.ops = &masked_ops,
		.name = xstrdup(disk->name),
		.size_bytes = disk->size_bytes,
		.logical_sector_bytes = disk->logical_sector_bytes,
		.physical_sector_bytes = disk->physical_sector_bytes,
		.preferred_bytes = disk->preferred_bytes,
		.flags = BLK_READ_ONLY,
	};
	masked->disk = disk;
	masked->kept = *kept;
	*kept = (struct extents){0};
	return &masked->blk;
}
