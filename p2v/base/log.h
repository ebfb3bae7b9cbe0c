/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where a library says what it does.  Libraries never print: they are given a
 * struct log.  A NULL log swallows everything.
 */
#ifndef P2V_BASE_LOG_H
#define P2V_BASE_LOG_H

enum log_level {
	LOG_LEVEL_WARNING, /* the user should know: something is not as it should be */
	LOG_LEVEL_INFO, /* a step that a user follows */
	LOG_LEVEL_DEBUG, /* commands run, decisions taken */
	LOG_LEVEL_TRACE, /* what other programs say at length: libguestfs, the console of its appliance */
};

struct log {
	/* One message without a newline; may be called from several threads at once. */
	void (*write)(void *arg, enum log_level level, const char *message);
	void *arg;
	enum log_level max_level; /* messages above it are not formatted */
};

void log_warning(const struct log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_info(const struct log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_debug(const struct log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_trace(const struct log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
