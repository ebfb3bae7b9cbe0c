/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The text interface: each screen is a function from the state to the next
 * screen, a file of its own, a line in the table of live-interface.c.
 */
#ifndef ISO_LIVE_INTERFACE_H
#define ISO_LIVE_INTERFACE_H

#include "iso/live-state.h"

enum live_screen {
	LIVE_SCREEN_NETWORK,
	LIVE_SCREEN_SETTINGS, /* of the network */
	LIVE_SCREEN_RECEIVER,
	LIVE_SCREEN_DISKS,
	LIVE_SCREEN_FINDINGS,
	LIVE_SCREEN_SUMMARY,
	LIVE_SCREEN_PROGRESS,
	LIVE_SCREEN_END,
	LIVE_SCREEN_SAVE, /* the log */
	LIVE_SCREEN_LEAVE, /* none any more */
};

enum live_screen live_screen_network(struct live_state *state);
enum live_screen live_screen_settings(struct live_state *state);
enum live_screen live_screen_receiver(struct live_state *state);
enum live_screen live_screen_disks(struct live_state *state);
enum live_screen live_screen_findings(struct live_state *state);
enum live_screen live_screen_summary(struct live_state *state);
enum live_screen live_screen_progress(struct live_state *state);
enum live_screen live_screen_end(struct live_state *state);
enum live_screen live_screen_save(struct live_state *state);

/* Shows screens until one leaves: the first is that of the progress if something is being sent. */
struct err *live_interface_run(struct live_state *state) ERR_MUST_CHECK;

#endif
