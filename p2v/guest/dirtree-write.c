/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Changing a folder of the host as a guest.  The paths are resolved, and every
 * change is made relative to the descriptor of the folder that it is in.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "p2v/base/mem.h"
#include "p2v/guest/dirtree-impl.h"
#include "p2v/guest/path.h"

static struct err *write_all(int fd, const char *data, size_t bytes, const char *name)
{
	while (bytes > 0) {
		ssize_t n = write(fd, data, bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_from_errno(errno, "%s", name);
		data += n;
		bytes -= (size_t)n;
	}
	return NULL;
}

struct err *dirtree_copy_fd(int from, const char *from_name, int to, const char *to_name)
{
	enum { CHUNK_BYTES = 1 << 20 };
	CLEANUP_FREE char *buffer = xmalloc(CHUNK_BYTES);

	for (;;) {
		ssize_t n = read(from, buffer, CHUNK_BYTES);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_from_errno(errno, "%s", from_name);
		if (n == 0)
			return NULL;
		TRY(write_all(to, buffer, (size_t)n, to_name));
	}
}

/* Labels and ACLs of a file that is about to be replaced; what the file system cannot take is left out. */
static void copy_xattrs(int from, int to)
{
	ssize_t list_bytes = flistxattr(from, NULL, 0);
	CLEANUP_FREE char *names = NULL;

	if (list_bytes <= 0)
		return;
	names = xmalloc((size_t)list_bytes);
	list_bytes = flistxattr(from, names, (size_t)list_bytes);
	for (ssize_t at = 0; at < list_bytes; at += (ssize_t)strlen(names + at) + 1) {
		const char *name = names + at;
		char value[XATTR_SIZE_MAX];
		ssize_t bytes;

		/* Signatures of the old content. */
		if (strcmp(name, "security.ima") == 0 || strcmp(name, "security.evm") == 0)
			continue;
		bytes = fgetxattr(from, name, value, sizeof value);
		if (bytes >= 0 && fsetxattr(to, name, value, (size_t)bytes, 0) < 0)
			continue;
	}
}

static struct err *set_attributes(struct dirtree *tree, int dir_fd, const char *path, int fd,
				  const struct guest_stat *stat)
{
	CLEANUP_FD int old = openat(dir_fd, path_base(path), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fchown(fd, stat->uid, stat->gid) < 0 && !(errno == EPERM && geteuid() != 0))
		return dirtree_error(tree, path);
	if (fchmod(fd, stat->mode & 07777) < 0)
		return dirtree_error(tree, path);
	if (old >= 0)
		copy_xattrs(old, fd);
	return NULL;
}

/* The new file under a temporary name; the caller unlinks it when this fails. */
static struct err *fill_beside(struct dirtree *tree, int dir_fd, const char *path, const char *temp, int from,
			       const void *data, size_t bytes, const struct guest_stat *stat)
{
	CLEANUP_FD int fd = -1;

	unlinkat(dir_fd, temp, 0); /* of an earlier process with our number */
	fd = openat(dir_fd, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return dirtree_error(tree, path);
	TRY(from >= 0 ? dirtree_copy_fd(from, path, fd, path) : write_all(fd, data, bytes, path));
	return set_attributes(tree, dir_fd, path, fd, stat);
}

static struct err *replace(struct dirtree *tree, const char *path, int from, const void *data, size_t bytes,
			   const struct guest_stat *stat)
{
	CLEANUP_FREE char *temp = xasprintf(".p2v-%ld.new", (long)getpid());
	CLEANUP_FD int dir_fd = dirtree_open_parent(tree, path);
	struct err *err;

	if (dir_fd < 0)
		return dirtree_error(tree, path);
	err = fill_beside(tree, dir_fd, path, temp, from, data, bytes, stat);
	if (!err && renameat(dir_fd, temp, dir_fd, path_base(path)) < 0)
		err = dirtree_error(tree, path);
	if (err)
		unlinkat(dir_fd, temp, 0);
	return err;
}

struct err *dirtree_write(struct guest *guest, const char *path, const void *data, size_t bytes,
			  const struct guest_stat *stat)
{
	return replace(dirtree_of(guest), path, -1, data, bytes, stat);
}

struct err *dirtree_upload(struct guest *guest, const char *path, const char *host_file,
			   const struct guest_stat *stat)
{
	CLEANUP_FD int from = open(host_file, O_RDONLY | O_CLOEXEC);

	if (from < 0)
		return err_from_errno(errno, "%s", host_file);
	return replace(dirtree_of(guest), path, from, NULL, 0, stat);
}

struct err *dirtree_mkdir(struct guest *guest, const char *path, mode_t mode)
{
	struct dirtree *tree = dirtree_of(guest);
	CLEANUP_FD int dir_fd = dirtree_open_parent(tree, path);

	if (dir_fd < 0 || mkdirat(dir_fd, path_base(path), mode) < 0 ||
	    fchmodat(dir_fd, path_base(path), mode, 0) < 0)
		return dirtree_error(tree, path);
	return NULL;
}

struct err *dirtree_symlink(struct guest *guest, const char *path, const char *target)
{
	struct dirtree *tree = dirtree_of(guest);
	CLEANUP_FREE char *temp = xasprintf(".p2v-%ld.new", (long)getpid());
	CLEANUP_FD int dir_fd = dirtree_open_parent(tree, path);

	if (dir_fd < 0)
		return dirtree_error(tree, path);
	unlinkat(dir_fd, temp, 0);
	if (symlinkat(target, dir_fd, temp) < 0)
		return dirtree_error(tree, path);
	if (renameat(dir_fd, temp, dir_fd, path_base(path)) < 0) {
		struct err *err = dirtree_error(tree, path);

		unlinkat(dir_fd, temp, 0);
		return err;
	}
	return NULL;
}

struct err *dirtree_remove(struct guest *guest, const char *path)
{
	struct dirtree *tree = dirtree_of(guest);
	CLEANUP_FD int dir_fd = dirtree_open_parent(tree, path);

	if (dir_fd < 0)
		return dirtree_means_missing(errno) ? NULL : dirtree_error(tree, path);
	if (unlinkat(dir_fd, path_base(path), 0) == 0 || errno == ENOENT)
		return NULL;
	if (errno == EISDIR && unlinkat(dir_fd, path_base(path), AT_REMOVEDIR) == 0)
		return NULL;
	return dirtree_error(tree, path);
}

struct err *dirtree_rename(struct guest *guest, const char *from, const char *to)
{
	struct dirtree *tree = dirtree_of(guest);
	CLEANUP_FD int from_fd = dirtree_open_parent(tree, from);
	CLEANUP_FD int to_fd = -1;

	if (from_fd < 0)
		return dirtree_error(tree, from);
	to_fd = dirtree_open_parent(tree, to);
	if (to_fd < 0 || renameat(from_fd, path_base(from), to_fd, path_base(to)) < 0)
		return dirtree_error(tree, to);
	return NULL;
}

struct err *dirtree_keep(struct guest *guest, const char *path, const char *backup)
{
	struct dirtree *tree = dirtree_of(guest);
	CLEANUP_FD int path_fd = dirtree_open_parent(tree, path);
	CLEANUP_FD int backup_fd = -1;
	CLEANUP_FD int from = -1;
	struct guest_stat stat;
	struct stat st;

	if (path_fd < 0)
		return dirtree_error(tree, path);
	backup_fd = dirtree_open_parent(tree, backup);
	if (backup_fd < 0)
		return dirtree_error(tree, backup);
	if (linkat(path_fd, path_base(path), backup_fd, path_base(backup), 0) == 0)
		return NULL;
	/* Another file system, or one without links. */
	TRY(guest_lstat(guest, path, &stat));
	TRY(dirtree_open_file(tree, path, &from, &st));
	if (from < 0)
		return err_from_errno(ENOENT, "%s%s", tree->root, path);
	return replace(tree, backup, from, NULL, 0, &stat);
}
