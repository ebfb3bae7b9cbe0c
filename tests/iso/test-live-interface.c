/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Each screen as a person meets it, and used wrongly on purpose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "tests/iso/lib-net.h"
#include "tests/iso/lib-play.h"

static int end(void **state)
{
	play_end(*state);
	return 0;
}

static struct screen *begin(void **state, const char *conf)
{
	struct play *play = play_begin(conf);

	if (!play)
		skip();
	*state = play;
	return play_screen(play);
}

static void test_network(void **state)
{
	struct screen *screen = begin(state, "interface=eth0\n");

	screen_wait(screen, "1 Network");
	screen_check(screen, "network");
	screen_type(screen, KEY_ENTER);
	screen_wait(screen, "x");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_network, NULL, end),
	};
	int status;

	if (play_is_interface(argc, argv, &status))
		return status;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
