/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Every kernel command line that a guest's boot loaders, or the tools that
 * write their configuration, hold: one place that knows the formats, so that a
 * fix is written once for all of them.
 */
#ifndef BOOT_FIX_BOOTCONFIG_H
#define BOOT_FIX_BOOTCONFIG_H

#include "boot-fix/cmdline.h"
#include "boot-fix/fix.h"

#define BOOTCONFIG_NO_INITRAMFS (1u << 0) /* the kernel is started without one */

struct bootconfig_editor {
	/* A file begins; NULL if the editor keeps no state for it. */
	void (*begin)(void *arg, const char *path);
	/* Edits one command line in place; true if it changed anything. */
	bool (*edit)(void *arg, unsigned flags, struct cmdline *cmdline);
	/* Why, once the file is through and something changed; the string is freed. */
	char *(*reason)(void *arg);
};

/*
 * Visits GRUB 2 (grub.cfg, custom.cfg, /etc/default/grub and grub.d, BLS entries, grubenv), GRUB legacy,
 * systemd-boot, kernel-install and syslinux.  Sources: GRUB manual 6.1 and 6.3, the Boot Loader
 * Specification, update-grub(8) of grub-legacy, syslinux(1).
 */
struct err *bootconfig_edit(const struct fix_context *context, struct plan *plan,
			    const struct bootconfig_editor *editor, void *arg) ERR_MUST_CHECK;

/* As edit_expand(); a "%" at the start stands for the EFI system partition's mount point. */
struct err *bootconfig_expand(const struct fix_context *context, struct plan *plan, const char *pattern,
			      struct strv *paths) ERR_MUST_CHECK;

#endif
