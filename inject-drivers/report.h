/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is told about a guest's kernels: reasons, findings, refusals, the result. */
#ifndef INJECT_DRIVERS_REPORT_H
#define INJECT_DRIVERS_REPORT_H

#include "inject-drivers/inject.h"
#include "inject-drivers/kernel.h"

/* Why the initramfs is written anew, and how large it gets; the caller frees it. */
char *report_reason(const struct kernel *kernel, uint64_t new_bytes);

/* Refuses as inject_plan() says, if nothing can be done about the targets that are asked for. */
struct err *report_check_targets(const struct kernel *kernels, size_t count, unsigned targets) ERR_MUST_CHECK;

void report_findings(const struct kernel *kernels, size_t count, unsigned targets, struct plan *plan);

void report_result(const struct kernel *kernels, size_t count, struct inject_result *ret_result);

#endif
