/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Kernel command lines as words, and the pieces of editing lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "boot-fix/cmdline.h"
#include "boot-fix/edit.h"
#include "tests/base/lib-must.h"
#include "tests/guest/lib-tree.h"

static const char *const lines[] = {
	"",
	"   ",
	"quiet",
	" root=/dev/sda1  ro\tquiet ",
	"dyndbg=\"file a.c +p\" root=\"/dev/sda1\"\r",
	"\"root=/dev/sda1\" 'a b' c\\ d",
	"unclosed=\"a b",
	"back\\",
	"\"",
	"=",
};

static void test_round_trip(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		CLEANUP_CMDLINE struct cmdline cmdline = {0};
		CLEANUP_FREE char *text = NULL;

		cmdline_parse(lines[i], &cmdline);
		text = cmdline_format(&cmdline);
		assert_string_equal(text, lines[i]);
	}
}

static void test_values(void **state)
{
	static const struct {
		const char *word, *name, *value, *after; /* after: with "new" */
	} cases[] = {
		{"root=/dev/sda1", "root", "/dev/sda1", "root=new"},
		{"root=\"/dev/sda1\"", "root", "/dev/sda1", "root=\"new\""},
		{"\"root=/dev/sda1\"", "root", "/dev/sda1", "\"root=new\""},
		{"rd-x.blacklist=a", "rd_x.blacklist", "a", "rd-x.blacklist=new"},
		{"root=", "root", "", "root=new"},
		{"root=UUID=a", "root", "UUID=a", "root=new"},
		{"rootflags=x", "root", NULL, NULL},
		{"root", "root", NULL, NULL},
		{"ro", "root", NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CLEANUP_CMDLINE struct cmdline cmdline = {0};
		CLEANUP_FREE char *value = NULL;

		cmdline_parse(cases[i].word, &cmdline);
		value = cmdline_value(&cmdline, 0, cases[i].name);
		if (!cases[i].value) {
			assert_null(value);
			continue;
		}
		assert_string_equal(value, cases[i].value);
		cmdline_set_value(&cmdline, 0, "new");

		CLEANUP_FREE char *text = cmdline_format(&cmdline);
		assert_string_equal(text, cases[i].after);
	}
}

static void test_words(void **state)
{
	static const struct {
		const char *before;
		size_t remove, insert; /* SIZE_MAX: not */
		const char *after;
	} cases[] = {
		{" a  b c", 0, SIZE_MAX, " b c"},    {" a  b c", 1, SIZE_MAX, " a c"},
		{" a  b c ", 2, SIZE_MAX, " a  b "}, {"a", 0, SIZE_MAX, ""},
		{"a b", SIZE_MAX, 0, "new a b"},     {"a  b ", SIZE_MAX, 1, "a new  b "},
		{"a  b ", SIZE_MAX, 2, "a  b new "}, {"", SIZE_MAX, 0, "new"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CLEANUP_CMDLINE struct cmdline cmdline = {0};
		CLEANUP_FREE char *text = NULL;

		cmdline_parse(cases[i].before, &cmdline);
		if (cases[i].remove != SIZE_MAX)
			cmdline_remove(&cmdline, cases[i].remove);
		if (cases[i].insert != SIZE_MAX)
			cmdline_insert(&cmdline, cases[i].insert, "new");
		text = cmdline_format(&cmdline);
		assert_string_equal(text, cases[i].after);
	}
}

static void test_assignments(void **state)
{
	static const struct {
		const char *line, *name, *value, *after; /* after: with "a b" */
	} cases[] = {
		{"X=y", "X", "y", "X=\"a b\""},
		{"X=", "X", "", "X=\"a b\""},
		{"  export X='y z' # c", "X", "y z", "  export X='a b' # c"},
		{"X+=\"y\\\"z\";", "X", "y\\\"z", "X+=\"a b\";"},
		{"X=\"unclosed", "X", "unclosed", "X=\"a b"},
		{"X=y\r", "X", "y", "X=\"a b\"\r"},
		{"exported=1", "exported", "1", "exported=\"a b\""},
		{"# X=y", NULL, NULL, NULL},
		{"X = y", NULL, NULL, NULL},
		{"export", NULL, NULL, NULL},
		{"", NULL, NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct shell_value value;

		assert_int_equal(edit_find_assignment(cases[i].line, &value), cases[i].name != NULL);
		if (!cases[i].name)
			continue;

		CLEANUP_FREE char *name = edit_piece(cases[i].line, value.name);
		CLEANUP_FREE char *text = edit_piece(cases[i].line, value.value);
		CLEANUP_FREE char *after = edit_replace_value(cases[i].line, &value, "a b");
		assert_string_equal(name, cases[i].name);
		assert_string_equal(text, cases[i].value);
		assert_string_equal(after, cases[i].after);
	}
}

static char *upper_a(void *arg, const char *line, const char *rest)
{
	(void)arg;
	(void)rest;
	return strchr(line, 'a') ? strdup("A") : NULL;
}

static void test_lines(void **state)
{
	static const struct {
		const char *before, *after;
		size_t bytes; /* 0: strlen */
	} cases[] = {
		{"a\nb\n", "A\nb\n", 0}, {"b\r\na", "b\r\nA", 0}, {"\n\na\n\n", "\n\nA\n\n", 0},
		{"b\n", NULL, 0},	 {"", NULL, 0},		  {"a\0b", NULL, 3},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		size_t bytes = cases[i].bytes ? cases[i].bytes : strlen(cases[i].before);
		CLEANUP_FREE char *after = edit_lines(cases[i].before, bytes, upper_a, NULL);

		if (cases[i].after)
			assert_string_equal(after, cases[i].after);
		else
			assert_null(after);
	}
}

static void test_expand(void **state)
{
	static const struct tree_entry entries[] = {
		{"/boot/efi/EFI/debian/grub.cfg", "x"},
		{"/boot/efi/EFI/BOOT/grub.cfg", "x"},
		{"/boot/efi/EFI/empty/", NULL},
		{"/boot/efi/EFI/file", "x"},
		{"/etc/a.d/b.conf", "x"},
		{"/etc/a.d/.hidden.conf", "x"},
		{"/etc/a.d/dir.conf/", NULL},
		{NULL},
	};
	static const struct {
		const char *pattern, *found;
	} cases[] = {
		{"/boot/efi/EFI/*/grub.cfg", "/boot/efi/EFI/BOOT/grub.cfg /boot/efi/EFI/debian/grub.cfg "},
		{"/etc/a.d/*.conf", "/etc/a.d/b.conf "},
		{"/etc/a.d/b.conf", "/etc/a.d/b.conf "},
		{"/etc/a.d/c.conf", ""},
		{"/none/*/x", ""},
	};
	CLEANUP_TREE struct tree *tree = tree_create(entries);
	CLEANUP_PLAN struct plan *plan = plan_create(tree->guest);

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CLEANUP_STRV struct strv paths = {0};
		CLEANUP_TEXT struct text joined = {0};

		must(edit_expand(plan, cases[i].pattern, &paths));
		text_add(&joined, "", 0);
		for (size_t j = 0; j < paths.count; j++)
			text_addf(&joined, "%s ", paths.items[j]);
		assert_string_equal(joined.data, cases[i].found);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_values),
		cmocka_unit_test(test_words),	   cmocka_unit_test(test_assignments),
		cmocka_unit_test(test_lines),	   cmocka_unit_test(test_expand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
