/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Software that only makes sense on the old hardware does not start in a
 * virtual machine, and is listed with the way back.
 *
 * Without its hardware such a service fails at every boot, waits for it, or (a
 * watchdog) does worse.  It is not disabled: a drop-in makes it start on
 * physical machines alone (ConditionVirtualization= of systemd.unit(5)), so the
 * same disk put back into a server is what it was.  What can have a use in a
 * virtual machine, and what belongs to another hypervisor, is only listed;
 * without systemd everything is.
 */
#include <string.h>

#include "boot-fix/fixes.h"
#include "p2v/base/mem.h"

/* By the inspection's names. */
static bool may_be_wanted(const char *name)
{
	static const char *const names[] = {
		"multipath", /* iSCSI */
		"power supply monitor", /* a client of another machine's */
		"Fibre Channel tools", /* lldpad */
		"VMware Tools",
		"Xen guest agent",
		"VirtualBox additions",
		"Parallels Tools",
		NULL,
	};

	for (size_t i = 0; names[i]; i++)
		if (!strcmp(names[i], name))
			return true;
	return false;
}

static struct err *hold_back(struct plan *plan, const struct guest_leftover *leftover)
{
	CLEANUP_FREE char *path = xasprintf("/etc/systemd/system/%s.d/50-p2v.conf", leftover->unit);
	CLEANUP_FREE char *text = xasprintf("# Written by p2v: %s %s.\n"
					    "# Without this file it starts in virtual machines as well.\n"
					    "[Unit]\n"
					    "ConditionVirtualization=no\n",
					    leftover->name, leftover->why);

	plan_add_finding(
		plan, FINDING_NOTE,
		"%s (%s) will not start in the virtual machine: it %s; remove %s to have it start, or "
		"the package once the move is final",
		leftover->name, leftover->unit, leftover->why, path);
	return plan_write(plan, path, text, strlen(text), "%s %s", leftover->name, leftover->why);
}

static bool applies(const struct fix_context *context)
{
	return context->inspection->leftover_count > 0;
}

static struct err *plan_leftovers(const struct fix_context *context, struct plan *plan)
{
	const struct inspection *inspection = context->inspection;

	for (size_t i = 0; i < inspection->leftover_count; i++) {
		const struct guest_leftover *leftover = &inspection->leftovers[i];
		bool has_unit = leftover->unit && !strchr(leftover->unit, '/');

		if (has_unit && inspection->has_systemd && !may_be_wanted(leftover->name))
			TRY(hold_back(plan, leftover));
		else if (has_unit)
			plan_add_finding(
				plan, FINDING_NOTE,
				"%s (%s) is enabled: it %s; disable it if it is not wanted in the virtual "
				"machine",
				leftover->name, leftover->unit, leftover->why);
		else
			plan_add_finding(plan, FINDING_NOTE,
					 "%s is installed: it %s; it can be removed once the move is final",
					 leftover->name, leftover->why);
	}
	return NULL;
}

const struct fix fix_leftovers = {
	.name = "boot-fix/leftovers",
	.summary = "software for the old hardware does not start in the virtual machine",
	.applies = applies,
	.plan = plan_leftovers,
};
