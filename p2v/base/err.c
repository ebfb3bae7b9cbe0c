/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "p2v/base/err.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"

struct err {
	enum err_kind kind;
	int errnum;
	char *message;
	char *advice;
};

/* The one error that can be made without memory; never changed, never freed. */
static struct err nomem = {
	.kind = ERR_FAILED,
	.errnum = 12, /* ENOMEM */
	.message = "out of memory",
	.advice = "free memory on this machine, or use a larger one",
};

static struct err *err_make(enum err_kind kind, const char *format, va_list args)
{
	struct err *err = xcalloc(1, sizeof *err);

	err->kind = kind;
	err->message = xvasprintf(format, args);
	return err;
}

#define DEFINE_MAKER(name, kind)                      \
	struct err *name(const char *format, ...)     \
	{                                             \
		struct err *err;                      \
		va_list args;                         \
                                                      \
		va_start(args, format);               \
		err = err_make((kind), format, args); \
		va_end(args);                         \
		return err;                           \
	}

DEFINE_MAKER(err_failed, ERR_FAILED)
DEFINE_MAKER(err_usage, ERR_USAGE)
DEFINE_MAKER(err_refused, ERR_REFUSED)

struct err *err_from_errno(int errnum, const char *format, ...)
{
	CLEANUP_FREE char *context = NULL;
	struct err *err = xcalloc(1, sizeof *err);
	va_list args;

	va_start(args, format);
	context = xvasprintf(format, args);
	va_end(args);
	err->kind = ERR_FAILED;
	err->errnum = errnum;
	err->message = xasprintf("%s: %s", context, strerror(errnum));
	return err;
}

struct err *err_nomem(void)
{
	return &nomem;
}

struct err *err_wrap(struct err *err, const char *format, ...)
{
	CLEANUP_FREE char *context = NULL;
	CLEANUP_FREE char *inner = NULL;
	va_list args;

	if (!err || err == &nomem)
		return err;
	va_start(args, format);
	context = xvasprintf(format, args);
	va_end(args);
	inner = err->message;
	err->message = xasprintf("%s: %s", context, inner);
	return err;
}

struct err *err_advise(struct err *err, const char *format, ...)
{
	va_list args;

	if (!err || err->advice)
		return err;
	va_start(args, format);
	err->advice = xvasprintf(format, args);
	va_end(args);
	return err;
}

struct err *err_as(struct err *err, enum err_kind kind)
{
	if (err && err != &nomem)
		err->kind = kind;
	return err;
}

struct err *err_first(struct err *first, struct err *second)
{
	if (!first)
		return second;
	err_free(second);
	return first;
}

enum err_kind err_kind(const struct err *err)
{
	return err->kind;
}

int err_errno(const struct err *err)
{
	return err->errnum;
}

const char *err_message(const struct err *err)
{
	return err->message;
}

const char *err_advice(const struct err *err)
{
	return err->advice;
}

void err_free(struct err *err)
{
	if (!err || err == &nomem)
		return;
	free(err->message);
	free(err->advice);
	free(err);
}
