/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From a device down to the disk that it stands on: where its bytes lie there. */
#ifndef CAPTURE_BELOW_H
#define CAPTURE_BELOW_H

#include <stdint.h>

#include "p2v/base/extents.h"

/*
 * Adds to ret_on_disk what of these bytes of the device lies on the disk, as far as that is known for
 * certain: through partitions, plain and encrypted volumes of the device mapper, and mirrors (RAID 1), of
 * which each half counts.  Everything else (stripes, thin volumes, snapshots) is left out.  Devices are
 * numbers, "8:0", as sysfs has them below sysroot ("" is this machine).
 */
void below_translate(const char *sysroot, const char *device, const struct extents *on_device,
		     const char *disk, struct extents *ret_on_disk);

/* Part of a volume: its bytes [start, end) lie in one run on another device. */
struct below_run {
	uint64_t start, end;
	char device[24];
	uint64_t at;
};

/*
 * Of one target of the device mapper: what it does, from its kind and parameters (the kernel's
 * Documentation/admin-guide/device-mapper).  False: nothing that could be followed.
 */
bool below_read_target(uint64_t start_sector, uint64_t sectors, const char *kind, const char *parameters,
		       struct below_run *ret_run);

#endif
