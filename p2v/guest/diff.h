/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Differences of two texts in the unified format (POSIX diff -u), as patch(1) reads it. */
#ifndef P2V_GUEST_DIFF_H
#define P2V_GUEST_DIFF_H

#include "p2v/base/strv.h"

struct diff_text {
	const char *name; /* for the header: "a/etc/fstab", "/dev/null" */
	const char *data;
	size_t bytes;
};

/* Adds nothing for equal texts.  Three lines of context. */
void diff_format_unified(const struct diff_text *before, const struct diff_text *after,
			 struct text *ret_text);

#endif
