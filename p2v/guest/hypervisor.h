/* SPDX-License-Identifier: GPL-3.0-or-later */
/* libguestfs's hypervisor, made to end with us. */
#ifndef P2V_GUEST_HYPERVISOR_H
#define P2V_GUEST_HYPERVISOR_H

#include "p2v/base/err.h"

/*
 * Writes a script into dir that runs the hypervisor (a path, or a name in PATH)
 * such that it gets SIGKILL when the thread that starts it ends, or at once if
 * this process is gone already.  *ret_path: the script's path, for
 * guestfs_set_hv(); the caller frees it.  ERR_FAILED also where setpriv(1) is
 * missing: libguestfs's own watch over it then has to do, which takes seconds.
 */
struct err *hypervisor_bind(const char *hypervisor, const char *dir, char **ret_path) ERR_MUST_CHECK;

#endif
