/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Fixes: what must change in a guest's configuration so that it boots, and is
 * still itself, on other hardware.  One file a fix, each ending in a const
 * descriptor; one table.  A fix only adds to the plan; run again on its own
 * result it adds nothing.
 */
#ifndef BOOT_FIX_FIX_H
#define BOOT_FIX_FIX_H

#include "p2v/base/log.h"
#include "p2v/base/machine.h"
#include "p2v/guest/inspect.h"
#include "p2v/guest/plan.h"

struct fix_context {
	const struct inspection *inspection;
	const struct machine *machine; /* as the target will define it: NICs with their MACs, firmware */
	unsigned targets; /* enum target bits */
	const struct log *log;
};

struct fix {
	const char *name; /* "boot-fix/fstab": also the author of its changes */
	const char *summary; /* one line for p2v(1) and the report */
	bool (*applies)(const struct fix_context *context);
	struct err *(*plan)(const struct fix_context *context, struct plan *plan);
};

/* NULL-ended, in the order they run. */
extern const struct fix *const boot_fixes[];

/* Runs every fix that applies. */
struct err *boot_fix_plan(const struct fix_context *context, struct plan *plan) ERR_MUST_CHECK;

#endif
