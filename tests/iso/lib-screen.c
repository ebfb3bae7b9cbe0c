/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/iso/lib-screen.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <vterm.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/base/strv.h"
#include "tests/base/lib-must.h"

#define LIMIT_NS 60000000000ull /* for what never comes */

struct screen {
	int master; /* what is at it: a pseudo terminal or a socket; -1: it is gone */
	int slave; /* -1: there is none */
	char device[64];
	struct child *child; /* NULL: others have the device */
	VTerm *terminal;
	VTermScreen *cells;
};

static struct screen *create(void)
{
	struct screen *screen = xcalloc(1, sizeof *screen);

	screen->master = screen->slave = -1;
	screen->terminal = vterm_new(SCREEN_ROWS, SCREEN_COLUMNS);
	vterm_set_utf8(screen->terminal, 0);
	screen->cells = vterm_obtain_screen(screen->terminal);
	vterm_screen_reset(screen->cells, 1);
	return screen;
}

struct screen *screen_connect(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct screen *screen = create();

	assert_true(strlen(path) < sizeof address.sun_path);
	memcpy(address.sun_path, path, strlen(path));
	screen->master = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (screen->master < 0 || connect(screen->master, (struct sockaddr *)&address, sizeof address))
		fail_msg("%s: %s", path, strerror(errno));
	assert_int_equal(fcntl(screen->master, F_SETFL, O_NONBLOCK), 0);
	return screen;
}

struct screen *screen_open(void)
{
	const struct winsize size = {.ws_row = SCREEN_ROWS, .ws_col = SCREEN_COLUMNS};
	struct screen *screen = create();

	screen->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	assert_true(screen->master >= 0);
	assert_int_equal(grantpt(screen->master), 0);
	assert_int_equal(unlockpt(screen->master), 0);
	assert_int_equal(ptsname_r(screen->master, screen->device, sizeof screen->device), 0);
	screen->slave = open(screen->device, O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(screen->slave >= 0);
	assert_int_equal(ioctl(screen->slave, TIOCSWINSZ, &size), 0);
	return screen;
}

struct screen *screen_start(const char *const *argv)
{
	const struct run_options options = {.flags = RUN_TERMINAL};
	struct screen *screen = screen_open();
	const int descriptors[3] = {screen->slave, screen->slave, screen->slave};

	must(child_start_on(argv, descriptors, &options, &screen->child));
	return screen;
}

const char *screen_device(const struct screen *screen)
{
	return screen->device;
}

void screen_close(struct screen *screen)
{
	if (!screen)
		return;
	child_stop(screen->child, 2000000000);
	if (screen->slave >= 0)
		close(screen->slave);
	if (screen->master >= 0)
		close(screen->master);
	vterm_free(screen->terminal);
	free(screen);
}

void screen_type(struct screen *screen, const char *keys)
{
	size_t bytes = strlen(keys);

	while (bytes && screen->master >= 0) {
		ssize_t put = write(screen->master, keys, bytes);

		if (put > 0) {
			keys += put;
			bytes -= put;
		} else {
			usleep(10000);
		}
	}
}

static void read_more(struct screen *screen, int wait_ms)
{
	struct pollfd fd = {.fd = screen->master, .events = POLLIN};
	char buffer[4096];
	ssize_t got;

	if (poll(&fd, 1, wait_ms) <= 0)
		return;
	got = read(screen->master, buffer, sizeof buffer);
	if (got > 0) {
		vterm_input_write(screen->terminal, buffer, got);
	} else if (!got || errno == ECONNRESET) {
		close(screen->master);
		screen->master = -1;
	}
}

static char character(const struct screen *screen, int row, int column)
{
	VTermScreenCell cell;

	vterm_screen_get_cell(screen->cells, (VTermPos){row, column}, &cell);
	return cell.chars[0] >= ' ' && cell.chars[0] < 0x7f ? cell.chars[0] : cell.chars[0] ? '?' : ' ';
}

static char *get_line(const struct screen *screen, int row)
{
	char *line = xcalloc(1, SCREEN_COLUMNS + 1);
	size_t bytes = SCREEN_COLUMNS;

	for (int column = 0; column < SCREEN_COLUMNS; column++)
		line[column] = character(screen, row, column);
	while (bytes && line[bytes - 1] == ' ')
		line[--bytes] = '\0';
	return line;
}

char *screen_show(const struct screen *screen)
{
	struct text text = {0};

	for (int row = 0; row < SCREEN_ROWS; row++) {
		CLEANUP_FREE char *line = get_line(screen, row);

		text_addf(&text, "%s\n", line);
	}
	return text_take(&text);
}

/* What is written, without frames and with single blanks: a sentence is one, wherever it was broken. */
static char *get_words(const struct screen *screen)
{
	CLEANUP_FREE char *text = screen_show(screen);
	CLEANUP_STRV struct strv words = {0};
	struct text line = {0};

	strv_split(&words, text, " \n|");
	for (size_t i = 0; i < words.count; i++)
		text_addf(&line, "%s%s", i ? " " : "", words.items[i]);
	return text_take(&line);
}

bool screen_has(struct screen *screen, const char *text)
{
	CLEANUP_FREE char *words = NULL;

	read_more(screen, 0);
	words = get_words(screen);
	return strstr(words, text);
}

bool screen_wait_for(struct screen *screen, const char *text, uint64_t limit_ns)
{
	uint64_t deadline_ns = run_now_ns() + limit_ns;

	while (!screen_has(screen, text)) {
		if (screen->master < 0 || run_now_ns() > deadline_ns)
			return false;
		read_more(screen, 100);
	}
	return true;
}

void screen_wait(struct screen *screen, const char *text)
{
	CLEANUP_FREE char *shown = NULL;

	if (screen_wait_for(screen, text, LIMIT_NS))
		return;
	shown = screen_show(screen);
	fail_msg("'%s' never comes; the screen is\n%s", text, shown);
}

/* All that is on its way: until nothing came for a while. */
static void settle(struct screen *screen)
{
	struct pollfd fd = {.fd = screen->master, .events = POLLIN};

	while (poll(&fd, 1, 150) > 0)
		read_more(screen, 0);
}

void screen_check(struct screen *screen, const char *name)
{
	const char *folder = getenv("P2V_SCREENS");
	CLEANUP_FREE char *shown = NULL;

	settle(screen);
	shown = screen_show(screen);
	for (int row = 0; row < SCREEN_ROWS; row++) {
		CLEANUP_FREE char *line = get_line(screen, row);
		const char *first = line + strspn(line, " ");

		if ((*first == '|' || *first == '+') && strlen(line) && line[strlen(line) - 1] != *first)
			fail_msg("%s: line %d is broken:\n%s", name, row, shown);
	}
	if (folder) {
		CLEANUP_FREE char *path = xasprintf("%s/%s.txt", folder, name);
		CLEANUP_FCLOSE FILE *file = fopen(path, "w");

		assert_non_null(file);
		fputs(shown, file);
	}
}

void screen_spoil(struct screen *screen)
{
	static const char rubbish[] = "\033[H\033[2Jrubbish";

	settle(screen);
	vterm_input_write(screen->terminal, rubbish, sizeof rubbish - 1);
}

int screen_wait_end(struct screen *screen)
{
	uint64_t deadline_ns = run_now_ns() + LIMIT_NS;
	int status;

	while ((status = child_wait(screen->child, 0)) < 0) {
		if (run_now_ns() > deadline_ns)
			fail_msg("the program never ends");
		read_more(screen, 50);
	}
	return status;
}
