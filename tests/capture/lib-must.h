/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What must succeed, or the test fails with the error's text. */
#ifndef TESTS_CAPTURE_LIB_MUST_H
#define TESTS_CAPTURE_LIB_MUST_H

#include "p2v/base/err.h"

void must(struct err *err);
void must_run(const char *const *argv);

#endif
