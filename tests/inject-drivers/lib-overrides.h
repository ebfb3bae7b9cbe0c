/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ties the seam in inject_context to boot-fix, as p2v/cmd does. */
#ifndef TESTS_INJECT_DRIVERS_LIB_OVERRIDES_H
#define TESTS_INJECT_DRIVERS_LIB_OVERRIDES_H

#include "boot-fix/fix.h"
#include "inject-drivers/inject.h"

struct boot_fix_overrides {
	const struct fix_context *context;
	struct plan *plan; /* after boot_fix_plan() */
};

/* For inject_context.override_file, with a struct boot_fix_overrides as its argument. */
struct err *boot_fix_overrides_file(void *arg, const char *path, const char *data, size_t bytes,
				    struct inject_overrides *overrides) ERR_MUST_CHECK;

#endif
