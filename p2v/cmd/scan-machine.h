/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef P2V_CMD_SCAN_MACHINE_H
#define P2V_CMD_SCAN_MACHINE_H

#include "p2v/base/err.h"

#define SCAN_JSON (1u << 0)
#define SCAN_USED (1u << 1) /* also how much of each disk holds data */

/*
 * Prints what this machine is, and what a capture takes of it.  sysroot: "", or the folder of a recording.
 * A disk that cannot be read does not keep the others from being told; the error counts such disks.
 */
struct err *scan_machine(const char *sysroot, unsigned flags) ERR_MUST_CHECK;

#endif
