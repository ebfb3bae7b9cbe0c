/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The copies of configuration files that lie inside an initramfs, put right as
 * the fixes put right the originals.  A copy is judged by its own content: it
 * may be older than the original, or have been written by the generator.
 *
 * This folder does not know how an initramfs is packed; whoever writes one asks
 * for each file in it, then for the new files.
 */
#ifndef BOOT_FIX_INITRAMFS_OVERRIDES_H
#define BOOT_FIX_INITRAMFS_OVERRIDES_H

#include "boot-fix/fix.h"

enum initramfs_override_action {
	INITRAMFS_KEEP,
	INITRAMFS_REPLACE,
	INITRAMFS_DROP,
	INITRAMFS_ADD, /* from boot_fix_initramfs_additions() alone */
};

struct initramfs_override {
	enum initramfs_override_action action;
	/* Reason enough to write the initramfs anew: without it the machine would not start, or would wait
	 * for something at every boot.  Others may wait for the next update, which makes them too. */
	bool is_needed;
	char *path; /* in the archive, without a leading '/' */
	char *data; /* NULL for KEEP and DROP */
	size_t bytes;
	char *reason; /* a sentence part for people */
};
void initramfs_override_deinit(struct initramfs_override *override);
#define CLEANUP_INITRAMFS_OVERRIDE CLEANUP(initramfs_override_deinit)

/* What is to become of a file, given its path (as in the archive, without leading "./" or '/') and content.
 * ret_override is zero-initialised or KEEP before. */
void boot_fix_initramfs_override(const struct fix_context *context, const char *path, const char *data,
				 size_t bytes, struct initramfs_override *ret_override);

/* Files that are to be there too, from the plan as it stands after boot_fix_plan(): the .link files of
 * network-pins.  Called for each; the override stays the caller's of `add`, who may take what it holds. */
struct err *boot_fix_initramfs_additions(const struct fix_context *context, struct plan *plan,
					 void (*add)(void *arg, struct initramfs_override *override),
					 void *arg) ERR_MUST_CHECK;

#endif
