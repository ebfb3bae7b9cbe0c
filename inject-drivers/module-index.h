/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The modules.* lists of an initramfs that modules are added to. */
#ifndef INJECT_DRIVERS_MODULE_INDEX_H
#define INJECT_DRIVERS_MODULE_INDEX_H

#include "inject-drivers/kernel.h"
#include "inject-drivers/rewrite.h"
#include "p2v/base/log.h"

/*
 * Adds to changes the kernel's added_files and the lists that depmod(8) makes of all modules that the
 * initramfs will hold.  The files were copied below copies_dir by their full paths in the guest; they and
 * the unpacked old ones are put below work_dir, which must be empty and is needed until the changes are
 * made.  ERR_REFUSED if a module that was listed before would not be any more.
 */
struct err *module_index_merge(const struct kernel *kernel, struct guest *guest, const char *copies_dir,
			       const char *work_dir, const struct log *log, struct initramfs_changes *changes)
	ERR_MUST_CHECK;

#endif
