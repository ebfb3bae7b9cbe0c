/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Editing configuration files so that every byte which is not concerned stays
 * as it was: lines and words are replaced, never written anew from a parsed
 * form.  A file that holds NUL bytes is no configuration text and is left
 * alone.
 */
#ifndef BOOT_FIX_EDIT_H
#define BOOT_FIX_EDIT_H

#include <stdbool.h>
#include <stddef.h>

#include "p2v/base/strv.h"
#include "p2v/guest/plan.h"

/* What is to stand in place of a line (without its line end), to be freed; NULL keeps it.  `rest` is what
 * follows the line in the file, for formats where later lines matter. */
typedef char *(*edit_line_fn)(void *arg, const char *line, const char *rest);

/* The new text, or NULL if no line changed; the caller frees it. */
char *edit_lines(const char *data, size_t bytes, edit_line_fn fn, void *arg);

/* Edits a file of the guest, if it is there.  The reason is asked for only when something changed, after
 * all lines were seen, and is freed. */
struct err *edit_file(struct plan *plan, const char *path, edit_line_fn fn, void *arg,
		      char *(*reason)(void *arg)) ERR_MUST_CHECK;

/* Only looks: `fn` returns NULL for every line. */
struct err *edit_visit(struct plan *plan, const char *path, edit_line_fn fn, void *arg) ERR_MUST_CHECK;

/* The line as a comment ('#'), under a line that says why; to be freed. */
char *edit_comment_out(const char *line, const char *why);

/* Files of the guest, as planned, that match a pattern: "*" and "?" may stand in any component below the
 * first.  Appended in sorted order. */
struct err *edit_expand(struct plan *plan, const char *pattern, struct strv *paths) ERR_MUST_CHECK;

/* A piece of a line: [start, end). */
struct span {
	size_t start, end;
};

/* The fields of a line, separated by blanks, at most `max`; returns how many there are.  Empty lines and
 * comments ('#') have none. */
size_t edit_split_fields(const char *line, struct span *fields, size_t max);

/* The piece as a string; the line with the piece replaced; both to be freed. */
char *edit_piece(const char *line, struct span piece);
char *edit_replace_piece(const char *line, struct span piece, const char *text);

/* Replaces *line by what edit_replace_piece() gives; *line may be a heap string or NULL, which stands for
 * `original`. */
void edit_replace_in(char **line, const char *original, struct span piece, const char *text);

/* The value in "NAME=value" as a shell reads it ("export" and blanks before are allowed): without its
 * quotes, up to the end of the line if the closing quote is missing. */
struct shell_value {
	struct span name;
	struct span value;
	char quote; /* '"', '\'' or 0 */
};
bool edit_find_assignment(const char *line, struct shell_value *ret_value);

/* The line with another value, put in quotes where that value needs them; to be freed. */
char *edit_replace_value(const char *line, const struct shell_value *value, const char *text);

#endif
