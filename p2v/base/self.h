/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A process that is to outlive the file systems of its machine. */
#ifndef P2V_BASE_SELF_H
#define P2V_BASE_SELF_H

#include "p2v/base/err.h"
#include "p2v/base/strv.h"

/*
 * This program begins again with the arguments (NULL-ended, all of them), from a copy of it in memory: it
 * does not return then.  NULL: it runs from there already, and nothing has happened.  Open files stay as they
 * would over any exec.
 */
struct err *self_move_to_memory(char *const *argv) ERR_MUST_CHECK;

/* Adds the files that are mapped into our memory and are not in memory themselves: what the program was
 * started from, and the libraries that it needs. */
void self_find_mapped(struct strv *ret_paths);

#endif
