/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A kernel command line as words, edited in place: every blank and every word
 * that is not touched is written back as it was.
 */
#ifndef BOOT_FIX_CMDLINE_H
#define BOOT_FIX_CMDLINE_H

#include <stdbool.h>
#include <stddef.h>

#include "p2v/base/cleanup.h"

struct cmdline_word {
	char *blanks; /* before it */
	char *text; /* as written, quotes included */
};

struct cmdline {
	struct cmdline_word *words;
	size_t count;
	size_t capacity;
	char *tail; /* blanks at the end */
};

/* Splits at blanks outside quotes ('"' and '\''; a backslash quotes one character). */
void cmdline_parse(const char *text, struct cmdline *ret_cmdline);
void cmdline_deinit(struct cmdline *cmdline);
#define CLEANUP_CMDLINE CLEANUP(cmdline_deinit)

char *cmdline_format(const struct cmdline *cmdline); /* the caller frees it */

/* The value of word `i` if it is "NAME=value" (quotes around the whole or the value left out), else NULL;
 * the caller frees it.  '-' and '_' are the same in names, as in the kernel. */
char *cmdline_value(const struct cmdline *cmdline, size_t i, const char *name);

/* Puts another value in its place; the quotes stay.  Word `i` must be a "NAME=value". */
void cmdline_set_value(struct cmdline *cmdline, size_t i, const char *value);

/* A word taken out with the blanks before it; a word put in front of word `i`, or last. */
void cmdline_remove(struct cmdline *cmdline, size_t i);
void cmdline_insert(struct cmdline *cmdline, size_t i, const char *word);

#endif
