/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef P2V_CMD_SEND_MACHINE_H
#define P2V_CMD_SEND_MACHINE_H

#include "p2v/base/err.h"
#include "p2v/base/strv.h"

/* machine.json of this machine with these disks alone, for the caller to free; NULL if not all of them are
 * devices: images are of some other machine. */
struct err *send_describe_machine(const struct strv *disks, char **ret_json) ERR_MUST_CHECK;

#endif
