/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Disks that boot in an instant: a boot sector that says what a test wants on
 * the console's port and on the report's, and then stops, resets or powers off.
 */
#ifndef TESTS_PROVE_LIB_BOOTABLE_H
#define TESTS_PROVE_LIB_BOOTABLE_H

#include <stdint.h>

enum bootable_end { BOOTABLE_HALT = 'h', BOOTABLE_RESET = 'r', BOOTABLE_POWER_OFF = 'p' };

#define BOOTABLE_BYTES (1u << 20)

/* Writes such a disk of BOOTABLE_BYTES.  Together the texts have less than 16 KiB; NULL says nothing. */
void bootable_write(const char *path, const char *console, const char *report, enum bootable_end end);

#endif
