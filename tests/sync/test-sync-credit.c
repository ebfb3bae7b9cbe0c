// SPDX-License-Identifier: GPL-3.0-or-later
/* Credit at the sender: what a receiver acknowledges, in order, late, twice or before anything was sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "p2v/sync/sender-impl.h"
#include "tests/base/lib-blk-conformance.h"

static void test_nothing_sent(void **state)
{
	struct credit credit = {.window_bytes = 1000};

	(void)state;
	assert_no_error(credit_acknowledge(&credit, 0));
	assert_error(credit_acknowledge(&credit, 1), ERR_FAILED);
	credit_deinit(&credit);
}

static void test_in_order(void **state)
{
	struct credit credit = {.window_bytes = 1000};

	(void)state;
	for (uint32_t cost = 100; cost <= 300; cost += 100)
		assert_no_error(credit_take(&credit, cost));
	assert_int_equal(credit.unacknowledged_bytes, 600);
	assert_no_error(credit_acknowledge(&credit, 2));
	assert_int_equal(credit.unacknowledged_bytes, 300);
	assert_no_error(credit_acknowledge(&credit, 2));
	assert_error(credit_acknowledge(&credit, 1), ERR_FAILED);
	assert_error(credit_acknowledge(&credit, 4), ERR_FAILED);
	assert_no_error(credit_take(&credit, 700));
	assert_no_error(credit_acknowledge(&credit, 4));
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
