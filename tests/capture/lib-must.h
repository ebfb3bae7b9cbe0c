/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What must succeed, or be refused, or the test fails. */
#ifndef TESTS_CAPTURE_LIB_MUST_H
#define TESTS_CAPTURE_LIB_MUST_H

#include "p2v/base/err.h"

void must(struct err *err); /* shows the error's text */
void must_be_refused(struct err *err); /* an error of kind ERR_REFUSED, which is freed */
void must_fail_with(struct err *err, const char *text); /* the text is in its message; frees it */
void must_run(const char *const *argv);

#endif
