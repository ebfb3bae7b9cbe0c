/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which kernel modules each target's virtual hardware needs.  One file a
 * family, each ending in a const descriptor; one table.
 */
#ifndef INJECT_DRIVERS_DRIVERS_H
#define INJECT_DRIVERS_DRIVERS_H

#include <stddef.h>

#include "p2v/base/machine.h"

enum driver_need {
	DRIVER_BOOT, /* without it the root file system is not reached */
	DRIVER_WANTED, /* belongs into the initramfs: network, keyboard, other ways to a disk */
	DRIVER_OPTIONAL, /* goes along when the initramfs is written anyway */
};

#define DRIVER_ALTERNATIVES 3

struct driver {
	enum driver_need need;
	/* The first that a kernel has serves.  Names as the kernel shows them: with '_', never '-'. */
	const char *modules[DRIVER_ALTERNATIVES];
};

struct driver_family {
	unsigned target; /* enum target; 0: hardware that hypervisors emulate, present or not, never added */
	const struct driver *drivers;
	size_t driver_count;
};

/* NULL-ended. */
extern const struct driver_family *const driver_families[];

extern const struct driver_family driver_family_hyperv;
extern const struct driver_family driver_family_virtio;
extern const struct driver_family driver_family_vmware;
extern const struct driver_family driver_family_xen;
extern const struct driver_family driver_family_emulated;

#define DRIVER_FAMILY(target_bits, table)                        \
	{                                                        \
		.target = (target_bits), .drivers = (table),     \
		.driver_count = sizeof(table) / sizeof *(table), \
	}

#endif
