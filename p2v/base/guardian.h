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

#include <stddef.h>

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

/*
 * A process of the same kind that has something else to put right: guard() runs in a forked copy of us, in a
 * session of its own, deaf to signals that a terminal sends.  It has its end of a socket (SOCK_SEQPACKET),
 * which ends when we do, and the descriptors to keep, in ascending order and none below 3.  Threads may have
 * held any lock when it was forked: it must allocate nothing, and call nothing but the kernel and
 * guardian_become().
 */
struct guardian_charge {
	const char *name; /* of the process */
	void (*guard)(int socket, void *arg);
	void *arg;
	const int *keep;
	size_t keep_count;
};
struct err *guardian_fork(const struct guardian_charge *charge, struct guardian **ret_guardian)
	ERR_MUST_CHECK;
/* The end of guard(): it is this program from then on, without input and output.  Returns if it cannot be. */
void guardian_become(const char *const *argv);
int guardian_socket(const struct guardian *guardian); /* our end; the guardian's own */
/* Closes our end, waits for guard() to return, frees. */
void guardian_let_go(struct guardian *guardian);

DEFINE_CLEANUP(guardian, struct guardian *, guardian_dismiss)
#define CLEANUP_GUARDIAN CLEANUP(cleanup_guardian)

#endif
