/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What of the disks of a running server is used when their tracking has begun. */
#ifndef P2V_CMD_SEND_LIVE_SPACE_H
#define P2V_CMD_SEND_LIVE_SPACE_H

#include "p2v/base/extents.h"
#include "p2v/cmd/send-disks.h"

/*
 * Adds it: of what is mounted all but what is free by its file system's own word, of what nobody can have
 * changed what its used map says, of everything else all.  To be called when the disk is tracked: what
 * becomes used later is a change.
 */
struct err *send_live_find_space(const struct send_disks *disks, size_t number, bool takes_all,
				 const struct log *log, struct extents *ret_used) ERR_MUST_CHECK;

#endif
