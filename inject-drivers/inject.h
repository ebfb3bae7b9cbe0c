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

/* A configuration file inside an initramfs as it is to be. */
struct inject_override {
	char *path; /* in the archive: "etc/lvm/lvm.conf" */
	char *data; /* NULL: the file goes */
	size_t bytes;
	char *reason; /* a sentence part for people */
	bool is_needed; /* reason enough to write the initramfs anew; others go along where it is */
};

/* Zero-initialised is empty. */
struct inject_overrides {
	struct inject_override *items;
	size_t count;
	size_t capacity;
};
void inject_overrides_deinit(struct inject_overrides *overrides);
#define CLEANUP_INJECT_OVERRIDES CLEANUP(inject_overrides_deinit)

/* Takes over what the override holds. */
void inject_overrides_add(struct inject_overrides *overrides, const struct inject_override *override);

struct inject_context {
	struct guest *guest; /* the plan's: for copying large files out */
	const struct inspection *inspection;
	unsigned targets; /* enum target bits */
	const char *scratch_dir; /* on the host; may be filled with a few hundred MiB */
	const struct log *log;
	/*
	 * Asked about every small file below conf/, cryptroot/, etc/ and the udev and systemd-networkd
	 * folders of an initramfs, by its path in there, and then with a NULL path for files that are to be
	 * there too: adds what is to change.  So the copies in there can follow boot_fix_plan(), which is
	 * to run before.  NULL: they stay.
	 */
	struct err *(*override_file)(void *arg, const char *path, const char *data, size_t bytes,
				     struct inject_overrides *overrides);
	void *override_arg;
};

/* What each kernel can do after the plan: for the report and for prove. */
struct inject_kernel_result {
	char *version;
	unsigned bootable_targets; /* targets whose required drivers are all in the initramfs or built in */
	struct strv drivers; /* drivers of virtual disks and NICs it will have: "virtio_blk", "ahci", … */
};
struct inject_result {
	struct inject_kernel_result *kernels;
	size_t kernel_count;
};
void inject_result_deinit(struct inject_result *result);
#define CLEANUP_INJECT_RESULT CLEANUP(inject_result_deinit)

/*
 * ERR_REFUSED where no kernel can be made to boot on a requested target (driver not in the guest).  Where
 * every target is requested (TARGET_ALL, "as far as the guest has drivers") that is a finding, and only a
 * guest that can boot on none of them is refused.  What stops a single kernel is a finding.
 */
struct err *inject_plan(const struct inject_context *context, struct plan *plan,
			struct inject_result *ret_result) ERR_MUST_CHECK;

#endif
