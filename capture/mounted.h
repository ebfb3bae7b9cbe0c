/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which file systems are mounted where, and which of those mounted for writing stand on given disks. */
#ifndef CAPTURE_MOUNTED_H
#define CAPTURE_MOUNTED_H

#include <stdbool.h>

#include "p2v/base/strv.h"

/*
 * Adds a mount point of each, in the order in which they are to be frozen: what was mounted last comes first,
 * "/" last.  A file system counts if it is on one of the disks, or on partitions and volumes of them, also
 * in part.  `disks` are device numbers ("8:0") as sysfs has them below sysroot ("" is this machine).
 *
 * Left out are file systems that are mounted nowhere in our mount namespace: who needs to know that nothing
 * writes must also ask the disk.
 */
void mounted_on(const char *sysroot, const struct strv *disks, struct strv *ret_points);

/* Adds all that is mounted on the folder, or below it, in the order in which it can be unmounted. */
void mounted_below(const char *sysroot, const char *folder, struct strv *ret_points);

/* The device's number, "8:0"; NULL if the path names no block device.  The caller frees it. */
char *mounted_device_number(const char *path);

/* Whether the device, a number as well, is one of the disks or stands on one, also in part. */
bool mounted_stands_on(const char *sysroot, const char *device, const struct strv *disks);

#endif
