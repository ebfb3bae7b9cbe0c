/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A person at a terminal of 80x24: starts a program on a pseudo terminal, or
 * looks at a machine's serial port, reads its screen (by libvterm, as a VT100
 * would show it) and types.
 *
 * What fails here fails the test that runs; in a program that is none it ends the program.
 *
 * With $P2V_SCREENS, a folder, each capture by name becomes a file NAME.txt there.
 */
#ifndef TESTS_ISO_LIB_SCREEN_H
#define TESTS_ISO_LIB_SCREEN_H

#include <stdbool.h>
#include <stdint.h>

#define SCREEN_COLUMNS 80
#define SCREEN_ROWS 24

struct screen;

#define KEY_ENTER "\r"
#define KEY_TAB "\t"
#define KEY_ESC "\033"
#define KEY_DOWN "\033[B"
#define KEY_CTRL_U "\025"

/* Of a program, or of what is at the other end of a terminal that the test has made (screen_open(): the
 * device to give to a program is screen_device()). */
struct screen *screen_start(const char *const *argv);
struct screen *screen_open(void);
struct screen *screen_connect(const char *path); /* of what is behind that socket */
const char *screen_device(const struct screen *screen);
void screen_close(struct screen *screen); /* ends the program */

void screen_type(struct screen *screen, const char *keys);

/* Reads until the text is on the screen, blanks and line ends taken as one blank; fails the test, showing the
 * screen, if it never is (a minute). */
void screen_wait(struct screen *screen, const char *text);
bool screen_has(struct screen *screen, const char *text); /* now */

/* The same, with another limit: false if it never is, or the other end is gone. */
bool screen_wait_for(struct screen *screen, const char *text, uint64_t limit_ns);

/* All of it, lines ended; the caller frees it. */
char *screen_show(const struct screen *screen);

/* Fails unless every frame on it is whole: a line that begins with a frame's side also ends with one. */
void screen_check(struct screen *screen, const char *name);

/* Something else has written all over it. */
void screen_spoil(struct screen *screen);

/* True when the program has ended, and its exit code; waits for that. */
int screen_wait_end(struct screen *screen);

#endif
