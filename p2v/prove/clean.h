/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a guest printed, made fit for a message, a terminal and JSON. */
#ifndef P2V_PROVE_CLEAN_H
#define P2V_PROVE_CLEAN_H

#include <stddef.h>

#include "p2v/base/strv.h"

/*
 * One line: escape sequences (ECMA-48) and other control characters go, tabs become spaces, bytes that
 * are not UTF-8 become '?', spaces at the end go.  The caller frees it.
 */
char *clean_line(const char *data, size_t bytes);

/* Adds the last max_lines lines that are not empty when clean, oldest first. */
void clean_tail(const char *data, size_t bytes, size_t max_lines, struct strv *ret_lines);

#endif
