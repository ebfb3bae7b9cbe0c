/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What this machine is, as struct machine. */
#ifndef CAPTURE_DISCOVER_H
#define CAPTURE_DISCOVER_H

#include "p2v/base/machine.h"

/*
 * Reads sysfs, procfs, /etc, /run and (read-only) the disks below sysroot: "" is this machine.  Every whole
 * disk is in ret_machine, also those that layout_choose() then leaves out; the one that the system starts
 * from is the first.  ret_machine must be zero-initialised.  Where a fact cannot be had it stays unset; an
 * error means that there is no sysfs at all.
 */
struct err *discover_machine(const char *sysroot, struct machine *ret_machine) ERR_MUST_CHECK;

/* What it is without its disks, of which none is touched: hardware, interfaces and addresses. */
struct err *discover_identity(const char *sysroot, struct machine *ret_machine) ERR_MUST_CHECK;

/* Of one device or image file alone: sizes, partitions, content.  An error names what cannot be read. */
struct err *discover_device(const char *path, struct machine_disk *ret_disk) ERR_MUST_CHECK;

#endif
