/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which targets of the device mapper can be followed down, and to where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "capture/below.h"

static void test_targets(void **state)
{
	static const struct {
		uint64_t start, sectors;
		const char *kind, *parameters;
		bool is_known;
		struct below_run run;
	} cases[] = {
		{0, 8, "linear", "8:1 2048", true, {0, 4096, "8:1", 1 << 20}},
		{8, 2, "linear", "259:17 0", true, {4096, 5120, "259:17", 0}},
		{0, 8, "crypt", "aes-xts-plain64 00ff 0 8:2 4096", true, {0, 4096, "8:2", 2 << 20}},
		{0,
		 8,
		 "crypt",
		 "aes-xts-plain64 :64:logon:cryptsetup:x 8 253:0 32768 1 allow_discards",
		 true,
		 {0, 4096, "253:0", 16 << 20}},
		/* The offset is not the device's own. */
		{0, 8, "striped", "2 128 8:1 0 8:2 0", false, {0}},
		{0, 8, "snapshot-origin", "253:2", false, {0}},
		{0, 8, "thin", "253:3 1", false, {0}},
		{0, 8, "linear", "", false, {0}},
		{0, 8, "linear", "8:1", false, {0}},
		{0, 8, "linear", "/dev/sda1 0", false, {0}},
		{0, 8, "linear", "8:1x 0", false, {0}},
		{UINT64_MAX, 8, "linear", "8:1 0", false, {0}},
		{0, 1ull << 60, "linear", "8:1 0", false, {0}},
		{0, 8, "linear", "8:1 18446744073709551615", false, {0}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct below_run run = {0};

		print_message("%s %s\n", cases[i].kind, cases[i].parameters);
		assert_int_equal(below_read_target(cases[i].start, cases[i].sectors, cases[i].kind,
						   cases[i].parameters, &run),
				 cases[i].is_known);
		if (!cases[i].is_known)
			continue;
		assert_int_equal(run.start, cases[i].run.start);
		assert_int_equal(run.end, cases[i].run.end);
		assert_string_equal(run.device, cases[i].run.device);
		assert_int_equal(run.at, cases[i].run.at);
	}
}

/* A disk lies on itself; what leads nowhere is not on it. */
static void test_ends(void **state)
{
	CLEANUP_EXTENTS struct extents set = {0};
	CLEANUP_EXTENTS struct extents found = {0};

	(void)state;
	extents_add(&set, 4096, 8192);
	below_translate("", "4095:1", &set, "4095:2", &found);
	assert_int_equal(found.count, 0);
	below_translate("", "4095:1", &set, "4095:1", &found);
	assert_int_equal(found.count, 1);
	assert_true(extents_contain(&found, 4096, 8192));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_ends),
	};

	return cmocka_run_group_tests_name("below", tests, NULL, NULL);
}
