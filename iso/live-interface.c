/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "iso/live-interface.h"

#include <unistd.h>

#include "iso/live-dialog.h"

static enum live_screen (*const screens[])(struct live_state *state) = {
	[LIVE_SCREEN_NETWORK] = live_screen_network,   [LIVE_SCREEN_SETTINGS] = live_screen_settings,
	[LIVE_SCREEN_RECEIVER] = live_screen_receiver, [LIVE_SCREEN_DISKS] = live_screen_disks,
	[LIVE_SCREEN_FINDINGS] = live_screen_findings, [LIVE_SCREEN_SUMMARY] = live_screen_summary,
	[LIVE_SCREEN_PROGRESS] = live_screen_progress, [LIVE_SCREEN_END] = live_screen_end,
	[LIVE_SCREEN_SAVE] = live_screen_save,
};

struct err *live_interface_run(struct live_state *state)
{
	enum live_screen screen = state->transfer ? LIVE_SCREEN_PROGRESS : LIVE_SCREEN_NETWORK;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return err_advise(err_usage("the interface wants a terminal"),
				  "name receiver and key in the configuration, to do without");
	live_dialog_open_screen();
	while (screen != LIVE_SCREEN_LEAVE)
		screen = screens[screen](state);
	live_dialog_close_screen();
	return NULL;
}
