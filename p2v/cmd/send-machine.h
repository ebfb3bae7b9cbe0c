/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What p2v send knows of the machine that the disks are taken from. */
#ifndef P2V_CMD_SEND_MACHINE_H
#define P2V_CMD_SEND_MACHINE_H

#include "p2v/base/err.h"
#include "p2v/base/log.h"
#include "p2v/base/machine.h"
#include "p2v/base/strv.h"

/* Adds the disks of this machine that a capture takes, as p2v scan tells; what a user should know goes to the
 * log.  ERR_REFUSED: there are none, or it cannot work. */
struct err *send_choose_disks(const struct log *log, struct strv *ret_disks) ERR_MUST_CHECK;

/* This machine with these disks alone, in this order; ret_machine without a disk if not all of them are
 * devices: images are of some other machine. */
struct err *send_find_machine(const struct strv *disks, struct machine *ret_machine) ERR_MUST_CHECK;

/* machine.json as MACHINE carries it; the caller frees it. */
struct err *send_describe_machine(const struct machine *machine, char **ret_json) ERR_MUST_CHECK;

#endif
