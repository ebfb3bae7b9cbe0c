/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "p2v/base/log.h"

#include <stdarg.h>

#include "p2v/base/cleanup.h"
#include "p2v/base/mem.h"

#define DEFINE_LEVEL(name, level)                                 \
	void name(const struct log *log, const char *format, ...) \
	{                                                         \
		CLEANUP_FREE char *message = NULL;                \
		va_list args;                                     \
                                                                  \
		if (!log || log->max_level < (level))             \
			return;                                   \
		va_start(args, format);                           \
		message = xvasprintf(format, args);               \
		va_end(args);                                     \
		log->write(log->arg, (level), message);           \
	}

DEFINE_LEVEL(log_warning, LOG_LEVEL_WARNING)
DEFINE_LEVEL(log_info, LOG_LEVEL_INFO)
DEFINE_LEVEL(log_debug, LOG_LEVEL_DEBUG)
DEFINE_LEVEL(log_trace, LOG_LEVEL_TRACE)
