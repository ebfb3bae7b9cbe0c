/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What p2v announce tells of this machine. */
#ifndef P2V_CMD_ANNOUNCE_MACHINE_H
#define P2V_CMD_ANNOUNCE_MACHINE_H

#include "p2v/sync/announce.h"

/* Hardware, addresses, uptime and the id, all but the name.  Disks are not touched, and what cannot be found
 * stays unset.  ret_announcement must be zero-initialised. */
void announce_describe_machine(struct announcement *ret_announcement);

#endif
