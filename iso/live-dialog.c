/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "iso/live-dialog.h"

#include <slang.h>
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"

#define TICK_MS 400
#define KEY_CTRL_L 12
/* A name that no terminal data base has: slang then takes what every terminal since the VT100 knows, with
 * frames of plain characters. */
#define TERMINAL "vt100-plain"
#define HELP "Tab: next field   Space: mark   Enter: choose   Esc: back   Ctrl-L: draw again"

void live_dialog_open_screen(void)
{
	setenv("TERM", TERMINAL, 1);
	setenv("LC_ALL", "C", 1);
	SLtt_Use_Ansi_Colors = 0;
	newtInit();
	SLtt_Use_Ansi_Colors = 0;
	newtCls();
	newtPushHelpLine(HELP);
}

void live_dialog_close_screen(void)
{
	newtPopHelpLine();
	newtFinished();
}

void live_dialog_begin(struct live_state *state, const char *title, struct live_dialog *ret_dialog)
{
	*ret_dialog = (struct live_dialog){.state = state};
	newtCenteredWindow(LIVE_DIALOG_COLUMNS + 2, LIVE_DIALOG_ROWS + 2, title);
	ret_dialog->form = newtForm(NULL, NULL, 0);
	newtFormSetTimer(ret_dialog->form, TICK_MS);
	newtFormAddHotKey(ret_dialog->form, NEWT_KEY_ESCAPE);
	newtFormAddHotKey(ret_dialog->form, KEY_CTRL_L);
}

void live_dialog_end(struct live_dialog *dialog)
{
	newtFormDestroy(dialog->form);
	newtPopWindow();
}

/* What comes from disks and other programs may be anything. */
static char *make_plain(const char *text)
{
	char *plain = xstrdup(text);

	for (char *at = plain; *at; at++)
		if ((*at < ' ' && *at != '\n') || *at == 0x7f)
			*at = '?';
	return plain;
}

newtComponent live_dialog_add_text(struct live_dialog *dialog, int row, int rows, const char *text)
{
	CLEANUP_FREE char *plain = make_plain(text);
	newtComponent box = newtTextbox(1, row, LIVE_DIALOG_COLUMNS, rows, NEWT_FLAG_WRAP);

	newtTextboxSetText(box, plain);
	if (newtTextboxGetNumLines(box) > rows) {
		newtComponentDestroy(box);
		box = newtTextbox(1, row, LIVE_DIALOG_COLUMNS, rows, NEWT_FLAG_WRAP | NEWT_FLAG_SCROLL);
		newtTextboxSetText(box, plain);
	}
	newtFormAddComponent(dialog->form, box);
	return box;
}

void live_dialog_set_text(newtComponent box, const char *text)
{
	CLEANUP_FREE char *plain = make_plain(text);

	newtTextboxSetText(box, plain);
}

newtComponent live_dialog_add_field(struct live_dialog *dialog, int row, const char *label, const char *text)
{
	const int column = 22;
	CLEANUP_FREE char *plain = make_plain(text ? text : "");
	newtComponent field =
		newtEntry(column, row, plain, LIVE_DIALOG_COLUMNS - column, NULL, NEWT_FLAG_SCROLL);

	newtFormAddComponents(dialog->form, newtLabel(1, row, label), field, NULL);
	return field;
}

void live_dialog_add_buttons(struct live_dialog *dialog, const char *const *names, size_t count)
{
	int left = 1;

	for (size_t i = 0; i < count; i++) {
		newtComponent button = newtCompactButton(left, LIVE_DIALOG_ROWS + 1, names[i]);

		dialog->buttons[dialog->button_count++] = button;
		newtFormAddComponent(dialog->form, button);
		left += strlen(names[i]) + 5;
	}
	dialog->back = count - 1;
	for (size_t i = 0; i < count; i++)
		if (!strcmp(names[i], "Back"))
			dialog->back = i;
}

static void tick(struct live_dialog *dialog)
{
	struct live_progress progress;

	if (dialog->tick)
		dialog->tick(dialog->tick_arg);
	else
		live_state_keep(dialog->state, &progress);
}

static void draw_again(void)
{
	SLsmg_touch_screen();
	newtRefresh();
}

void live_dialog_show(struct live_dialog *dialog)
{
	newtDrawForm(dialog->form);
	newtRefresh();
}

int live_dialog_run(struct live_dialog *dialog)
{
	struct newtExitStruct end;

	for (;;) {
		newtFormRun(dialog->form, &end);
		switch (end.reason) {
		case NEWT_EXIT_COMPONENT:
			for (size_t i = 0; i < dialog->button_count; i++)
				if (end.u.co == dialog->buttons[i])
					return i;
			return 0; /* an entry of a list was chosen */
		case NEWT_EXIT_HOTKEY:
			if (end.u.key != KEY_CTRL_L)
				return dialog->back;
			draw_again();
			break;
		case NEWT_EXIT_TIMER:
			tick(dialog);
			if (dialog->is_left)
				return -1;
			break;
		case NEWT_EXIT_FDREADY:
			break;
		case NEWT_EXIT_ERROR:
			/* The terminal is gone. */
			_exit(1);
		}
	}
}

void live_dialog_tell(struct live_state *state, const char *title, const char *text)
{
	live_dialog_ask(state, title, text, "OK", NULL);
}

void live_dialog_tell_error(struct live_state *state, const char *title, struct err *err)
{
	CLEANUP_FREE char *text =
		xasprintf("%s%s%s%s", err_message(err), err_advice(err) ? "\n\n" : "",
			  err_advice(err) ? err_advice(err) : "", err_advice(err) ? "." : "");

	log_warning(state->log, "%s: %s", title, err_message(err));
	err_free(err);
	live_dialog_tell(state, title, text);
}

bool live_dialog_ask(struct live_state *state, const char *title, const char *text, const char *yes,
		     const char *no)
{
	struct live_dialog dialog;
	int chosen;

	live_dialog_begin(state, title, &dialog);
	live_dialog_add_text(&dialog, 1, LIVE_DIALOG_ROWS - 1, text);
	live_dialog_add_buttons(&dialog, (const char *const[]){yes, no}, no ? 2 : 1);
	chosen = live_dialog_run(&dialog);
	live_dialog_end(&dialog);
	return chosen == 0;
}
