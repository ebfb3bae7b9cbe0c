/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What now: power off, and all else that can be done from here. */
#include <signal.h>

#include "iso/live-dialog.h"
#include "iso/live-end.h"
#include "iso/live-interface.h"
#include "p2v/base/mem.h"

enum choice { POWER_OFF, REBOOT, SHELL, SAVE, AGAIN, LEAVE };

static const char *const labels[] = {
	[POWER_OFF] = "Power off", [REBOOT] = "Reboot",		  [SHELL] = "A shell",
	[SAVE] = "Save the log",   [AGAIN] = "Back to the start", [LEAVE] = "Leave",
};

static bool is_offered(const struct live_state *state, enum choice choice)
{
	switch (choice) {
	case POWER_OFF:
	case REBOOT:
		return state->options->may_end_machine;
	case LEAVE:
		return !state->options->may_end_machine;
	default:
		return true;
	}
}

static bool is_all_sent(struct live_state *state)
{
	struct live_progress progress;

	return live_state_keep(state, &progress) && progress.phase == LIVE_DONE;
}

/* -1: back. */
static int show(struct live_state *state)
{
	bool is_done = is_all_sent(state);
	CLEANUP_FREE char *text =
		is_done ? xasprintf("All is at %s, as job %s.", state->config.server, state->name)
			: xstrdup("Nothing was written to this machine's disks.");
	struct live_dialog dialog;
	newtComponent list;
	int chosen;
	intptr_t choice;

	live_dialog_begin(state, is_done ? "7 Done" : "What now", &dialog);
	live_dialog_add_text(&dialog, 1, 2, text);
	list = newtListbox(1, 4, sizeof labels / sizeof *labels, NEWT_FLAG_RETURNEXIT);
	for (size_t i = 0; i < sizeof labels / sizeof *labels; i++)
		if (is_offered(state, i))
			newtListboxAppendEntry(list, labels[i], (void *)(intptr_t)i);
	newtFormAddComponent(dialog.form, list);
	LIVE_DIALOG_BUTTONS(&dialog, "OK", "Back");
	chosen = live_dialog_run(&dialog);
	choice = (intptr_t)newtListboxGetCurrent(list);
	live_dialog_end(&dialog);
	return chosen == 0 ? (int)choice : -1;
}

static void run_shell(struct live_state *state)
{
	struct err *err;

	newtSuspend();
	err = live_end_shell(state);
	newtResume();
	if (err)
		live_dialog_tell_error(state, "Shell", err);
}

static void end_machine(struct live_state *state, enum live_after after)
{
	struct err *err;

	if (state->transfer && !is_all_sent(state) &&
	    !live_dialog_ask(state, "Not all is sent", "The disks are being sent. End that?", "End it",
			     "Back"))
		return;
	err = live_end_machine(state, after);
	if (err)
		live_dialog_tell_error(state, "What now", err);
}

enum live_screen live_screen_end(struct live_state *state)
{
	switch (show(state)) {
	case POWER_OFF:
		end_machine(state, LIVE_AFTER_POWEROFF);
		return LIVE_SCREEN_END;
	case REBOOT:
		end_machine(state, LIVE_AFTER_REBOOT);
		return LIVE_SCREEN_END;
	case SHELL:
		run_shell(state);
		return LIVE_SCREEN_END;
	case SAVE:
		return LIVE_SCREEN_SAVE;
	case LEAVE:
		return LIVE_SCREEN_LEAVE;
	}
	return LIVE_SCREEN_NETWORK;
}
