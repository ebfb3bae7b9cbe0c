/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Enough of PowerShell's lexical rules to tell code from data: comments, both
 * kinds of strings with what can stand in them, brackets.
 */
#ifndef TESTS_HANDOVER_LIB_POWERSHELL_H
#define TESTS_HANDOVER_LIB_POWERSHELL_H

#include "p2v/base/strv.h"

struct powershell {
	struct strv literals; /* single-quoted strings, decoded, in order */
	struct text code; /* the script without comments, each string as '' or "" */
};

/* Why it is not well-formed, with the line; NULL if it is.  Static text in *ret_line's place. */
const char *powershell_lex(const char *script, struct powershell *ret_tokens, unsigned *ret_line);
void powershell_deinit(struct powershell *tokens);
#define CLEANUP_POWERSHELL CLEANUP(powershell_deinit)

#endif
