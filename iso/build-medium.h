/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The boot medium and the folder for network boot, from a kernel and an
 * initramfs: El Torito for both firmwares, and a partition table, so that the
 * same file is an optical disc and a USB stick.  Under UEFI it is Debian's
 * signed shim, GRUB and kernel that run.
 */
#ifndef ISO_BUILD_MEDIUM_H
#define ISO_BUILD_MEDIUM_H

#include "iso/build-packages.h"

#define MEDIUM_APPLICATION_ID "P2V BOOT MEDIUM" /* in the primary volume descriptor (ECMA-119 8.4.20) */

struct medium {
	const struct packages *packages;
	const char *initramfs; /* files */
	const char *work_dir; /* an empty folder for what is made on the way */
};

/* Programs of this machine that are needed, and their packages; ERR_REFUSED names those that are missing. */
struct err *medium_check_programs(void) ERR_MUST_CHECK;

/* Writes a new file. */
struct err *medium_write_iso(const struct medium *medium, const char *path) ERR_MUST_CHECK;

/* Fills the folder, which must exist. */
struct err *medium_write_pxe(const struct medium *medium, const char *dir) ERR_MUST_CHECK;

#endif
