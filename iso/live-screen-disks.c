/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which disks: all of the machine's, those that a capture takes marked. */
#include <stdlib.h>
#include <string.h>

#include "iso/live-dialog.h"
#include "iso/live-disks.h"
#include "iso/live-interface.h"
#include "p2v/base/format.h"
#include "p2v/base/mem.h"

#define LIST_ROWS 8
#define LIST_COLUMNS (LIVE_DIALOG_COLUMNS - 8) /* of an item's text, beside box and scroll bar */

static char *describe(const struct machine_disk *disk)
{
	CLEANUP_FREE char *content = live_disks_describe(disk);
	char size[FORMAT_BYTES], line[LIST_COLUMNS + 1];
	const char *source = str_starts_with(disk->source, "/dev/") ? disk->source + 5 : disk->source;

	snprintf(line, sizeof line, "%-10.24s %10s  %-18.18s %s", source, format_size(disk->size_bytes, size),
		 disk->model ? disk->model : "-", content);
	for (char *at = line; *at; at++)
		if (*at < ' ' || *at == 0x7f)
			*at = '?';
	return xstrdup(line);
}

/* What is good to know: what is in volumes, and why disks are not marked. */
static char *tell_more(const struct live_state *state)
{
	CLEANUP_TEXT struct text text = {0};

	if (state->disk_problem)
		text_addf(&text, "%s\n", state->disk_problem);
	for (size_t i = 0; i < state->layout.disk_count; i++) {
		const struct layout_disk *disk = &state->layout.disks[i];
		CLEANUP_FREE char *why_not = disk->why_not ? live_disks_reword(disk->why_not) : NULL;

		if (why_not && strcmp(why_not, "it was not chosen"))
			text_addf(&text, "%s is not marked: %s\n", disk->source, why_not);
	}
	for (size_t i = 0; i < state->inside.count; i++)
		text_addf(&text, "%s%s\n", i ? "" : "Arrays and volumes on them:\n", state->inside.items[i]);
	return text_take(&text);
}

static struct err *take_marks(struct live_state *state, newtComponent tree)
{
	CLEANUP_STRV struct strv devices = {0};
	CLEANUP_FREE const void **marked = NULL;
	int count = 0;

	marked = newtCheckboxTreeGetSelection(tree, &count);
	for (int i = 0; i < count; i++)
		strv_add(&devices, ((const struct machine_disk *)marked[i])->source);
	if (!devices.count)
		return err_advise(err_usage("no disk is marked"),
				  "mark one with the space bar: it shows [*] then");
	return live_state_choose(state, &devices);
}

static newtComponent add_list(struct live_dialog *dialog)
{
	const struct machine *machine = &dialog->state->machine;
	newtComponent tree = newtCheckboxTree(1, 2, LIST_ROWS, NEWT_FLAG_SCROLL);

	for (size_t i = 0; i < machine->disk_count; i++) {
		CLEANUP_FREE char *line = describe(&machine->disks[i]);

		newtCheckboxTreeAddItem(tree, line, &machine->disks[i],
					dialog->state->layout.disks[i].is_taken ? NEWT_FLAG_SELECTED : 0,
					NEWT_ARG_APPEND, NEWT_ARG_LAST);
	}
	newtCheckboxTreeSetWidth(tree, LIVE_DIALOG_COLUMNS);
	newtFormAddComponent(dialog->form, tree);
	return tree;
}

static enum live_screen show_none(struct live_state *state)
{
	return live_dialog_ask(
		       state, "3 Disks",
		       "This machine has no disk that we know.\n\nIts controller may want a driver that is "
		       "not here: the log says which devices there are. A disk that was connected just "
		       "now is found by looking again.",
		       "Look again", "Back")
		       ? LIVE_SCREEN_DISKS
		       : LIVE_SCREEN_RECEIVER;
}

static struct err *look_again(struct live_state *state)
{
	return live_state_find_disks(state);
}

enum live_screen live_screen_disks(struct live_state *state)
{
	CLEANUP_FREE char *more = tell_more(state);
	struct live_dialog dialog;
	newtComponent tree;
	struct err *err = NULL;
	int chosen;

	if (!state->machine.disk_count) {
		err_free(look_again(state));
		if (!state->machine.disk_count)
			return show_none(state);
	}
	live_dialog_begin(state, "3 Disks", &dialog);
	live_dialog_add_text(&dialog, 0, 2,
			     "What is marked [*] is sent; the space bar changes it. Disks are only read.");
	tree = add_list(&dialog);
	live_dialog_add_text(&dialog, 3 + LIST_ROWS, LIVE_DIALOG_ROWS - 4 - LIST_ROWS, more);
	LIVE_DIALOG_BUTTONS(&dialog, "Next", "Look again", "Back");
	chosen = live_dialog_run(&dialog);
	if (chosen == 0)
		err = take_marks(state, tree);
	live_dialog_end(&dialog);
	if (chosen == 1)
		err = look_again(state);
	if (err)
		live_dialog_tell_error(state, "3 Disks", err);
	if (err || chosen == 1)
		return LIVE_SCREEN_DISKS;
	return chosen == 2 ? LIVE_SCREEN_RECEIVER : LIVE_SCREEN_FINDINGS;
}
