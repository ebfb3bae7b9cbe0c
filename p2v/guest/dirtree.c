/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A guest whose files are in a folder of the host.  Every path is opened by the
 * kernel with the folder as root (RESOLVE_IN_ROOT), so no link, however made,
 * leads out of it.  Nothing is kept in memory: what another program changes in
 * the folder is seen at once.
 */
#include "p2v/guest/dirtree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "p2v/base/mem.h"
#include "p2v/guest/dirtree-impl.h"
#include "p2v/guest/path.h"
#include "p2v/guest/sha256.h"

_Static_assert(GUEST_SHA256_TEXT_BYTES == SHA256_TEXT_BYTES, "one size of hash text");

int dirtree_open_path(const struct dirtree *tree, const char *path, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC),
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	long fd;

	/* EAGAIN: something was renamed while the kernel walked. */
	do {
		fd = syscall(SYS_openat2, tree->root_fd, path, &how, sizeof how);
	} while (fd < 0 && (errno == EAGAIN || errno == EINTR));
	return (int)fd;
}

int dirtree_open_parent(const struct dirtree *tree, const char *path)
{
	CLEANUP_FREE char *parent = path_parent(path);

	return dirtree_open_path(tree, parent, O_RDONLY | O_DIRECTORY);
}

struct err *dirtree_error(const struct dirtree *tree, const char *path)
{
	return err_from_errno(errno, "%s%s", tree->root, path);
}

bool dirtree_means_missing(int errnum)
{
	return errnum == ENOENT || errnum == ENOTDIR || errnum == ELOOP;
}

static enum guest_kind kind_of(mode_t mode)
{
	if (S_ISREG(mode))
		return GUEST_FILE;
	if (S_ISDIR(mode))
		return GUEST_DIRECTORY;
	return S_ISLNK(mode) ? GUEST_SYMLINK : GUEST_OTHER;
}

static struct err *stat_with(struct dirtree *tree, const char *path, int flags, struct guest_stat *ret_stat)
{
	CLEANUP_FD int fd = dirtree_open_path(tree, path, O_PATH | flags);
	struct stat st;

	if (fd < 0 && dirtree_means_missing(errno)) {
		*ret_stat = (struct guest_stat){.kind = GUEST_MISSING};
		return NULL;
	}
	if (fd < 0 || fstat(fd, &st) < 0)
		return dirtree_error(tree, path);
	*ret_stat = (struct guest_stat){
		.kind = kind_of(st.st_mode),
		.mode = st.st_mode & 07777,
		.uid = st.st_uid,
		.gid = st.st_gid,
		.size_bytes = (uint64_t)st.st_size,
		.mtime = st.st_mtime,
	};
	return NULL;
}

static struct err *dirtree_stat(struct guest *guest, const char *path, struct guest_stat *ret_stat)
{
	return stat_with(dirtree_of(guest), path, 0, ret_stat);
}

static struct err *dirtree_lstat(struct guest *guest, const char *path, struct guest_stat *ret_stat)
{
	return stat_with(dirtree_of(guest), path, O_NOFOLLOW, ret_stat);
}

struct err *dirtree_open_file(struct dirtree *tree, const char *path, int *ret_fd, struct stat *ret_stat)
{
	/* O_NONBLOCK: a FIFO in a guest must not stop us. */
	CLEANUP_FD int fd = dirtree_open_path(tree, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);

	if (fd < 0 && dirtree_means_missing(errno)) {
		*ret_fd = -1;
		return NULL;
	}
	if (fd < 0 || fstat(fd, ret_stat) < 0)
		return dirtree_error(tree, path);
	if (!S_ISREG(ret_stat->st_mode))
		return err_failed("%s%s: not a regular file", tree->root, path);
	*ret_fd = take_fd(&fd);
	return NULL;
}

static struct err *dirtree_read(struct guest *guest, const char *path, char **ret_data, size_t *ret_bytes)
{
	struct dirtree *tree = dirtree_of(guest);
	CLEANUP_FREE char *data = NULL;
	CLEANUP_FD int fd = -1;
	struct stat st;
	size_t bytes = 0;

	TRY(dirtree_open_file(tree, path, &fd, &st));
	if (fd < 0) {
		*ret_data = NULL;
		*ret_bytes = 0;
		return NULL;
	}
	if (st.st_size > GUEST_READ_MAX_BYTES)
		return err_failed("%s%s: %lld bytes are too many to be read into memory", tree->root, path,
				  (long long)st.st_size);
	data = xmalloc((size_t)st.st_size + 1);
	while (bytes < (size_t)st.st_size) {
		ssize_t n = read(fd, data + bytes, (size_t)st.st_size - bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return dirtree_error(tree, path);
		if (n == 0)
			break;
		bytes += (size_t)n;
	}
	data[bytes] = '\0';
	*ret_data = take_ptr(data);
	*ret_bytes = bytes;
	return NULL;
}

DEFINE_CLEANUP(closedir, DIR *, closedir)

static struct err *dirtree_list(struct guest *guest, const char *path, struct strv *ret_names)
{
	struct dirtree *tree = dirtree_of(guest);
	CLEANUP(cleanup_closedir) DIR *dir = NULL;
	int fd = dirtree_open_path(tree, path, O_RDONLY | O_DIRECTORY);
	const struct dirent *entry;

	if (fd < 0 && dirtree_means_missing(errno))
		return NULL;
	if (fd < 0)
		return dirtree_error(tree, path);
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return dirtree_error(tree, path);
	}
	for (errno = 0; (entry = readdir(dir)); errno = 0) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			strv_add(ret_names, entry->d_name);
	}
	if (errno)
		return dirtree_error(tree, path);
	strv_sort(ret_names);
	return NULL;
}

static struct err *dirtree_readlink(struct guest *guest, const char *path, char **ret_target)
{
	struct dirtree *tree = dirtree_of(guest);
	CLEANUP_FD int fd = dirtree_open_path(tree, path, O_PATH | O_NOFOLLOW);
	char target[PATH_MAX + 1];
	struct stat st;
	ssize_t bytes;

	*ret_target = NULL;
	if (fd < 0 && dirtree_means_missing(errno))
		return NULL;
	if (fd < 0 || fstat(fd, &st) < 0)
		return dirtree_error(tree, path);
	if (!S_ISLNK(st.st_mode))
		return NULL;
	bytes = readlinkat(fd, "", target, sizeof target - 1);
	if (bytes < 0)
		return dirtree_error(tree, path);
	target[bytes] = '\0';
	*ret_target = xstrdup(target);
	return NULL;
}

/* mkdir -p for the parents of host_dir + path. */
static struct err *make_host_parents(const char *host_dir, const char *path)
{
	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		CLEANUP_FREE char *dir = xasprintf("%s%.*s", host_dir, (int)(slash - path), path);

		if (mkdir(dir, 0755) < 0 && errno != EEXIST)
			return err_from_errno(errno, "%s", dir);
	}
	return NULL;
}

static struct err *dirtree_copy_out(struct guest *guest, const struct strv *paths, const char *host_dir)
{
	struct dirtree *tree = dirtree_of(guest);

	for (size_t i = 0; i < paths->count; i++) {
		const char *path = paths->items[i];
		CLEANUP_FREE char *host_file = xasprintf("%s%s", host_dir, path);
		CLEANUP_FD int from = -1;
		CLEANUP_FD int to = -1;
		struct stat st;

		TRY(dirtree_open_file(tree, path, &from, &st));
		if (from < 0)
			return err_from_errno(ENOENT, "%s%s", tree->root, path);
		TRY(make_host_parents(host_dir, path));
		to = open(host_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
		if (to < 0)
			return err_from_errno(errno, "%s", host_file);
		TRY(dirtree_copy_fd(from, path, to, host_file));
	}
	return NULL;
}

static struct err *dirtree_sha256(struct guest *guest, const char *path,
				  char ret_hex[GUEST_SHA256_TEXT_BYTES])
{
	struct dirtree *tree = dirtree_of(guest);
	CLEANUP_FD int fd = -1;
	struct stat st;

	TRY(dirtree_open_file(tree, path, &fd, &st));
	if (fd < 0)
		return err_from_errno(ENOENT, "%s%s", tree->root, path);
	return sha256_of_fd(fd, path, ret_hex);
}

static struct err *dirtree_space(struct guest *guest, const char *path, struct guest_space *ret_space)
{
	struct dirtree *tree = dirtree_of(guest);
	CLEANUP_FD int fd = dirtree_open_path(tree, path, O_PATH);
	struct statvfs vfs;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || fstatvfs(fd, &vfs) < 0)
		return dirtree_error(tree, path);
	ret_space->id = st.st_dev;
	if (__builtin_mul_overflow((uint64_t)vfs.f_bavail, (uint64_t)vfs.f_frsize, &ret_space->free_bytes))
		ret_space->free_bytes = UINT64_MAX;
	return NULL;
}

static struct err *dirtree_sync(struct guest *guest)
{
	struct dirtree *tree = dirtree_of(guest);

	return syncfs(tree->root_fd) < 0 ? dirtree_error(tree, "") : NULL;
}

static void dirtree_destroy(struct guest *guest)
{
	struct dirtree *tree = dirtree_of(guest);

	close(tree->root_fd);
	free(tree->root);
	free(tree);
}

static const struct guest_ops dirtree_ops = {
	.kind = "directory",
	.stat = dirtree_stat,
	.lstat = dirtree_lstat,
	.read = dirtree_read,
	.list = dirtree_list,
	.readlink = dirtree_readlink,
	.copy_out = dirtree_copy_out,
	.sha256 = dirtree_sha256,
	.space = dirtree_space,
	.write = dirtree_write,
	.upload = dirtree_upload,
	.mkdir = dirtree_mkdir,
	.symlink = dirtree_symlink,
	.keep = dirtree_keep,
	.remove = dirtree_remove,
	.rename = dirtree_rename,
	.sync = dirtree_sync,
	.destroy = dirtree_destroy,
};

struct err *guest_open_directory(const char *root, struct guest **ret_guest)
{
	CLEANUP_FD int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirtree *tree;

	if (fd < 0)
		return err_from_errno(errno, "%s", root);
	tree = xcalloc(1, sizeof *tree);
	tree->guest.ops = &dirtree_ops;
	tree->root_fd = take_fd(&fd);
	tree->root = xstrdup(root);
	*ret_guest = &tree->guest;
	return NULL;
}
