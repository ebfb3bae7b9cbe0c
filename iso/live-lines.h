/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lines as they come from another process, without waiting for them. */
#ifndef ISO_LIVE_LINES_H
#define ISO_LIVE_LINES_H

#include <stdbool.h>

#include "p2v/base/err.h"
#include "p2v/base/strv.h"

struct live_lines {
	int fd; /* -1: at its end, or none */
	struct text pending;
};

/* A pipe: our end, which does not block, is ret_lines's, the other one the caller's to give away and close.
 */
struct err *live_lines_begin(struct live_lines *ret_lines, int *ret_other_fd) ERR_MUST_CHECK;

/* The next whole line, without its end; the caller frees it.  NULL: there is none yet.  What is longer than
 * 64 KiB comes in pieces. */
char *live_lines_take(struct live_lines *lines);
void live_lines_end(struct live_lines *lines);

#endif
