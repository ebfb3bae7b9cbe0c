/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What only makes sense on the old hardware, listed with what to do about it.
 * Nothing is switched off on our own: none of it keeps a machine from booting,
 * and whether monitoring is to go is the administrator's decision.
 */
#include "boot-fix/fixes.h"

static bool applies(const struct fix_context *context)
{
	return context->inspection->leftover_count > 0;
}

static struct err *plan_leftovers(const struct fix_context *context, struct plan *plan)
{
	for (size_t i = 0; i < context->inspection->leftover_count; i++) {
		const struct guest_leftover *leftover = &context->inspection->leftovers[i];

		if (leftover->unit)
			plan_add_finding(plan, FINDING_NOTE,
					 "%s is enabled (%s): %s; 'systemctl disable --now %s' stops it, "
					 "'systemctl enable --now %s' brings it back",
					 leftover->name, leftover->unit, leftover->why, leftover->unit,
					 leftover->unit);
		else
			plan_add_finding(plan, FINDING_NOTE,
					 "%s is installed: %s; it can be removed once the move is final",
					 leftover->name, leftover->why);
	}
	return NULL;
}

const struct fix fix_leftovers = {
	.name = "boot-fix/leftovers",
	.summary = "software for the old hardware, listed",
	.applies = applies,
	.plan = plan_leftovers,
};
