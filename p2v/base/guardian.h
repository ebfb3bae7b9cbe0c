/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A small process that outlives us, whatever ends us (SIGKILL included), just
 * long enough to take away what would stay behind.  It is what makes every
 * interruption one path: nobody else cleans up after a signal.  Processes are not
 * its business: the kernel ends our children with us (p2v/base/run.h).
 *
 * Its owner keeps one for as long as there is something to take away.  It holds
 * one thing of each kind, the last it was told.
 */
#ifndef P2V_BASE_GUARDIAN_H
#define P2V_BASE_GUARDIAN_H

#include "p2v/base/err.h"

struct guardian;

/* Forks; other threads may run. */
struct err *guardian_start(struct guardian **ret_guardian) ERR_MUST_CHECK;

/* Makes a folder, by mkdtemp(3), which is to be removed with all that is in it; from the first moment on,
 * even if we are killed meanwhile.  Changes the template's XXXXXX; an errno if there is none. */
int guardian_make_tree(struct guardian *guardian, char *template);

/* To be removed: a socket that others have made, and its folder if it then is empty.  An absolute path. */
void guardian_watch_socket(struct guardian *guardian, const char *path);

/* There is nothing to take away any more: ends it.  Takes NULL. */
void guardian_dismiss(struct guardian *guardian);

DEFINE_CLEANUP(guardian, struct guardian *, guardian_dismiss)
#define CLEANUP_GUARDIAN CLEANUP(cleanup_guardian)

#endif
