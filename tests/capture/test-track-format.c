/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What kernels say of their trace points' records, as they have said it over the years, and what makes no
 * sense. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "capture/track-format.h"

#define COMMON                                                                 \
	"name: block_rq_issue\nID: 2104\nformat:\n"                            \
	"\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n" \
	"\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n"

static const char old_format[] =
	COMMON "\tfield:dev_t dev;\toffset:8;\tsize:4;\tsigned:0;\n"
	       "\tfield:sector_t sector;\toffset:16;\tsize:8;\tsigned:0;\n"
	       "\tfield:unsigned int nr_sector;\toffset:24;\tsize:4;\tsigned:0;\n"
	       "\tfield:unsigned int bytes;\toffset:28;\tsize:4;\tsigned:0;\n"
	       "\tfield:char rwbs[8];\toffset:32;\tsize:8;\tsigned:1;\n"
	       "\tfield:char comm[16];\toffset:40;\tsize:16;\tsigned:1;\n"
	       "\tfield:__data_loc char[] cmd;\toffset:56;\tsize:4;\tsigned:1;\n\n"
	       "print fmt: \"%d,%d %s\", ((unsigned int) ((REC->dev) >> 20)), REC->rwbs\n";

static const struct {
	const char *text, *name;
	bool is_found;
	struct track_field field;
} cases[] = {
	{old_format, "dev", true, {8, 4}},
	{old_format, "sector", true, {16, 8}},
	{old_format, "nr_sector", true, {24, 4}},
	{old_format, "rwbs", true, {32, 8}},
	{old_format, "cmd", true, {56, 4}},
	{old_format, "common_pid", true, {4, 4}},
	{old_format, "pid", false, {0}},
	{old_format, "ector", false, {0}},
	{old_format, "char", false, {0}},
	{old_format, "", false, {0}},
	{"\tfield:char rwbs[10];\toffset:34;\tsize:10;\tsigned:0;\n", "rwbs", true, {34, 10}},
	{"\tfield:dev_t dev;\toffset:8;\tsize:4;", "dev", true, {8, 4}},
	{"\tfield:dev_t dev;\toffset:8;\tsize:", "dev", false, {0}},
	{"\tfield:dev_t dev;\tsize:4;\toffset:8;", "dev", false, {0}},
	{"\tfield:dev_t dev;\toffset:-8;\tsize:4;", "dev", false, {0}},
	{"\tfield:dev_t dev;\toffset:8;\tsize:0;", "dev", false, {0}},
	{"\tfield:dev_t dev;\toffset:4000000000;\tsize:4;", "dev", false, {0}},
	{"\tfield:dev_t dev;\toffset:8;\tsize:4000000000;", "dev", false, {0}},
	{"\tfield:dev_t dev\toffset:8\tsize:4\n", "dev", false, {0}},
	{"\tfield:", "dev", false, {0}},
	{"", "dev", false, {0}},
};

static void test_fields(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct track_field field = {77, 78};

		print_message("%zu: %s\n", i, cases[i].name);
		assert_int_equal(track_format_find(cases[i].text, cases[i].name, &field), cases[i].is_found);
		assert_int_equal(field.offset, cases[i].is_found ? cases[i].field.offset : 77);
		assert_int_equal(field.size, cases[i].is_found ? cases[i].field.size : 78);
	}
}

/* Cut anywhere, it is read to its end and no further. */
static void test_cut(void **state)
{
	(void)state;
	for (size_t bytes = 0; bytes < sizeof old_format; bytes++) {
		char *text = strndup(old_format, bytes);
		struct track_field field;

		if (track_format_find(text, "rwbs", &field))
			assert_int_equal(field.offset, 32);
		else
			assert_true(bytes < (size_t)(strstr(old_format, "\tfield:char comm") - old_format));
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_cut),
	};

	return cmocka_run_group_tests_name("track format", tests, NULL, NULL);
}
