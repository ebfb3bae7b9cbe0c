/* SPDX-License-Identifier: GPL-3.0-or-later */
/* All that was chosen, before it begins. */
#include "iso/live-dialog.h"
#include "iso/live-interface.h"
#include "p2v/base/format.h"
#include "p2v/base/mem.h"

static char *describe(const struct live_state *state)
{
	CLEANUP_TEXT struct text text = {0};
	char size[FORMAT_BYTES];
	uint64_t total_bytes = 0;

	text_addf(&text, "Receiver:  %s\nJob:       %s\nLimit:     %s\n\n", state->config.server, state->name,
		  state->config.limit ? state->config.limit : "none");
	for (size_t i = 0; i < state->machine.disk_count; i++) {
		const struct machine_disk *disk = &state->machine.disks[i];

		if (!layout_takes(&state->layout, disk->source))
			continue;
		total_bytes += disk->size_bytes;
		text_addf(&text, "  %s, %s\n", disk->source, format_size(disk->size_bytes, size));
	}
	text_addf(&text, "\n%s in all; only what is used of them is sent. Nothing is written to them.",
		  format_size(total_bytes, size));
	return text_take(&text);
}

static const struct {
	enum live_after after;
	const char *label;
} choices[] = {
	{LIVE_AFTER_WAIT, "When it is done, wait for me"},
	{LIVE_AFTER_POWEROFF, "When it is done, power off"},
	{LIVE_AFTER_REBOOT, "When it is done, reboot"},
};
#define CHOICE_COUNT (sizeof choices / sizeof *choices)

static void add_choices(struct live_dialog *dialog, newtComponent radios[CHOICE_COUNT])
{
	newtComponent before = NULL;

	for (size_t i = 0; i < CHOICE_COUNT; i++) {
		before = newtRadiobutton(1, LIVE_DIALOG_ROWS - 4 + i, choices[i].label,
					 dialog->state->config.after == choices[i].after, before);
		radios[i] = before;
		newtFormAddComponent(dialog->form, before);
	}
}

static void take_choice(struct live_state *state, newtComponent radios[CHOICE_COUNT])
{
	newtComponent chosen = newtRadioGetCurrent(radios[0]);

	for (size_t i = 0; i < CHOICE_COUNT; i++)
		if (radios[i] == chosen)
			state->config.after = choices[i].after;
}

enum live_screen live_screen_summary(struct live_state *state)
{
	CLEANUP_FREE char *text = describe(state);
	newtComponent radios[CHOICE_COUNT];
	struct live_dialog dialog;
	struct err *err;
	int chosen;

	live_dialog_begin(state, "5 Ready to send", &dialog);
	live_dialog_add_text(&dialog, 0, LIVE_DIALOG_ROWS - 5, text);
	add_choices(&dialog, radios);
	LIVE_DIALOG_BUTTONS(&dialog, "Start", "Back");
	newtFormSetCurrent(dialog.form, dialog.buttons[0]);
	chosen = live_dialog_run(&dialog);
	take_choice(state, radios);
	live_dialog_end(&dialog);
	if (chosen == 1)
		return LIVE_SCREEN_FINDINGS;
	err = live_state_send(state);
	if (!err)
		return LIVE_SCREEN_PROGRESS;
	live_dialog_tell_error(state, "5 Ready to send", err);
	return LIVE_SCREEN_SUMMARY;
}
