/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The support bundle, to the receiver or to a stick. */
#include <stdint.h>

#include "capture/discover.h"
#include "iso/live-bundle.h"
#include "iso/live-dialog.h"
#include "iso/live-interface.h"
#include "iso/live-stick.h"
#include "p2v/base/mem.h"

#define TO_RECEIVER (-1)
#define BACK (-2)

static enum live_screen screen_before(struct live_state *state)
{
	struct live_progress progress;
	bool is_sending = live_state_keep(state, &progress) && progress.phase != LIVE_DONE;

	return is_sending ? LIVE_SCREEN_PROGRESS : LIVE_SCREEN_END;
}

/* The stick's index, TO_RECEIVER or BACK. */
static intptr_t choose(struct live_state *state, const struct live_sticks *sticks)
{
	CLEANUP_FREE char *receiver =
		xasprintf("The receiver, %s", state->config.server ? state->config.server : "");
	bool has_receiver = state->config.server && state->config.key;
	struct live_dialog dialog;
	newtComponent list;
	intptr_t choice = BACK;
	int chosen;

	live_dialog_begin(state, "Save the log", &dialog);
	live_dialog_add_text(
		&dialog, 0, 4,
		"Kernel messages, what was found, what happened, and a list of the hardware go into "
		"one file; the pairing key does not. Put a stick in now and look again, if there "
		"is none in the list.");
	list = newtListbox(1, 5, 8, NEWT_FLAG_RETURNEXIT | NEWT_FLAG_SCROLL);
	newtListboxSetWidth(list, LIVE_DIALOG_COLUMNS);
	if (has_receiver)
		newtListboxAppendEntry(list, receiver, (void *)TO_RECEIVER);
	for (size_t i = 0; i < sticks->count; i++)
		newtListboxAppendEntry(list, sticks->items[i].label, (void *)(intptr_t)i);
	newtFormAddComponent(dialog.form, list);
	LIVE_DIALOG_BUTTONS(&dialog, "Save", "Look again", "Back");
	chosen = live_dialog_run(&dialog);
	if (chosen == 0 && newtListboxItemCount(list))
		choice = (intptr_t)newtListboxGetCurrent(list);
	live_dialog_end(&dialog);
	if (chosen == 2)
		return BACK;
	return chosen == 0 && choice != BACK ? choice : (intptr_t)sticks->count;
}

static struct err *bring(const struct live_state *state, const char *path)
{
	const struct live_presence_options options = {
		.config = &state->config,
		.name = state->name,
		.program = state->options->program,
		.run_dir = state->options->run_dir,
		.log = state->log,
	};

	return live_presence_bring(&options, path);
}

static struct err *make_and_bring(struct live_state *state, const struct live_sticks *sticks, intptr_t choice)
{
	CLEANUP_FREE char *mount_dir = xasprintf("%s/stick", state->options->run_dir);
	CLEANUP_FREE char *path = NULL;

	TRY(live_bundle_make(state, &path));
	if (choice == TO_RECEIVER)
		return bring(state, path);
	return live_stick_save(&sticks->items[choice], mount_dir, path);
}

static struct err *save(struct live_state *state, const struct live_sticks *sticks, intptr_t choice)
{
	struct live_dialog dialog;
	struct err *err;

	live_dialog_begin(state, "Save the log", &dialog);
	live_dialog_add_text(&dialog, 1, 3, "Collecting what helps; this may take a minute ...");
	live_dialog_show(&dialog);
	err = make_and_bring(state, sticks, choice);
	live_dialog_end(&dialog);
	return err;
}

enum live_screen live_screen_save(struct live_state *state)
{
	CLEANUP_LIVE_STICKS struct live_sticks sticks = {0};
	CLEANUP_MACHINE struct machine machine = {0};
	struct err *err = discover_machine(state->options->sysroot, &machine);
	intptr_t choice;

	/* Sticks come and go. */
	live_sticks_find(&machine, &state->chosen, &sticks);
	err_free(err);
	choice = choose(state, &sticks);
	if (choice == BACK)
		return screen_before(state);
	if (choice == (intptr_t)sticks.count)
		return LIVE_SCREEN_SAVE;
	err = save(state, &sticks, choice);
	if (err) {
		live_dialog_tell_error(state, "Save the log", err);
		return LIVE_SCREEN_SAVE;
	}
	live_dialog_tell(state, "Save the log", "It is saved. A stick can be taken out now.");
	return screen_before(state);
}
