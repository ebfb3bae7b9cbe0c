/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is done when all is sent, or when a user says so. */
#ifndef ISO_LIVE_END_H
#define ISO_LIVE_END_H

#include "iso/live-state.h"

/* Powers off or starts anew, at once: nothing of ours is on a disk.  Returns only with an error; ERR_REFUSED
 * where the machine is not ours to end. */
struct err *live_end_machine(struct live_state *state, enum live_after after) ERR_MUST_CHECK;

/* A shell on the terminal at standard input, to its end. */
struct err *live_end_shell(const struct live_state *state) ERR_MUST_CHECK;

#endif
