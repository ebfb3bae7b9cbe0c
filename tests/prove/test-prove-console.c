/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a guest prints: cleaned, its tail, the ends that consoles show, files that grow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/scratch.h"
#include "p2v/prove/clean.h"
#include "p2v/prove/console.h"
#include "tests/base/lib-must.h"
#include "tests/handover/lib-machine.h"

static void test_clean_line(void **state)
{
	static const struct {
		const char *raw, *clean;
	} cases[] = {
		{"", ""},
		{"plain text", "plain text"},
		{"[\x1b[0;1;31mFAILED\x1b[0m] x\r", "[FAILED] x"},
		{"\x1b]0;title\ab", "b"},
		{"\x1b(Ba\x1b=b\x1b", "ab"},
		{"a\tb\a\x7f", "a b"},
		{"caf\xc3\xa9 \xe2\x80\xa6 \xf0\x9f\x98\x80", "caf\xc3\xa9 \xe2\x80\xa6 \xf0\x9f\x98\x80"},
		{"\xff\xc0\x80\xed\xa0\x80\xe2\x82", "????????"},
		{"\xf5\x80\x80\x80 \xf4\x90\x80\x80", "???? ????"},
		{"\x1b[", ""},
		{"\x1b[31", ""},
		{"end   ", "end"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CLEANUP_FREE char *clean = clean_line(cases[i].raw, strlen(cases[i].raw));

		assert_string_equal(clean, cases[i].clean);
	}
}

static void test_clean_tail(void **state)
{
	static const char text[] = "one\r\n\r\n\x1b[0mtwo\n   \nthree\n\nfour";
	CLEANUP_STRV struct strv two = {0};
	CLEANUP_STRV struct strv all = {0};
	CLEANUP_STRV struct strv none = {0};

	(void)state;
	clean_tail(text, sizeof text - 1, 2, &two);
	assert_int_equal(two.count, 2);
	assert_string_equal(two.items[0], "three");
	assert_string_equal(two.items[1], "four");
	clean_tail(text, sizeof text - 1, 99, &all);
	assert_int_equal(all.count, 4);
	assert_string_equal(all.items[0], "one");
	clean_tail("\n\n", 2, 5, &none);
	clean_tail("", 0, 5, &none);
	assert_int_equal(none.count, 0);
}

static void test_ends(void **state)
{
	static const struct {
		const char *text, *meaning, *cause;
	} cases[] = {
		{"Boot failed: not a bootable disk\r\n\r\nNo bootable device.  Retrying in 60 seconds.\r\n",
		 "the BIOS found nothing to boot", "Boot failed: not a bootable disk"},
		{"BdsDxe: No bootable option or device was found.\r\n",
		 "the UEFI firmware found nothing to boot", NULL},
		{"error: unknown filesystem.\r\nEntering rescue mode...\r\ngrub rescue> ",
		 "GRUB did not find its files", "error: unknown filesystem."},
		{"[    1.2] Kernel panic - not syncing: VFS: Unable to mount root fs", "the kernel panicked",
		 "[    1.2] Kernel panic - not syncing: VFS: Unable to mount root fs"},
		{"ALERT!  UUID=0 x\r\nALERT!  UUID=1 does not exist.  Dropping to a shell!\r\n(initramfs) ",
		 "the initramfs gave up and opened its shell",
		 "ALERT!  UUID=1 does not exist.  Dropping to a shell!"},
		{"[\x1b[31mFAILED\x1b[0m] Failed to mount /srv\r\nYou are in emergency mode. After logging "
		 "in",
		 "the system ended in emergency mode", "[FAILED] Failed to mount /srv"},
		{"Debian GNU/Linux 12 web01 ttyS0\r\n\r\nweb01 login: ", NULL, NULL},
		{"Run /init as init process\r\nupdate-initramfs: deferring\r\n", NULL, NULL},
		{"GNU GRUB  version 2.06\r\n*Debian GNU/Linux\r\n", NULL, NULL},
		{"", NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct console_end *end = console_find_end(cases[i].text, strlen(cases[i].text));

		CLEANUP_FREE char *cause = NULL;

		if (!cases[i].meaning) {
			assert_null(end);
			continue;
		}
		assert_string_equal(end->meaning, cases[i].meaning);
		cause = console_find_cause(end, cases[i].text, strlen(cases[i].text));
		if (cases[i].cause)
			assert_string_equal(cause, cases[i].cause);
		else
			assert_null(cause);
	}
}

static void append(const char *path, const char *text, size_t times)
{
	FILE *file = fopen(path, "ae");

	assert_non_null(file);
	while (times--)
		assert_true(fputs(text, file) >= 0);
	fclose(file);
}

static void test_growing_file(void **state)
{
	CLEANUP_SCRATCH struct scratch *scratch = NULL;
	CLEANUP_FREE char *path = NULL;
	struct console console = {.max_bytes = 1000};

	(void)state;
	must(scratch_create("/tmp", "p2v-test-console", &scratch));
	console.path = path = scratch_file(scratch, "log");
	console_refresh(&console); /* not there yet */
	assert_int_equal(console.text.bytes, 0);
	append(path, "one ", 1);
	console_refresh(&console);
	append(path, "two", 1);
	console_refresh(&console);
	assert_string_equal(console.text.data, "one two");
	append(path, "0123456789", 100000);
	append(path, "end", 1);
	console_refresh(&console);
	assert_true(console.text.bytes >= 1000 && console.text.bytes <= 67000);
	assert_string_equal(console.text.data + console.text.bytes - 6, "789end");
	assert_int_equal(console.read_bytes, 1000010);
	console_deinit(&console);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clean_line),
		cmocka_unit_test(test_clean_tail),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_growing_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
