/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Device names on kernel command lines: root=, resume= and their like. */
#ifndef BOOT_FIX_KERNEL_NAMES_H
#define BOOT_FIX_KERNEL_NAMES_H

#include "boot-fix/cmdline.h"
#include "boot-fix/stable.h"

/*
 * Gives every parameter that names a volume a stable name.  A resume= whose volume is on none of the
 * machine's disks is taken out: an initramfs would wait for it at every boot, dracut's without end.  `flags`
 * are those of an editor (boot-fix/bootconfig.h).  True if anything changed.
 */
bool kernel_names_edit(const struct inspection *inspection, unsigned flags, struct cmdline *cmdline,
		       struct stable_names *names);

#endif
