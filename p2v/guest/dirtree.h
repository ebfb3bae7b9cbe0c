/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A folder of the host as a guest: for tests, and for what is mounted already. */
#ifndef P2V_GUEST_DIRTREE_H
#define P2V_GUEST_DIRTREE_H

#include "p2v/guest/guest.h"

/*
 * root is the guest's "/".  No symbolic link inside leads out of it (openat2(2), RESOLVE_IN_ROOT; Linux
 * 5.6 or later).  Without the right to change owners, what is written belongs to the caller.
 */
struct err *guest_open_directory(const char *root, struct guest **ret_guest) ERR_MUST_CHECK;

#endif
