/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/capture/lib-must.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/run.h"

void must(struct err *err)
{
	if (err)
		fail_msg("%s", err_message(err));
}

void must_be_refused(struct err *err)
{
	assert_non_null(err);
	assert_int_equal(err_kind(err), ERR_REFUSED);
	err_free(err);
}

void must_fail_with(struct err *err, const char *text)
{
	assert_non_null(err);
	if (!strstr(err_message(err), text))
		fail_msg("'%s' is not in '%s'", text, err_message(err));
	err_free(err);
}

void must_run(const char *const *argv)
{
	must(run_argv(argv, &(struct run_options){0}, NULL));
}
