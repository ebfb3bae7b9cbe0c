/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "p2v/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "p2v/base/cleanup.h"
#include "p2v/base/mem.h"

char *file_folder(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return xstrdup(".");
	return slash == path ? xstrdup("/") : xstrndup(path, slash - path);
}

struct err *file_copy(const char *from, const char *to, mode_t mode)
{
	CLEANUP_FD int in = open(from, O_RDONLY | O_CLOEXEC);
	CLEANUP_FD int out = -1;
	struct stat st;

	if (in < 0 || fstat(in, &st))
		return err_as(err_from_errno(errno, "%s", from), ERR_REFUSED);
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (out < 0)
		return err_from_errno(errno, "%s", to);
	for (off_t done = 0; done < st.st_size;) {
		ssize_t got = sendfile(out, in, &done, st.st_size - done);

		if (got < 0)
			return err_from_errno(errno, "%s", to);
		if (!got)
			return err_failed("%s: became shorter while it was read", from);
	}
	return NULL;
}
