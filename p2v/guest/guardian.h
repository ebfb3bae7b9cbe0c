/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A small process that outlives us, whatever ends us, just long enough to take
 * away what libguestfs would leave behind: its hypervisor's processes, and its
 * socket's folder, which is outside our scratch folder.
 */
#ifndef P2V_GUEST_GUARDIAN_H
#define P2V_GUEST_GUARDIAN_H

#include <sys/types.h>

#include "p2v/base/err.h"

struct guardian;

/* Forks. */
struct err *guardian_start(struct guardian **ret_guardian) ERR_MUST_CHECK;

/* To be killed, with all of the group. */
void guardian_watch_group(struct guardian *guardian, pid_t group);

/* To be removed: a socket, and the folder that holds nothing else.  At most 107 bytes. */
void guardian_watch_socket(struct guardian *guardian, const char *path);

/* There is nothing to take away any more: ends it.  Takes NULL. */
void guardian_dismiss(struct guardian *guardian);

DEFINE_CLEANUP(guardian, struct guardian *, guardian_dismiss)
#define CLEANUP_GUARDIAN CLEANUP(cleanup_guardian)

#endif
