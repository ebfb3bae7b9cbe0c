/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A kernel's initramfs with its added drivers and changed configuration files. */
#ifndef INJECT_DRIVERS_KERNEL_REWRITE_H
#define INJECT_DRIVERS_KERNEL_REWRITE_H

#include "inject-drivers/kernel.h"
#include "p2v/base/log.h"

/*
 * Writes ret_file (new) and reads it back: what was to be added is in there, and nothing got lost.  The
 * kernel's added_files were copied below copies_dir by their full paths in the guest, and are moved away
 * from there.  work_dir must not exist; it is removed again.  ERR_REFUSED if this initramfs cannot be
 * changed so.
 */
struct err *kernel_rewrite(const struct kernel *kernel, unsigned targets, struct guest *guest,
			   const char *copies_dir, const char *work_dir, const struct log *log,
			   const char *ret_file, uint64_t *ret_bytes) ERR_MUST_CHECK;

#endif
