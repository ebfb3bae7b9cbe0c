/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An initramfs written anew: everything it held, but for a list of changes. */
#ifndef INJECT_DRIVERS_REWRITE_H
#define INJECT_DRIVERS_REWRITE_H

#include "inject-drivers/changes.h"
#include "p2v/base/log.h"

/*
 * Writes ret_file (on the host, new): all segments but the last as they are to the byte; of the last
 * one every entry, in its order and with its attributes, but for the changes, packed as it was.  New
 * files come last, after the folders they need, with the newest time that the archive has.  work_dir
 * takes up to two unpacked copies for the time being.  ERR_REFUSED if a change cannot be made.
 */
struct err *initramfs_rewrite(const struct initramfs *initramfs, const struct initramfs_changes *changes,
			      const char *work_dir, const struct log *log, const char *ret_file)
	ERR_MUST_CHECK;

#endif
