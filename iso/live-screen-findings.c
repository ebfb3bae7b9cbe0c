/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a user should know before it starts; what cannot work does not go on from here. */
#include "iso/live-dialog.h"
#include "iso/live-disks.h"
#include "iso/live-interface.h"
#include "p2v/base/mem.h"

static bool can_work(const struct live_state *state)
{
	for (size_t i = 0; i < state->layout.finding_count; i++)
		if (state->layout.findings[i].level == FINDING_STOP)
			return false;
	return true;
}

static char *describe(const struct live_state *state)
{
	static const char *const words[] = {"Note", "Warning", "It cannot work"};
	CLEANUP_TEXT struct text text = {0};

	for (size_t i = 0; i < state->layout.finding_count; i++) {
		const struct layout_finding *finding = &state->layout.findings[i];

		text_addf(&text, "%s%s: %s.\n", i ? "\n" : "", words[finding->level], finding->text);
		if (finding->advice) {
			CLEANUP_FREE char *advice = live_disks_reword(finding->advice);

			text_addf(&text, "To do: %s.\n", advice);
		}
	}
	if (!state->layout.finding_count)
		text_addf(&text, "Nothing was found that stands against it.");
	return text_take(&text);
}

enum live_screen live_screen_findings(struct live_state *state)
{
	CLEANUP_FREE char *text = describe(state);
	struct live_dialog dialog;
	int chosen;

	live_dialog_begin(state, "4 What we found", &dialog);
	live_dialog_add_text(&dialog, 0, LIVE_DIALOG_ROWS, text);
	LIVE_DIALOG_BUTTONS(&dialog, "Next", "Back");
	chosen = live_dialog_run(&dialog);
	live_dialog_end(&dialog);
	if (chosen == 1)
		return LIVE_SCREEN_DISKS;
	if (can_work(state))
		return LIVE_SCREEN_SUMMARY;
	live_dialog_tell(state, "4 What we found",
			 "It cannot work with these disks, as was said. Mend that, or choose others.");
	return LIVE_SCREEN_DISKS;
}
