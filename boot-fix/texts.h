/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The edits of single files that are also made to their copies inside an
 * initramfs (boot-fix/initramfs.h).  Each gives the new text, to be freed, or
 * NULL if nothing is to change; findings are the fixes' own.
 */
#ifndef BOOT_FIX_TEXTS_H
#define BOOT_FIX_TEXTS_H

#include "boot-fix/fix.h"
#include "boot-fix/stable.h"

typedef char *(*text_edit_fn)(const struct fix_context *context, const char *data, size_t bytes,
			      struct stable_names *names);

char *fstab_edit_text(const struct fix_context *context, const char *data, size_t bytes,
		      struct stable_names *names);
char *crypttab_edit_text(const struct fix_context *context, const char *data, size_t bytes,
			 struct stable_names *names);
/* initramfs-tools' RESUME= and ROOT=, in any of its configuration files. */
char *resume_edit_text(const struct fix_context *context, const char *data, size_t bytes,
		       struct stable_names *names);
/* One file of kernel parameters, dracut's etc/cmdline.d. */
char *kernel_names_edit_text(const struct fix_context *context, const char *data, size_t bytes,
			     struct stable_names *names);
/* modprobe.d: lines that keep the target's drivers from loading. */
char *blacklist_edit_text(const struct fix_context *context, const char *data, size_t bytes,
			  struct stable_names *names);
/* lvm.conf: filters that would hide the machine's disks. */
char *lvm_conf_edit_text(const struct fix_context *context, const char *data, size_t bytes,
			 struct stable_names *names);
char *mdadm_edit_text(const struct fix_context *context, const char *data, size_t bytes,
		      struct stable_names *names);
/* udev rules that tie one of the machine's interface names to another MAC address. */
char *net_rules_edit_text(const struct fix_context *context, const char *data, size_t bytes,
			  struct stable_names *names);

#endif
