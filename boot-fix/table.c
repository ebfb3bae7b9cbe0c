/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The table of fixes.  The order matters only where one fix reads what another
 * has planned: the rules and files that tie a network card are put right before
 * network-pins looks whether a card is tied already.
 */
#include <stddef.h>

#include "boot-fix/fixes.h"

const struct fix *const boot_fixes[] = {
	&fix_fstab,
	&fix_mount_units,
	&fix_crypttab,
	&fix_lvm,
	&fix_mdadm,
	&fix_kernel_names,
	&fix_grub_defaults,
	&fix_resume,
	&fix_blacklist,
	&fix_console,
	&fix_uefi_fallback,
	&fix_network_rules,
	&fix_network_ties,
	&fix_network_netplan,
	&fix_network_pins,
	&fix_leftovers,
	NULL,
};

struct err *boot_fix_plan(const struct fix_context *context, struct plan *plan)
{
	for (const struct fix *const *fix = boot_fixes; *fix; fix++) {
		if (!(*fix)->applies(context))
			continue;
		plan_set_author(plan, (*fix)->name);
		TRY(err_wrap((*fix)->plan(context, plan), "%s", (*fix)->name));
	}
	return NULL;
}
