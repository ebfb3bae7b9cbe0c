// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A program that goes on from a copy of itself in memory. This one runs itself with a word, which tells what
 * it is to do there.
 */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/run.h"
#include "p2v/base/self.h"
#include "tests/base/lib-must.h"

/* Prints what it is called, what it runs from, and its last argument. */
static int move(char **argv)
{
	char *const again[] = {"@moved", argv[1], "an argument", NULL};
	char path[PATH_MAX] = "";
	struct err *err = self_move_to_memory(again);

	if (err || readlink("/proc/self/exe", path, sizeof path - 1) < 0)
		return 1;
	printf("%s|%s|%s", argv[0], path, argv[2]);
	return 0;
}

static void moves(void **state)
{
	char path[PATH_MAX] = "";
	const char *const argv[] = {path, "move", NULL};
	CLEANUP_RUN_RESULT struct run_result result = {0};

	(void)state;
	assert_true(readlink("/proc/self/exe", path, sizeof path - 1) > 0);
	must(run_argv(argv, &(struct run_options){0}, &result));
	assert_non_null(strstr(result.out, "@moved|/memfd:"));
	assert_non_null(strstr(result.out, "|an argument"));
}

/* This one has libraries. */
static void finds_mapped(void **state)
{
	CLEANUP_STRV struct strv paths = {0};
	char path[PATH_MAX] = "";
	bool has_library = false;

	(void)state;
	self_find_mapped(&paths);
	assert_true(readlink("/proc/self/exe", path, sizeof path - 1) > 0);
	assert_true(strv_has(&paths, path));
	for (size_t i = 0; i < paths.count; i++)
		has_library |= strstr(paths.items[i], "libcmocka") != NULL;
	assert_true(has_library);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(moves),
		cmocka_unit_test(finds_mapped),
	};

	if (argc > 1 && !strcmp(argv[1], "move"))
		return move(argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
