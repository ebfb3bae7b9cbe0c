/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Errors as objects.
 *
 * What can fail returns a `struct err *`: NULL is success, anything else is
 * owned by the caller, who hands it on (err_wrap() adds context in front),
 * drops it (err_free()) or, in p2v/cmd alone, prints it.  An error is made
 * where the facts are known and names the object, the place and the cause:
 *
 *	return err_refused("%s: BAT entry %u points behind the end of the file", path, i);
 *
 * Printed, it is one line, and a second one that says what to do:
 *
 *	p2v: server.vhdx: BAT entry 17 points behind the end of the file
 *	p2v: the file is truncated: copy it again, or try 'p2v vhdx repair'
 */
#ifndef P2V_BASE_ERR_H
#define P2V_BASE_ERR_H

#include "p2v/base/cleanup.h"

struct err;

/* What an error means to the one who called the program: its exit code. */
enum err_kind {
	ERR_FAILED = 1, /* it was tried and did not work */
	ERR_USAGE = 2, /* the command line is wrong */
	ERR_REFUSED = 3, /* nothing was changed: the input, or the machine, does not allow it */
};

#define ERR_MUST_CHECK __attribute__((warn_unused_result))

struct err *err_failed(const char *format, ...) __attribute__((format(printf, 1, 2))) ERR_MUST_CHECK;
struct err *err_usage(const char *format, ...) __attribute__((format(printf, 1, 2))) ERR_MUST_CHECK;
struct err *err_refused(const char *format, ...) __attribute__((format(printf, 1, 2))) ERR_MUST_CHECK;

/* ERR_FAILED; appends ": " and the text of errnum, which err_errno() gives back. */
struct err *err_from_errno(int errnum, const char *format, ...) __attribute__((format(printf, 2, 3)))
ERR_MUST_CHECK;

/* Out of memory; never NULL, needs no memory itself. */
struct err *err_nomem(void) ERR_MUST_CHECK;

/* Puts "context: " in front.  NULL stays NULL, so that a call can be wrapped in place. */
struct err *err_wrap(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)))
ERR_MUST_CHECK;

/* Sets what to do about it, unless something nearer the cause has done so.  NULL stays NULL. */
struct err *err_advise(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)))
ERR_MUST_CHECK;

/* The same error with another kind: what was refused deep down may have failed further up. */
struct err *err_as(struct err *err, enum err_kind kind) ERR_MUST_CHECK;

/* Keeps the first of two errors and frees the other; either may be NULL. */
struct err *err_first(struct err *first, struct err *second) ERR_MUST_CHECK;

enum err_kind err_kind(const struct err *err);
int err_errno(const struct err *err); /* 0 if no errno is behind it */
const char *err_message(const struct err *err);
const char *err_advice(const struct err *err); /* NULL if none */
void err_free(struct err *err); /* takes NULL */

DEFINE_CLEANUP(err, struct err *, err_free)
#define CLEANUP_ERR CLEANUP(cleanup_err)

/* Returns from the calling function with the error of the expression, if it has one. */
#define TRY(expression)                          \
	do {                                     \
		struct err *try_ = (expression); \
		if (try_)                        \
			return try_;             \
	} while (0)

#endif
