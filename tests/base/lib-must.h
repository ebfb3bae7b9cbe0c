/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What must succeed, or must fail in a certain way, else the test fails and shows the error's text. */
#ifndef TESTS_BASE_LIB_MUST_H
#define TESTS_BASE_LIB_MUST_H

#include "p2v/base/err.h"

void must(struct err *err);

/* These want an error, and free it. */
void must_fail(struct err *err, enum err_kind kind); /* 0: of any kind */
void must_fail_with(struct err *err, const char *text); /* the text is in its message */
void must_fail_as(struct err *err, enum err_kind kind, const char *text);
void must_refuse(struct err *err, const char *text); /* ERR_REFUSED, and it says what to do */

void must_run(const char *const *argv);

#endif
