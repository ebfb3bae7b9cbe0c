/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Each screen as a person meets it, and used wrongly on purpose. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/sync/key.h"
#include "tests/iso/lib-net.h"
#include "tests/iso/lib-play.h"

#define TABS_3 KEY_TAB KEY_TAB KEY_TAB
#define TABS_8 TABS_3 TABS_3 KEY_TAB KEY_TAB

static int end(void **state)
{
	play_end(*state);
	return 0;
}

static struct screen *begin(void **state, const char *conf)
{
	struct play *play = play_begin(conf, NULL);

	if (!play)
		skip();
	*state = play;
	return play_screen(play);
}

/* Types, then waits for what that brings. */
static void step(struct screen *screen, const char *keys, const char *text)
{
	screen_type(screen, keys);
	screen_wait(screen, text);
}

static void test_network(void **state)
{
	struct screen *screen = begin(state, "");

	screen_wait(screen, "1 Network");
	screen_wait(screen, "link, no address yet");
	screen_check(screen, "1-network");
	step(screen, KEY_ENTER, "There is no address yet");
	screen_check(screen, "1-network-none");
	step(screen, KEY_TAB KEY_ENTER, "Every interface that has a link");
	/* An address that comes is shown without a key. */
	net_serve_dhcp("far0");
	screen_wait(screen, "192.0.2.5");
	screen_wait(screen, "router: 192.0.2.1");
	screen_check(screen, "1-network-address");
	net_there("ip link set far1 down");
	screen_wait(screen, "no link: is a cable connected?");
	step(screen, KEY_ESC, "What now");
	step(screen, KEY_ESC, "1 Network");
}

static void test_settings(void **state)
{
	struct screen *screen = begin(state, "");

	screen_wait(screen, "1 Network");
	step(screen, KEY_TAB KEY_ENTER, "Address/bits");
	screen_check(screen, "1-settings");
	step(screen, "192.0.2.7" TABS_8 KEY_ENTER, "is not ADDRESS/BITS");
	screen_check(screen, "1-settings-wrong");
	/* What was typed is still there. */
	step(screen, KEY_ENTER, "Address/bits");
	step(screen, "/24" TABS_3 "eth9" TABS_3 KEY_TAB KEY_TAB KEY_ENTER,
	     "there is no network interface 'eth9'");
	step(screen, KEY_ENTER, "Address/bits");
	step(screen, TABS_3 KEY_CTRL_U "eth1" KEY_TAB "5000" TABS_3 KEY_TAB KEY_ENTER, "1 to 4094");
	step(screen, KEY_ENTER, "Address/bits");
	step(screen, TABS_3 KEY_TAB KEY_CTRL_U TABS_3 KEY_TAB KEY_ENTER, "The address is set by hand");
	screen_wait(screen, "192.0.2.7/24");
	/* Leaving it changes nothing. */
	step(screen, KEY_TAB KEY_ENTER, "Address/bits");
	step(screen, KEY_CTRL_U "rubbish" KEY_ESC, "1 Network");
	screen_wait(screen, "192.0.2.7/24");
}

static void make_other_key(char text[KEY_TEXT_BYTES])
{
	CLEANUP_KEY struct key *key = NULL;

	assert_null(key_make(&key));
	key_format(key, text);
}

/* Up to the disks. */
static void go_to_receiver(struct screen *screen)
{
	screen_wait(screen, "1 Network");
	step(screen, KEY_ENTER, "There is no address yet");
	step(screen, KEY_ENTER, "2 Receiver");
}

static void test_receiver(void **state)
{
	struct screen *screen = begin(state, "name=web1\n");
	CLEANUP_FREE char *wrong = xstrdup(play_key(*state)), *keys = NULL;
	char other[KEY_TEXT_BYTES];

	go_to_receiver(screen);
	screen_check(screen, "2-receiver");
	step(screen, TABS_3 KEY_TAB KEY_ENTER, "the receiver is missing");
	step(screen, KEY_ENTER, "Pairing key");
	step(screen, "127.0.0.1" TABS_3 KEY_TAB KEY_ENTER, "the pairing key is missing");
	step(screen, KEY_ENTER, "Pairing key");
	/* A slip of the finger is told before anybody is asked. */
	wrong[7] = wrong[7] == 'Z' ? 'Y' : 'Z';
	keys = xasprintf(KEY_TAB "%s" TABS_3 KEY_ENTER, wrong);
	step(screen, keys, "has a typing error");
	screen_check(screen, "2-receiver-typing-error");
	step(screen, KEY_ENTER, "Pairing key");
	screen_wait(screen, wrong);
	/* In order, but somebody else's. */
	make_other_key(other);
	free(keys);
	keys = xasprintf(KEY_TAB KEY_CTRL_U "%s" TABS_3 KEY_ENTER, other);
	step(screen, keys, "does not take this machine in");
	screen_wait(screen, "key");
	screen_check(screen, "2-receiver-wrong-key");
	/* Escape is Back here, too, where that is the first button. */
	step(screen, KEY_ESC, "Pairing key");
	screen_wait(screen, other);
	/* Nobody there, and on anyway, and back. */
	step(screen, KEY_CTRL_U "127.0.0.1:9" TABS_3 KEY_TAB KEY_ENTER, "does not take this machine in");
	step(screen, KEY_TAB KEY_ENTER, "3 Disks");
	step(screen, KEY_ESC, "2 Receiver");
	/* The right one. */
	free(keys);
	keys = xasprintf(KEY_CTRL_U "127.0.0.1" KEY_TAB "%s" TABS_3 KEY_ENTER, play_key(*state));
	step(screen, keys, "3 Disks");
	/* It is kept when one comes back. */
	step(screen, KEY_ESC, "(one is known: empty keeps it)");
	step(screen, TABS_3 KEY_CTRL_U "fast" KEY_TAB KEY_ENTER, "'fast' is no rate");
	step(screen, KEY_ENTER, "Pairing key");
	step(screen, KEY_TAB KEY_TAB KEY_CTRL_U "../x" KEY_TAB KEY_CTRL_U KEY_TAB KEY_ENTER,
	     "cannot be the name of a job");
	step(screen, KEY_ENTER, "Pairing key");
	step(screen, KEY_TAB KEY_TAB KEY_CTRL_U "web2" KEY_TAB KEY_TAB KEY_ENTER, "3 Disks");
}

/* True if the receiver has a bundle; the key must not be in it. */
static bool has_bundle(struct play *play)
{
	CLEANUP_FREE char *command =
		xasprintf("set -e; f=$(find %s/jobs -name '*.zst'); zstd -dcf $f >%s/bundle; cd %s; "
			  "tar tf bundle | grep -x log/live.log; tar tf bundle | grep -x scan.json; "
			  "! grep -aF '%s' bundle",
			  play_folder(play), play_folder(play), play_folder(play), play_key(play));
	const char *const argv[] = {"bash", "-c", command, NULL};
	CLEANUP_ERR struct err *err = run_argv(argv, NULL, NULL);

	if (err)
		print_message("%s: %s\n", command, err_message(err));
	return !err;
}

static void test_disks_to_end(void **state)
{
	struct screen *screen = begin(state, "server=127.0.0.1\nname=web1\nkey=%s\nwrong-word=1\n");

	/* What is wrong in a configuration keeps it from beginning by itself. */
	go_to_receiver(screen);
	step(screen, TABS_3 KEY_TAB KEY_ENTER, "3 Disks");
	screen_wait(screen, "sdzy is not marked: it is removable: mark it if it belongs");
	screen_check(screen, "3-disks");
	/* The space bar goes on to the next one. */
	step(screen, "  ", "[ ] sdzx");
	step(screen, KEY_TAB KEY_ENTER, "no disk is marked");
	step(screen, KEY_ENTER, "[*] sdzx");
	step(screen, " ", "[ ] nvme9n1");
	/* Looking again begins anew. */
	step(screen, KEY_TAB KEY_TAB KEY_ENTER, "[*] nvme9n1");
	step(screen, KEY_TAB KEY_ENTER, "4 What we found");
	screen_wait(screen, "Warning: /dev/nvme9n1 is encrypted (LUKS)");
	screen_check(screen, "4-findings");
	step(screen, KEY_ENTER, "5 Ready to send");
	screen_wait(screen, "Job: web1");
	screen_check(screen, "5-summary");
	step(screen, KEY_TAB KEY_ENTER, "4 What we found");
	step(screen, KEY_ENTER, "5 Ready to send");
	/* The disks of a recording are not there. */
	step(screen, KEY_ENTER, "6 Not sent");
	screen_wait(screen, "/dev/nvme9n1");
	screen_check(screen, "6-not-sent");
	step(screen, KEY_TAB KEY_ENTER, "Save the log");
	screen_wait(screen, "The receiver, 127.0.0.1");
	screen_check(screen, "8-save");
	step(screen, KEY_ENTER, "It is saved");
	assert_true(has_bundle(*state));
	step(screen, KEY_ENTER, "What now");
	screen_check(screen, "7-end");
	screen_type(screen, KEY_DOWN KEY_DOWN KEY_DOWN KEY_ENTER);
	assert_int_equal(screen_wait_end(screen), 0);
}

/* Draw again: what somebody else has written on the screen is gone. */
static void test_draw_again(void **state)
{
	struct screen *screen = begin(state, "");

	screen_wait(screen, "1 Network");
	screen_spoil(screen);
	assert_false(screen_has(screen, "1 Network"));
	step(screen, "\014", "1 Network");
	screen_check(screen, "drawn-again");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_network, NULL, end),
		cmocka_unit_test_setup_teardown(test_settings, NULL, end),
		cmocka_unit_test_setup_teardown(test_receiver, NULL, end),
		cmocka_unit_test_setup_teardown(test_disks_to_end, NULL, end),
		cmocka_unit_test_setup_teardown(test_draw_again, NULL, end),
	};
	int status;

	if (play_is_interface(argc, argv, &status))
		return status;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
