/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The appliance as libguestfs builds it, and a variant that starts faster where
 * the processor is emulated: the same kernel without its compression, whose
 * unpacking takes a third of the whole start there.
 */
#ifndef P2V_GUEST_APPLIANCE_KERNEL_H
#define P2V_GUEST_APPLIANCE_KERNEL_H

#include <guestfs.h>

#include "p2v/base/err.h"
#include "p2v/base/log.h"

/*
 * Has the appliance built (by supermin, as libguestfs itself would: minutes the first time, nothing later),
 * so that this does not count as time to start, and nothing of it stays behind if we are killed.  *ret_dir:
 * the folder with kernel, initrd and root; NULL where libguestfs uses an appliance of another kind.  The
 * caller frees it.
 */
struct err *appliance_build(guestfs_h *g, const struct log *log, char **ret_dir) ERR_MUST_CHECK;

/*
 * Makes dir a fixed appliance for guestfs_set_path(): links to built_dir's files, and the kernel unpacked
 * (kept in the user's cache folder).  An error means that it cannot be had; nothing depends on it.
 */
struct err *appliance_unpack_kernel(const char *built_dir, const char *dir, const struct log *log)
	ERR_MUST_CHECK;

#endif
