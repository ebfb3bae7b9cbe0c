/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/size.h"

static const struct {
	const char *text;
	uint64_t bytes;
} sizes[] = {
	{"0", 0},
	{"512", 512},
	{"64K", 64 << 10},
	{"64k", 64 << 10},
	{"64KiB", 64 << 10},
	{"2MB", 2 << 20},
	{"1.5G", 3ull << 29},
	{"10T", 10ull << 40},
	{"1024P", 1ull << 60},
};

static void test_sizes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		uint64_t bytes = 1;

		assert_null(size_parse("it", sizes[i].text, &bytes));
		assert_int_equal(bytes, sizes[i].bytes);
	}
}

static const char *const wrongs[] = {
	"",	"big",	"K",	 "-1",	 "-0",	"1.5", "10Q",  "10M10", "5 ",
	"10iB", "1KBx", "8192P", "1e30", "nan", "inf", "-inf", "0.1K",
};

static void test_wrong(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
		uint64_t bytes = 1;
		CLEANUP_ERR struct err *err = size_parse("it", wrongs[i], &bytes);

		if (!err)
			fail_msg("'%s' was taken as %llu", wrongs[i], (unsigned long long)bytes);
		assert_int_equal(err_kind(err), ERR_USAGE);
		assert_non_null(strstr(err_message(err), "it: "));
		assert_non_null(err_advice(err));
		assert_int_equal(bytes, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
