/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Keeps a server whose copy takes over from being one any more. */
#ifndef P2V_CMD_LIVE_FENCE_H
#define P2V_CMD_LIVE_FENCE_H

#include "p2v/base/err.h"

/* Takes all network interfaces but the loopback down.  Touches no file system of a disk. */
struct err *live_fence_network(void) ERR_MUST_CHECK;
/* Does not return where it works; writes nothing out before. */
struct err *live_fence_power_off(void) ERR_MUST_CHECK;

#endif
