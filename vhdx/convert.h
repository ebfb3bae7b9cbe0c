/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Copies the content of one device to another. */
#ifndef VHDX_CONVERT_H
#define VHDX_CONVERT_H

#include "p2v/base/blk.h"
#include "p2v/base/progress.h"

/* Zero-initialised is fine. */
struct image_convert_options {
	unsigned threads; /* 0: as many as suit this machine, at least 2 */
	struct progress *progress; /* counts the bytes of source that may hold data */
	bool no_clone; /* the target shall have its data for itself */
	const struct extents *data; /* those bytes, if the caller has asked for them already */
};

/* True if (most) data can be cloned, and so takes no space where it is shared. */
bool image_can_clone(struct blk *source, struct blk *target);

/*
 * Copies source to target, which must be all zeros and at least as large.  Holes
 * of the source are not read, and zeros not written, so both stay as sparse as
 * the formats allow; but what image_can_clone() is cloned without looking for
 * zeros in it.  What target has behind the end of source stays zeros.
 * Nothing is flushed.  options may be NULL.
 */
struct err *image_convert(struct blk *source, struct blk *target, const struct image_convert_options *options)
	ERR_MUST_CHECK;

#endif
