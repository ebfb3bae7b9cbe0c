/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How far it is, per disk; it ends by itself, and may be stopped. */
#include <stdlib.h>
#include <string.h>

#include "iso/live-dialog.h"
#include "iso/live-end.h"
#include "iso/live-interface.h"
#include "p2v/base/format.h"
#include "p2v/base/mem.h"

#define BAR_CELLS 30

struct view {
	struct live_dialog dialog;
	newtComponent box, scale;
	struct live_progress progress;
};

static void tell_disk(const struct live_disk_progress *disk, struct text *text)
{
	double part = disk->total_bytes ? (double)disk->done_bytes / disk->total_bytes : 1;
	char bar[BAR_CELLS + 1], size[FORMAT_BYTES];

	memset(bar, '.', BAR_CELLS);
	memset(bar, '#', part * BAR_CELLS);
	bar[BAR_CELLS] = '\0';
	text_addf(text, "%-20.20s [%s] %3.0f %%  %s\n", disk->source, bar, part * 100,
		  format_size(disk->total_bytes, size));
}

static void tell_phase(const struct live_state *state, const struct live_progress *progress,
		       struct text *text)
{
	char rate[FORMAT_BYTES], left[FORMAT_BYTES], done[FORMAT_BYTES], total[FORMAT_BYTES];

	switch (progress->phase) {
	case LIVE_CONNECTING:
		text_addf(text, "Connecting to %s ...\n", state->config.server);
		break;
	case LIVE_SENDING:
		text_addf(text, "Sending to %s: %s of %s, %s/s, %s left\n", state->config.server,
			  format_size(progress->done_bytes, done), format_size(progress->total_bytes, total),
			  format_size(progress->bytes_per_second, rate),
			  progress->remaining_seconds ? format_seconds(progress->remaining_seconds, left)
						      : "?");
		break;
	case LIVE_PAUSED:
		text_addf(text, "Interrupted: %s.\nIt goes on by itself as soon as that is mended.\n",
			  progress->message);
		break;
	case LIVE_DONE:
	case LIVE_REFUSED:
		break;
	}
}

static char *describe(const struct live_state *state, const struct live_progress *progress)
{
	CLEANUP_TEXT struct text text = {0};

	tell_phase(state, progress, &text);
	text_addf(&text, "\n");
	for (size_t i = 0; i < progress->disk_count; i++)
		tell_disk(&progress->disks[i], &text);
	if (progress->tries > 1)
		text_addf(&text, "\ntried %u times; what had arrived did not travel again\n",
			  progress->tries);
	if (progress->warning)
		text_addf(&text, "\nwarning: %s\n", progress->warning);
	return text_take(&text);
}

static void show_scale(const struct view *view)
{
	if (view->progress.total_bytes)
		newtScaleSet(view->scale, view->progress.done_bytes * 1000.0 / view->progress.total_bytes);
}

static void show_again(void *arg)
{
	struct view *view = arg;
	CLEANUP_FREE char *text = NULL;

	if (!live_state_keep(view->dialog.state, &view->progress) || view->progress.phase == LIVE_DONE ||
	    view->progress.phase == LIVE_REFUSED) {
		view->dialog.is_left = true;
		return;
	}
	text = describe(view->dialog.state, &view->progress);
	live_dialog_set_text(view->box, text);
	show_scale(view);
}

static int show(struct live_state *state, struct live_progress *ret_progress)
{
	struct view view = {0};
	CLEANUP_FREE char *text = NULL;
	int chosen;

	live_state_keep(state, &view.progress);
	text = describe(state, &view.progress);
	live_dialog_begin(state, "6 Sending", &view.dialog);
	view.scale = newtScale(1, 0, LIVE_DIALOG_COLUMNS, 1000);
	newtFormAddComponent(view.dialog.form, view.scale);
	show_scale(&view);
	view.box = live_dialog_add_text(&view.dialog, 2, LIVE_DIALOG_ROWS - 3, text);
	view.dialog.tick = show_again;
	view.dialog.tick_arg = &view;
	LIVE_DIALOG_BUTTONS(&view.dialog, "Save log", "Stop");
	chosen = live_dialog_run(&view.dialog);
	live_dialog_end(&view.dialog);
	*ret_progress = view.progress;
	return chosen;
}

static enum live_screen end_well(struct live_state *state)
{
	struct err *err = NULL;

	if (state->config.after == LIVE_AFTER_POWEROFF || state->config.after == LIVE_AFTER_REBOOT)
		err = live_end_machine(state, state->config.after);
	if (err)
		live_dialog_tell_error(state, "6 Sending", err);
	return LIVE_SCREEN_END;
}

/* What was refused is mended at the screen that it is about, as far as we can know. */
static enum live_screen end_refused(struct live_state *state, const struct live_progress *progress)
{
	CLEANUP_FREE char *text =
		xasprintf("%s\n\n%s\n\nWhat has arrived at the receiver stays there: nothing is lost.",
			  progress->message, progress->advice ? progress->advice : "");
	bool is_back = live_dialog_ask(state, "6 Not sent", text, "Back", "Save log");

	live_transfer_stop(take_ptr(state->transfer));
	return is_back ? LIVE_SCREEN_RECEIVER : LIVE_SCREEN_SAVE;
}

static enum live_screen stop(struct live_state *state)
{
	if (!live_dialog_ask(
		    state, "6 Sending",
		    "Stop sending?\n\nWhat has arrived stays at the receiver: if you send again under "
		    "the same name, only the rest travels.",
		    "Stop", "Go on"))
		return LIVE_SCREEN_PROGRESS;
	live_transfer_stop(take_ptr(state->transfer));
	live_presence_tell(state->presence, "waiting", "stopped at the machine");
	return LIVE_SCREEN_SUMMARY;
}

enum live_screen live_screen_progress(struct live_state *state)
{
	struct live_progress progress;
	int chosen;

	if (!state->transfer)
		return LIVE_SCREEN_SUMMARY;
	chosen = show(state, &progress);
	if (chosen == 0)
		return LIVE_SCREEN_SAVE;
	if (chosen == 1)
		return stop(state);
	return progress.phase == LIVE_DONE ? end_well(state) : end_refused(state, &progress);
}
