/* SPDX-License-Identifier: GPL-3.0-or-later */
/* UEFI for QEMU: where distributions put OVMF. */
#ifndef P2V_PROVE_FIRMWARE_H
#define P2V_PROVE_FIRMWARE_H

#include <stdbool.h>

#include "p2v/base/err.h"

struct uefi_files {
	const char *code; /* read-only flash */
	const char *variables; /* template of the NVRAM: no boot entries */
	bool is_secure; /* Secure Boot on, Microsoft's keys in the template */
};

/* With want_secure the secure pair if there is one, else the other.  ERR_REFUSED names the package. */
struct err *firmware_find_uefi(bool want_secure, struct uefi_files *ret_files) ERR_MUST_CHECK;

/* A private copy of the NVRAM template: the firmware writes to it. */
struct err *firmware_copy_variables(const struct uefi_files *files, const char *path) ERR_MUST_CHECK;

#endif
