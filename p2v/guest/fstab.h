/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * /etc/fstab, read and edited so that everything but the changed fields stays
 * as it was: comments, order, white space, lines that make no sense.  fstab(5).
 */
#ifndef P2V_GUEST_FSTAB_H
#define P2V_GUEST_FSTAB_H

#include <stdbool.h>
#include <stddef.h>

#include "p2v/base/cleanup.h"

struct fstab;

/* Fields with their \040 escapes undone.  A field that the line leaves out is what mount(8) takes then. */
struct fstab_entry {
	const char *spec; /* "UUID=…", "/dev/sda1" */
	const char *file; /* "/", "none" for swap */
	const char *type; /* "auto" if left out */
	const char *options; /* "defaults" if left out */
	unsigned freq;
	unsigned passno;
};

/* Never fails: lines that are no entries are only kept.  text may be NULL (no such file). */
struct fstab *fstab_parse(const char *text);
size_t fstab_count(const struct fstab *fstab);
const struct fstab_entry *fstab_entry(const struct fstab *fstab, size_t i);

/* Columns behind the field stay where they are if there is room. */
void fstab_set_spec(struct fstab *fstab, size_t i, const char *spec);
void fstab_set_options(struct fstab *fstab, size_t i, const char *options);

/* Puts a '#' in front of the entry's line; it is no entry any more, and those behind it move up. */
void fstab_comment_out(struct fstab *fstab, size_t i);

/* The first entry that mounts on `file`, NULL if there is none. */
const struct fstab_entry *fstab_find_file(const struct fstab *fstab, const char *file);

/* True if the comma-separated options contain the word ("noauto"), or "word=…"; the value goes to
 * *ret_value if that is not NULL, and is then the caller's. */
bool fstab_has_option(const char *options, const char *word, char **ret_value);

/* The whole text; the caller frees it. */
char *fstab_format(const struct fstab *fstab);
void fstab_destroy(struct fstab *fstab); /* takes NULL */

DEFINE_CLEANUP(fstab, struct fstab *, fstab_destroy)
#define CLEANUP_FSTAB CLEANUP(cleanup_fstab)

#endif
