/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "iso/live-log.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "p2v/base/cleanup.h"
#include "p2v/base/mem.h"

#define MAX_FILE_BYTES (1u << 20)

struct live_log {
	char *path;
	struct log log;
};

/* Opened for each message: few are written, and a file that somebody has moved is begun anew. */
static void write_message(void *arg, enum log_level level, const char *message)
{
	static const char *const levels[] = {"warning: ", "", "", ""};
	const struct live_log *log = arg;
	CLEANUP_FD int fd = open(log->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	char when[32];
	time_t now = time(NULL);
	struct tm tm;
	struct stat st;

	if (fd < 0)
		return;
	strftime(when, sizeof when, "%F %T", gmtime_r(&now, &tm));
	dprintf(fd, "%s %s%s\n", when, levels[level], message);
	if (!fstat(fd, &st) && st.st_size > MAX_FILE_BYTES) {
		CLEANUP_FREE char *older = xasprintf("%s.1", log->path);

		(void)rename(log->path, older);
	}
}

struct live_log *live_log_open(const char *folder)
{
	struct live_log *log = xcalloc(1, sizeof *log);

	log->path = xasprintf("%s/" LIVE_LOG_FILE, folder);
	log->log = (struct log){.write = write_message, .arg = log, .max_level = LOG_LEVEL_DEBUG};
	return log;
}

void live_log_close(struct live_log *log)
{
	if (!log)
		return;
	free(log->path);
	free(log);
}

const struct log *live_log_as_log(const struct live_log *log)
{
	return &log->log;
}
