/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A screen of the interface, over newt: a window as large as 80x24 allows, components in it, buttons below.
 *
 * While it waits for a user, the state is moved on.  Plain ASCII, no colours: it must read well on whatever
 * is at the other end of a serial line.
 */
#ifndef ISO_LIVE_DIALOG_H
#define ISO_LIVE_DIALOG_H

#include <newt.h>

#include "iso/live-state.h"

#define LIVE_DIALOG_COLUMNS 72 /* inside of the window */
#define LIVE_DIALOG_ROWS 17 /* the same, above the buttons */

struct live_dialog {
	struct live_state *state;
	newtComponent form;
	newtComponent buttons[4];
	size_t button_count;
	size_t back; /* the one that Esc stands for */
	void (*tick)(void *arg); /* NULL, or called a few times a second in place of live_state_keep() */
	void *tick_arg;
	bool is_left; /* a tick sets it: live_dialog_run() is to return */
};

/* Terminal and newt, for as long as dialogs are shown. */
void live_dialog_open_screen(void);
void live_dialog_close_screen(void);

void live_dialog_begin(struct live_state *state, const char *title, struct live_dialog *ret_dialog);
void live_dialog_end(struct live_dialog *dialog);

/* Text in so many rows, wrapped; it can be scrolled if there is more.  Gives the box, to change it. */
newtComponent live_dialog_add_text(struct live_dialog *dialog, int row, int rows, const char *text);
void live_dialog_set_text(newtComponent box, const char *text);

/* A label, and a field with what is in it at first (NULL: nothing). */
newtComponent live_dialog_add_field(struct live_dialog *dialog, int row, const char *label, const char *text);

/* "Back" is reached by Esc and F12, too, wherever it stands; where there is none, the last is. */
void live_dialog_add_buttons(struct live_dialog *dialog, const char *const *names, size_t count);
#define LIVE_DIALOG_BUTTONS(dialog, ...)                                    \
	live_dialog_add_buttons(dialog, (const char *const[]){__VA_ARGS__}, \
				sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

/* Draws it without waiting, for what takes a while and cannot be stopped. */
void live_dialog_show(struct live_dialog *dialog);

/* Waits for a button, and gives its number, or -1: the tick wants the screen to end. */
int live_dialog_run(struct live_dialog *dialog);

/* Windows of their own: something to read, an error (which is freed), a question; true for the first answer.
 */
void live_dialog_tell(struct live_state *state, const char *title, const char *text);
void live_dialog_tell_error(struct live_state *state, const char *title, struct err *err);
bool live_dialog_ask(struct live_state *state, const char *title, const char *text, const char *yes,
		     const char *no);

#endif
