/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A job's log: a line an event, for people.  No line holds what is secret, and none
 * is more than a line, whatever a sender says.  When the log is large it begins
 * anew, and the one before it stays; so a sender that only comes and goes fills no
 * disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "p2v/base/mem.h"
#include "p2v/sync/receiver-impl.h"

#define MAX_LOG_BYTES (1 << 20)

static void put_line(const char *path, const char *line)
{
	CLEANUP_FREE char *older = xasprintf("%s.1", path);
	CLEANUP_FD int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct stat st;

	if (fd >= 0)
		(void)!write(fd, line, strlen(line));
	if (fd >= 0 && !fstat(fd, &st) && st.st_size > MAX_LOG_BYTES)
		(void)!rename(path, older);
}

void job_log(const struct job *job, const char *peer, const char *format, ...)
{
	CLEANUP_FREE char *path = NULL, *event = NULL, *line = NULL;
	char when[sizeof "2026-11-22T12:00:00Z"] = "";
	time_t now = time(NULL);
	struct tm utc;
	va_list args;

	if (!job->folder)
		return;
	va_start(args, format);
	event = xvasprintf(format, args);
	va_end(args);
	if (gmtime_r(&now, &utc))
		strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
	for (char *c = event; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
	path = xasprintf("%s/" JOB_LOG_FILE, job->folder);
	line = xasprintf("%s %s: %s\n", when, peer, event);
	put_line(path, line);
}
