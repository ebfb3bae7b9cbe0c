/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Removing a folder with all that is in it. */
#ifndef P2V_BASE_REMOVE_TREE_H
#define P2V_BASE_REMOVE_TREE_H

#include <stdbool.h>

/*
 * False if something of it is still there.  Symbolic links are removed, not followed, and what is mounted
 * in it stays.  Allocates nothing: it may be called between fork() and exec() of a process with threads.
 */
bool remove_tree(const char *path);

#endif
