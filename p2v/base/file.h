/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Small things to do with files by their names. */
#ifndef P2V_BASE_FILE_H
#define P2V_BASE_FILE_H

#include <sys/types.h>

#include "p2v/base/err.h"

/* The folder that the path names something in: "." where it has none.  Nothing is looked up; the caller
 * frees it. */
char *file_folder(const char *path);

/* Copies a file into a new one of that mode.  ERR_REFUSED: `from` cannot be opened, and nothing was made; on
 * any other error what there is of `to` stays. */
struct err *file_copy(const char *from, const char *to, mode_t mode) ERR_MUST_CHECK;

#endif
