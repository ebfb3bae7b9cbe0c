/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * `p2v-agent live`: what runs on a machine that was started from the ISO, from
 * "ready" to power off.
 */
#ifndef ISO_LIVE_H
#define ISO_LIVE_H

#include "iso/live-state.h"

/* True if this system runs from memory, as the ISO's does: it may set the network and end the machine. */
bool live_is_image(void);

/*
 * The whole of it on the terminal of standard input and output: sets up network and disks, prints "p2v:
 * ready", sends by itself if it was told to, shows the interface else.  NULL: its user has left it.
 */
struct err *live_run(const struct live_options *options) ERR_MUST_CHECK;

#endif
