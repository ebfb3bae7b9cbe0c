// SPDX-License-Identifier: GPL-3.0-or-later
/* Credit at the sender: what a receiver acknowledges, in order, late, twice or before anything was sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "p2v/sync/sender-impl.h"
#include "tests/base/lib-must.h"

static void test_nothing_sent(void **state)
{
	struct credit credit = {.window_bytes = 1000};

	(void)state;
	must(credit_acknowledge(&credit, 0));
	must_fail(credit_acknowledge(&credit, 1), ERR_FAILED);
	credit_deinit(&credit);
}

static void test_in_order(void **state)
{
	struct credit credit = {.window_bytes = 1000};

	(void)state;
	for (uint32_t cost = 100; cost <= 300; cost += 100)
		must(credit_take(&credit, cost));
	assert_int_equal(credit.unacknowledged_bytes, 600);
	must(credit_acknowledge(&credit, 2));
	assert_int_equal(credit.unacknowledged_bytes, 300);
	must(credit_acknowledge(&credit, 2));
	must_fail(credit_acknowledge(&credit, 1), ERR_FAILED);
	must_fail(credit_acknowledge(&credit, 4), ERR_FAILED);
	must(credit_take(&credit, 700));
	must(credit_acknowledge(&credit, 4));
	assert_int_equal(credit.unacknowledged_bytes, 0);
	credit_deinit(&credit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_sent),
		cmocka_unit_test(test_in_order),
	};

	return cmocka_run_group_tests_name("credit", tests, NULL, NULL);
}
