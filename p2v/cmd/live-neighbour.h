/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What keeps the server responsive while its disks are sent, beside what the sender's lanes do themselves. */
#ifndef P2V_CMD_LIVE_NEIGHBOUR_H
#define P2V_CMD_LIVE_NEIGHBOUR_H

#include "p2v/cmd/send-disks.h"

struct live_neighbour;
/* Begins with small weights.  ERR_FAILED: the kernel tells nothing of a disk. */
struct err *live_neighbour_create(const struct send_disks *disks, const struct log *log,
				  struct live_neighbour **ret_neighbour) ERR_MUST_CHECK;
void live_neighbour_destroy(struct live_neighbour *neighbour); /* takes NULL */
/* How much to hold back for the server's writers, as in struct live_source. */
unsigned live_neighbour_level(struct live_neighbour *neighbour);
/* The server waits for us, or no longer does. */
void live_neighbour_hurry(struct live_neighbour *neighbour, bool is_urgent);

#endif
