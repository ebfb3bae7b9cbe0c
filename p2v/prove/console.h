/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What consoles show when a boot has come to its end without success. */
#ifndef P2V_PROVE_CONSOLE_H
#define P2V_PROVE_CONSOLE_H

#include <stddef.h>

#include "p2v/base/strv.h"

struct console_end {
	const char *text; /* what shows */
	const char *meaning; /* "the kernel panicked" */
	const char *advice;
	const char *cause; /* the last line with this says more; NULL: the line of `text` itself does */
	unsigned grace_s; /* a report may still come within this time */
};

/* The end that console output of any bytes shows, NULL if none. */
const struct console_end *console_find_end(const char *data, size_t bytes);

/* The line that says what caused it, cleaned; the caller frees it.  NULL if there is none. */
char *console_find_cause(const struct console_end *end, const char *data, size_t bytes);

/*
 * A file that grows (a serial port's log): what it holds, read anew by console_refresh(), at most the
 * last max_bytes.  Zero-initialise all but path and max_bytes.
 */
struct console {
	const char *path;
	size_t max_bytes;
	struct text text;
	size_t read_bytes; /* of the file, so far */
};
void console_refresh(struct console *console);
void console_deinit(struct console *console);

#endif
