/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An initramfs written anew: everything it held, but for a list of changes. */
#ifndef INJECT_DRIVERS_REWRITE_H
#define INJECT_DRIVERS_REWRITE_H

#include <stdbool.h>
#include <stddef.h>

#include "inject-drivers/initramfs.h"
#include "p2v/base/log.h"

/* A regular file that is to be there (replaced, or new with mode 0644 and root's), or not. */
struct initramfs_change {
	char *path; /* in the archive, as struct initramfs_entry has it */
	char *host_file; /* its content, or: */
	char *data;
	size_t bytes;
	bool is_removal;
};

/* Zero-initialised is empty. */
struct initramfs_changes {
	struct initramfs_change *items;
	size_t count;
	size_t capacity;
};

void initramfs_changes_deinit(struct initramfs_changes *changes);
#define CLEANUP_INITRAMFS_CHANGES CLEANUP(initramfs_changes_deinit)
void initramfs_changes_add_file(struct initramfs_changes *changes, const char *path, const char *host_file);
void initramfs_changes_add_data(struct initramfs_changes *changes, const char *path, const void *data,
				size_t bytes);
void initramfs_changes_add_removal(struct initramfs_changes *changes, const char *path);

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
