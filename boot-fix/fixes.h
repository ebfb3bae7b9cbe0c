/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every fix, for the table (boot-fix/table.c): add the file, a line here, and one there. */
#ifndef BOOT_FIX_FIXES_H
#define BOOT_FIX_FIXES_H

#include "boot-fix/fix.h"

extern const struct fix fix_blacklist;
extern const struct fix fix_console;
extern const struct fix fix_crypttab;
extern const struct fix fix_fstab;
extern const struct fix fix_grub_defaults;
extern const struct fix fix_kernel_names;
extern const struct fix fix_leftovers;
extern const struct fix fix_lvm;
extern const struct fix fix_mdadm;
extern const struct fix fix_mount_units;
extern const struct fix fix_network_netplan;
extern const struct fix fix_network_pins;
extern const struct fix fix_network_rules;
extern const struct fix fix_network_ties;
extern const struct fix fix_resume;
extern const struct fix fix_uefi_fallback;

#endif
