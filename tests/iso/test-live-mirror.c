/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A program on several consoles at once: the same is on all of them, and each can type. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "iso/live-mirror.h"
#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "tests/iso/lib-screen.h"

#define MIRROR "mirror-here"

struct world {
	struct screen *first, *second;
	struct child *mirror;
};

/* This program again: the mirror of a shell's script on the consoles that follow. */
static int be_mirror(int argc, char **argv)
{
	const char *const script[] = {"sh", "-c", argv[2], NULL};
	CLEANUP_STRV struct strv consoles = {0};
	CLEANUP_ERR struct err *err = NULL;

	for (int i = 3; i < argc; i++)
		strv_add(&consoles, argv[i]);
	/* As in the background of a script. */
	signal(SIGINT, SIG_IGN);
	err = live_mirror_run(script, &consoles, false, NULL);
	return err ? err_kind(err) : 0;
}

static void start(struct world *world, const char *script)
{
	const char *argv[] = {"/proc/self/exe", MIRROR, script, NULL, "/dev/no-such-console", NULL, NULL};

	world->first = screen_open();
	world->second = screen_open();
	argv[3] = screen_device(world->first);
	argv[5] = screen_device(world->second);
	assert_null(child_start(argv, NULL, NULL, &world->mirror));
}

static int begin(void **state)
{
	*state = xcalloc(1, sizeof(struct world));
	return 0;
}

static int end(void **state)
{
	struct world *world = *state;

	child_stop(world->mirror, 2000000000);
	screen_close(world->first);
	screen_close(world->second);
	free(world);
	return 0;
}

static void test_both_show_and_type(void **state)
{
	struct world *world = *state;

	start(world, "stty size; while read -r line; do echo \"got $line\"; done");
	screen_wait(world->first, "24 80");
	screen_wait(world->second, "24 80");
	screen_type(world->first, "one\r");
	screen_wait(world->second, "got one");
	screen_type(world->second, "two\r");
	screen_wait(world->first, "got two");
}

/* The program's own terminal: it has job control, so that Ctrl-C reaches it alone. */
static void test_is_a_terminal(void **state)
{
	struct world *world = *state;

	start(world, "trap 'echo stopped' INT; tty -s && echo terminal; while :; do sleep 0.1; done");
	screen_wait(world->first, "terminal");
	screen_type(world->second, "\003");
	screen_wait(world->first, "stopped");
	assert_true(child_wait(world->mirror, 0) < 0);
}

static void test_starts_again(void **state)
{
	struct world *world = *state;

	start(world, "echo pid $$; stty raw -echo; read -r line; exit 7");
	screen_wait(world->first, "pid");
	screen_type(world->first, "x\n");
	screen_wait(world->second, "the interface ended with status 7: it starts again");
	screen_wait(world->second, "again pid");
}

/* Nobody reads one of them: the other goes on, and much. */
static void test_slow_console(void **state)
{
	struct world *world = *state;

	start(world,
	      "i=0; while [ $i -lt 20000 ]; do echo line $i of many; i=$((i + 1)); done; echo all said; "
	      "sleep 100");
	screen_wait(world->second, "all said");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_both_show_and_type, begin, end),
		cmocka_unit_test_setup_teardown(test_is_a_terminal, begin, end),
		cmocka_unit_test_setup_teardown(test_starts_again, begin, end),
		cmocka_unit_test_setup_teardown(test_slow_console, begin, end),
	};

	if (argc > 3 && !strcmp(argv[1], MIRROR))
		return be_mirror(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
