/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "p2v/base/err.h"

static void test_wrap_and_advice(void **state)
{
	CLEANUP_ERR struct err *err = err_from_errno(ENOENT, "server.img");

	(void)state;
	err = err_advise(err, "first %d", 1);
	err = err_advise(err_wrap(err, "disk %d", 2), "second");
	assert_string_equal(err_message(err), "disk 2: server.img: No such file or directory");
	assert_string_equal(err_advice(err), "first 1");
	assert_int_equal(err_errno(err), ENOENT);
	assert_int_equal(err_kind(err), ERR_FAILED);
	err = err_as(err, ERR_REFUSED);
	assert_int_equal(err_kind(err), ERR_REFUSED);
}

static void test_kinds_are_exit_codes(void **state)
{
	CLEANUP_ERR struct err *failed = err_failed("x"), *usage = err_usage("x"),
			       *refused = err_refused("x");

	(void)state;
	assert_int_equal(err_kind(failed), 1);
	assert_int_equal(err_kind(usage), 2);
	assert_int_equal(err_kind(refused), 3);
	assert_null(err_advice(failed));
}

static void test_null_is_success(void **state)
{
	(void)state;
	assert_null(err_wrap(NULL, "context"));
	assert_null(err_advise(NULL, "advice"));
	assert_null(err_as(NULL, ERR_USAGE));
	assert_null(err_first(NULL, NULL));
	err_free(NULL);
}

static void test_first_wins(void **state)
{
	CLEANUP_ERR struct err *err = err_first(err_failed("a"), err_failed("b"));

	(void)state;
	assert_string_equal(err_message(err), "a");
	err = err_first(err, NULL);
	assert_string_equal(err_message(err), "a");
}

static void test_out_of_memory_is_shared(void **state)
{
	struct err *err = err_as(err_wrap(err_nomem(), "context"), ERR_USAGE);

	(void)state;
	assert_ptr_equal(err, err_nomem());
	assert_int_equal(err_kind(err), ERR_FAILED);
	err_free(err);
	assert_string_equal(err_message(err), "out of memory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wrap_and_advice),		cmocka_unit_test(test_kinds_are_exit_codes),
		cmocka_unit_test(test_null_is_success),		cmocka_unit_test(test_first_wins),
		cmocka_unit_test(test_out_of_memory_is_shared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
