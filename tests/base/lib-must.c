/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/base/lib-must.h"

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

void must_fail_as(struct err *err, enum err_kind kind, const char *text)
{
	if (!err)
		fail_msg("no error, where there should be one with '%s'", text);
	if (!strstr(err_message(err), text))
		fail_msg("'%s' is not in '%s'", text, err_message(err));
	if (kind && err_kind(err) != kind)
		fail_msg("kind %d, not %d: %s", err_kind(err), kind, err_message(err));
	err_free(err);
}

void must_refuse(struct err *err, const char *text)
{
	if (err && !err_advice(err))
		fail_msg("does not say what to do: %s", err_message(err));
	must_fail_as(err, ERR_REFUSED, text);
}

void must_fail(struct err *err, enum err_kind kind)
{
	must_fail_as(err, kind, "");
}

void must_fail_with(struct err *err, const char *text)
{
	must_fail_as(err, 0, text);
}

void must_run(const char *const *argv)
{
	must(run_argv(argv, &(struct run_options){0}, NULL));
}
