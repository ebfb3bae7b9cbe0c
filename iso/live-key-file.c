/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "iso/live-key-file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct err *live_key_file_write(const char *path, const struct key *key)
{
	char text[KEY_TEXT_BYTES + 1];
	CLEANUP_FD int fd = -1;
	ssize_t put;
	size_t bytes;

	live_key_file_remove(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_from_errno(errno, "%s", path);
	key_format(key, text);
	bytes = strlen(text);
	text[bytes++] = '\n';
	put = write(fd, text, bytes);
	explicit_bzero(text, sizeof text);
	return put == (ssize_t)bytes ? NULL : err_from_errno(put < 0 ? errno : ENOSPC, "%s", path);
}

void live_key_file_remove(const char *path)
{
	unlink(path);
}
