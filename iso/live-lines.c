/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "iso/live-lines.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "p2v/base/mem.h"

#define MAX_LINE_BYTES (64u << 10)

struct err *live_lines_begin(struct live_lines *ret_lines, int *ret_other_fd)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) || fcntl(ends[0], F_SETFL, O_NONBLOCK))
		return err_from_errno(errno, "pipe");
	*ret_lines = (struct live_lines){.fd = ends[0]};
	*ret_other_fd = ends[1];
	return NULL;
}

static void read_more(struct live_lines *lines)
{
	char buffer[4096];
	ssize_t got;

	while (lines->fd >= 0 && lines->pending.bytes < MAX_LINE_BYTES) {
		got = read(lines->fd, buffer, sizeof buffer);
		if (got > 0) {
			text_add(&lines->pending, buffer, got);
		} else if (got < 0 && errno == EINTR) {
			continue;
		} else if (got < 0 && errno == EAGAIN) {
			return;
		} else {
			close(lines->fd);
			lines->fd = -1;
		}
	}
}

char *live_lines_take(struct live_lines *lines)
{
	struct text *pending = &lines->pending;
	char *end, *line;
	size_t bytes;

	read_more(lines);
	if (!pending->bytes)
		return NULL;
	end = memchr(pending->data, '\n', pending->bytes);
	if (!end && lines->fd >= 0 && pending->bytes < MAX_LINE_BYTES)
		return NULL;
	bytes = end ? (size_t)(end - pending->data) : pending->bytes;
	line = xstrndup(pending->data, bytes);
	bytes += end ? 1 : 0;
	memmove(pending->data, pending->data + bytes, pending->bytes - bytes + 1);
	pending->bytes -= bytes;
	return line;
}

void live_lines_end(struct live_lines *lines)
{
	if (lines->fd >= 0)
		close(lines->fd);
	text_deinit(&lines->pending);
	*lines = (struct live_lines){.fd = -1};
}
