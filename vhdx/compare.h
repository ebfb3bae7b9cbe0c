/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tells whether two devices read the same. */
#ifndef VHDX_COMPARE_H
#define VHDX_COMPARE_H

#include <stdbool.h>

#include "p2v/base/blk.h"
#include "p2v/base/progress.h"

/* Zero-initialised is fine. */
struct image_compare_options {
	unsigned threads; /* 0: as many as suit this machine, at least 2 */
	struct progress *progress; /* counts bytes up to the size of the larger device */
};

struct image_difference {
	bool found;
	uint64_t offset; /* of the first byte that differs */
};

/*
 * Compares what the two read as; how zeros are stored does not matter, and what
 * is a hole in both is not read.  The shorter one counts as continued by zeros:
 * who cares looks at the sizes.  options may be NULL.
 */
struct err *image_compare(struct blk *a, struct blk *b, const struct image_compare_options *options,
			  struct image_difference *ret_difference) ERR_MUST_CHECK;

#endif
