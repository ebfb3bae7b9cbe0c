/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tool-screen SOCKET: a person at a machine's serial port, for scripts.  Orders come from standard input, a
 * line each, and each is answered on standard output by "ok" or "no"; behind a "no" the screen is on standard
 * error.
 *
 *	type KEYS		as they are: carriage return, escape, ...
 *	wait SECONDS TEXT	until it is on the screen (see screen_wait())
 *	has TEXT		whether it is there now
 *	check NAME		that no frame is broken (see screen_check(), which ends us if one is)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/cleanup.h"
#include "tests/iso/lib-screen.h"

static bool do_wait(struct screen *screen, const char *words)
{
	char *text;
	unsigned long seconds = strtoul(words, &text, 10);

	return *text == ' ' && screen_wait_for(screen, text + 1, seconds * 1000000000);
}

static bool do_type(struct screen *screen, const char *keys)
{
	screen_type(screen, keys);
	return true;
}

static bool do_has(struct screen *screen, const char *text)
{
	return screen_has(screen, text);
}

static bool do_check(struct screen *screen, const char *name)
{
	screen_check(screen, name);
	return true;
}

static const struct {
	const char *name;
	bool (*do_it)(struct screen *screen, const char *rest);
} orders[] = {{"type ", do_type}, {"wait ", do_wait}, {"has ", do_has}, {"check ", do_check}};

static bool obey(struct screen *screen, const char *line)
{
	for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
		size_t bytes = strlen(orders[i].name);

		if (!strncmp(line, orders[i].name, bytes))
			return orders[i].do_it(screen, line + bytes);
	}
	return false;
}

int main(int argc, char **argv)
{
	struct screen *screen;
	CLEANUP_FREE char *line = NULL;
	size_t size = 0;

	if (argc != 2) {
		fputs("usage: tool-screen SOCKET\n", stderr);
		return 2;
	}
	screen = screen_connect(argv[1]);
	while (getline(&line, &size, stdin) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (obey(screen, line)) {
			puts("ok");
		} else {
			CLEANUP_FREE char *shown = screen_show(screen);

			fprintf(stderr, "'%s' is not so; the screen is\n%s", line, shown);
			puts("no");
		}
		fflush(stdout);
	}
	screen_close(screen);
	return 0;
}
