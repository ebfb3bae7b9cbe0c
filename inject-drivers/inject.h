/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Drivers: makes a guest able to reach its disks and network on the target,
 * offline and without running guest code.  For Linux: every kernel's initramfs
 * is looked into, and written anew from its own entries plus the missing
 * modules only where some are missing; the setting that keeps them there over
 * kernel updates is always written.
 */
#ifndef INJECT_DRIVERS_INJECT_H
#define INJECT_DRIVERS_INJECT_H

#include "p2v/base/log.h"
#include "p2v/base/machine.h"
#include "p2v/guest/inspect.h"
#include "p2v/guest/plan.h"

struct inject_context {
	const struct inspection *inspection;
	unsigned targets; /* enum target bits */
	const char *scratch_dir; /* on the host; may be filled with a few hundred MiB */
	const struct log *log;
};

/* What each kernel can do after the plan: for the report and for prove. */
struct inject_kernel_result {
	char *version;
	unsigned bootable_targets; /* targets whose required drivers are all in the initramfs or built in */
	struct strv drivers; /* storage and network drivers present, "virtio_blk", "ahci", … */
};
struct inject_result {
	struct inject_kernel_result *kernels;
	size_t kernel_count;
};
void inject_result_deinit(struct inject_result *result);
#define CLEANUP_INJECT_RESULT CLEANUP(inject_result_deinit)

/* ERR_REFUSED where no kernel can be made to boot on a requested target (driver not in the guest). */
struct err *inject_plan(const struct inject_context *context, struct plan *plan,
			struct inject_result *ret_result) ERR_MUST_CHECK;

#endif
