/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Key files: the key as people type it, and nothing else, in a file that its owner alone may read. */
#include "p2v/sync/key.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "p2v/base/file.h"
#include "p2v/base/mem.h"

#define MAX_FILE_BYTES 128

static struct err *check_owner(const char *path, int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return err_from_errno(errno, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_advise(err_refused("%s: is no file", path), "name a key file");
	if (st.st_mode & (S_IRWXG | S_IRWXO))
		return err_advise(err_refused("%s: others may read this key file", path),
				  "make a new key if somebody might have: remove it, or 'chmod 600 %s'",
				  path);
	if (st.st_uid != geteuid() && st.st_uid)
		return err_advise(err_refused("%s: belongs to another user", path),
				  "use a key file of your own");
	return NULL;
}

struct err *key_read_file(const char *path, struct key **ret_key)
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char text[MAX_FILE_BYTES + 1] = "";
	struct err *err;
	ssize_t got;

	if (fd < 0)
		return err_as(err_from_errno(errno, "%s", path), ERR_REFUSED);
	TRY(check_owner(path, fd));
	got = read(fd, text, MAX_FILE_BYTES);
	if (got < 0)
		return err_from_errno(errno, "%s", path);
	text[got] = '\0';
	err = key_parse(text, ret_key);
	explicit_bzero(text, sizeof text);
	if (!err)
		return NULL;
	err_free(err);
	return err_advise(err_refused("%s: holds no pairing key", path),
			  "copy it again from the receiver, or name another file");
}

static struct err *write_key(const char *path, int fd, const struct key *key)
{
	char text[KEY_TEXT_BYTES];
	struct err *err = NULL;

	key_format(key, text);
	text[KEY_TEXT_BYTES - 1] = '\n';
	if (write(fd, text, sizeof text) != sizeof text || fsync(fd))
		err = err_from_errno(errno, "%s", path);
	explicit_bzero(text, sizeof text);
	return err;
}

static struct err *sync_folder(const char *path)
{
	CLEANUP_FREE char *folder = file_folder(path);
	CLEANUP_FD int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) ? err_from_errno(errno, "%s", folder) : NULL;
}

/* Whole under another name first; link() gives the name to one alone. */
static struct err *make_file(const char *path)
{
	CLEANUP_FREE char *temporary = xasprintf("%s.XXXXXX", path);
	CLEANUP_FD int fd = mkostemp(temporary, O_CLOEXEC);
	CLEANUP_KEY struct key *key = NULL;
	struct err *err;

	if (fd < 0)
		return err_advise(err_from_errno(errno, "%s", path), "name a key file that can be made");
	err = key_make(&key);
	if (!err)
		err = write_key(temporary, fd, key);
	if (!err && link(temporary, path) && errno != EEXIST)
		err = err_from_errno(errno, "%s", path);
	unlink(temporary);
	return err ? err : sync_folder(path);
}

struct err *key_read_or_make_file(const char *path, struct key **ret_key)
{
	struct err *err = key_read_file(path, ret_key);

	if (!err || err_errno(err) != ENOENT)
		return err;
	err_free(err);
	TRY(make_file(path));
	return key_read_file(path, ret_key);
}
