/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What happens by itself where receiver and key are known from the start: plain
 * lines for people and tests that look at a console, no interface.
 */
#ifndef ISO_LIVE_UNATTENDED_H
#define ISO_LIVE_UNATTENDED_H

#include <stdio.h>

#include "iso/live-state.h"

enum live_unattended_end {
	LIVE_ALL_SENT,
	LIVE_NOT_SENT, /* it is refused: somebody must look */
	LIVE_KEY_PRESSED, /* somebody wants the interface; what runs goes on */
};

/* True if everything that is wanted was told, without a complaint. */
bool live_unattended_can(const struct live_state *state);

/* Waits for network and disks, and sends; a key at key_fd (-1: nobody) ends it early. */
enum live_unattended_end live_unattended_run(struct live_state *state, FILE *out, int key_fd);

#endif
