/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is to change in an initramfs, and what that means for each entry of it. */
#ifndef INJECT_DRIVERS_CHANGES_H
#define INJECT_DRIVERS_CHANGES_H

#include <stdbool.h>
#include <stddef.h>

#include "inject-drivers/initramfs.h"

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

enum fate { FATE_KEEP, FATE_REPLACE, FATE_DROP, FATE_CARRY };

struct entry_fate {
	enum fate fate;
	size_t other; /* FATE_REPLACE: index of the change; FATE_CARRY: of the entry whose data it gets */
};

/* Zero-initialised is empty. */
struct initramfs_fates {
	struct entry_fate *entries; /* one for each of the initramfs */
	bool *is_made; /* one for each change: false where it is an addition */
};
void initramfs_fates_deinit(struct initramfs_fates *fates);

/* Entries before first_entry are in archives that stay as they are.  ERR_REFUSED if a change cannot be
 * made. */
struct err *initramfs_settle_fates(const struct initramfs *initramfs, const struct initramfs_changes *changes,
				   size_t first_entry, struct initramfs_fates *ret_fates) ERR_MUST_CHECK;

#endif
