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
#include <sys/xattr.h>
#include <unistd.h>

#include "p2v/base/mem.h"
#include "p2v/guest/guest-impl.h"
#include "p2v/guest/path.h"
#include "p2v/guest/sha256.h"

_Static_assert(GUEST_SHA256_TEXT_BYTES == SHA256_TEXT_BYTES, "one size of hash text");

struct dirtree {
	struct guest guest;
	int root_fd;
	char *root;
};

static struct dirtree *tree_of(struct guest *guest)
{
	return (struct dirtree *)guest;
}

/* A descriptor, or -1 and errno. */
static int open_in_root(const struct dirtree *tree, const char *path, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC),
		.mode = mode,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	long fd;

	/* EAGAIN: something was renamed while the kernel walked. */
	do {
		fd = syscall(SYS_openat2, tree->root_fd, path, &how, sizeof how);
	} while (fd < 0 && (errno == EAGAIN || errno == EINTR));
	return (int)fd;
}

/* The folder that path (resolved) is in. */
static int open_parent(const struct dirtree *tree, const char *path)
{
	CLEANUP_FREE char *parent = path_parent(path);

	return open_in_root(tree, parent, O_RDONLY | O_DIRECTORY, 0);
}

static struct err *tree_error(const struct dirtree *tree, const char *path)
{
	return err_from_errno(errno, "%s%s", tree->root, path);
}

static bool means_missing(int errnum)
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
	CLEANUP_FD int fd = open_in_root(tree, path, O_PATH | flags, 0);
	struct stat st;

	if (fd < 0 && means_missing(errno)) {
		*ret_stat = (struct guest_stat){.kind = GUEST_MISSING};
		return NULL;
	}
	if (fd < 0 || fstat(fd, &st) < 0)
		return tree_error(tree, path);
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
	return stat_with(tree_of(guest), path, 0, ret_stat);
}

static struct err *dirtree_lstat(struct guest *guest, const char *path, struct guest_stat *ret_stat)
{
	return stat_with(tree_of(guest), path, O_NOFOLLOW, ret_stat);
}

/* Opens a regular file for reading; -1 in *ret_fd if it is not there. */
static struct err *open_file(struct dirtree *tree, const char *path, int *ret_fd, struct stat *ret_stat)
{
	/* O_NONBLOCK: a FIFO in a guest must not stop us. */
	CLEANUP_FD int fd = open_in_root(tree, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);

	if (fd < 0 && means_missing(errno)) {
		*ret_fd = -1;
		return NULL;
	}
	if (fd < 0 || fstat(fd, ret_stat) < 0)
		return tree_error(tree, path);
	if (!S_ISREG(ret_stat->st_mode))
		return err_failed("%s%s: not a regular file", tree->root, path);
	*ret_fd = take_fd(&fd);
	return NULL;
}

static struct err *dirtree_read(struct guest *guest, const char *path, char **ret_data, size_t *ret_bytes)
{
	struct dirtree *tree = tree_of(guest);
	CLEANUP_FREE char *data = NULL;
	CLEANUP_FD int fd = -1;
	struct stat st;
	size_t bytes = 0;

	TRY(open_file(tree, path, &fd, &st));
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
			return tree_error(tree, path);
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
	struct dirtree *tree = tree_of(guest);
	CLEANUP(cleanup_closedir) DIR *dir = NULL;
	int fd = open_in_root(tree, path, O_RDONLY | O_DIRECTORY, 0);
	const struct dirent *entry;

	if (fd < 0 && means_missing(errno))
		return NULL;
	if (fd < 0)
		return tree_error(tree, path);
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return tree_error(tree, path);
	}
	for (errno = 0; (entry = readdir(dir)); errno = 0) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			strv_add(ret_names, entry->d_name);
	}
	if (errno)
		return tree_error(tree, path);
	strv_sort(ret_names);
	return NULL;
}

static struct err *dirtree_readlink(struct guest *guest, const char *path, char **ret_target)
{
	struct dirtree *tree = tree_of(guest);
	CLEANUP_FD int fd = open_in_root(tree, path, O_PATH | O_NOFOLLOW, 0);
	char target[PATH_MAX + 1];
	struct stat st;
	ssize_t bytes;

	*ret_target = NULL;
	if (fd < 0 && means_missing(errno))
		return NULL;
	if (fd < 0 || fstat(fd, &st) < 0)
		return tree_error(tree, path);
	if (!S_ISLNK(st.st_mode))
		return NULL;
	bytes = readlinkat(fd, "", target, sizeof target - 1);
	if (bytes < 0)
		return tree_error(tree, path);
	target[bytes] = '\0';
	*ret_target = xstrdup(target);
	return NULL;
}

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

static struct err *copy_fd(int from, const char *from_name, int to, const char *to_name)
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
	struct dirtree *tree = tree_of(guest);

	for (size_t i = 0; i < paths->count; i++) {
		const char *path = paths->items[i];
		CLEANUP_FREE char *host_file = xasprintf("%s%s", host_dir, path);
		CLEANUP_FD int from = -1;
		CLEANUP_FD int to = -1;
		struct stat st;

		TRY(open_file(tree, path, &from, &st));
		if (from < 0)
			return err_from_errno(ENOENT, "%s%s", tree->root, path);
		TRY(make_host_parents(host_dir, path));
		to = open(host_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
		if (to < 0)
			return err_from_errno(errno, "%s", host_file);
		TRY(copy_fd(from, path, to, host_file));
	}
	return NULL;
}

static struct err *dirtree_sha256(struct guest *guest, const char *path,
				  char ret_hex[GUEST_SHA256_TEXT_BYTES])
{
	struct dirtree *tree = tree_of(guest);
	CLEANUP_FD int fd = -1;
	struct stat st;

	TRY(open_file(tree, path, &fd, &st));
	if (fd < 0)
		return err_from_errno(ENOENT, "%s%s", tree->root, path);
	return sha256_of_fd(fd, path, ret_hex);
}

static struct err *dirtree_space(struct guest *guest, const char *path, struct guest_space *ret_space)
{
	struct dirtree *tree = tree_of(guest);
	CLEANUP_FD int fd = open_in_root(tree, path, O_PATH, 0);
	struct statvfs vfs;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || fstatvfs(fd, &vfs) < 0)
		return tree_error(tree, path);
	ret_space->id = st.st_dev;
	if (__builtin_mul_overflow((uint64_t)vfs.f_bavail, (uint64_t)vfs.f_frsize, &ret_space->free_bytes))
		ret_space->free_bytes = UINT64_MAX;
	return NULL;
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
		return tree_error(tree, path);
	if (fchmod(fd, stat->mode & 07777) < 0)
		return tree_error(tree, path);
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
		return tree_error(tree, path);
	TRY(from >= 0 ? copy_fd(from, path, fd, path) : write_all(fd, data, bytes, path));
	return set_attributes(tree, dir_fd, path, fd, stat);
}

static struct err *replace(struct dirtree *tree, const char *path, int from, const void *data, size_t bytes,
			   const struct guest_stat *stat)
{
	CLEANUP_FREE char *temp = xasprintf(".p2v-%ld.new", (long)getpid());
	CLEANUP_FD int dir_fd = open_parent(tree, path);
	struct err *err;

	if (dir_fd < 0)
		return tree_error(tree, path);
	err = fill_beside(tree, dir_fd, path, temp, from, data, bytes, stat);
	if (!err && renameat(dir_fd, temp, dir_fd, path_base(path)) < 0)
		err = tree_error(tree, path);
	if (err)
		unlinkat(dir_fd, temp, 0);
	return err;
}

static struct err *dirtree_write(struct guest *guest, const char *path, const void *data, size_t bytes,
				 const struct guest_stat *stat)
{
	return replace(tree_of(guest), path, -1, data, bytes, stat);
}

static struct err *dirtree_upload(struct guest *guest, const char *path, const char *host_file,
				  const struct guest_stat *stat)
{
	CLEANUP_FD int from = open(host_file, O_RDONLY | O_CLOEXEC);

	if (from < 0)
		return err_from_errno(errno, "%s", host_file);
	return replace(tree_of(guest), path, from, NULL, 0, stat);
}

static struct err *dirtree_mkdir(struct guest *guest, const char *path, mode_t mode)
{
	struct dirtree *tree = tree_of(guest);
	CLEANUP_FD int dir_fd = open_parent(tree, path);

	if (dir_fd < 0 || mkdirat(dir_fd, path_base(path), mode) < 0 ||
	    fchmodat(dir_fd, path_base(path), mode, 0) < 0)
		return tree_error(tree, path);
	return NULL;
}

static struct err *dirtree_symlink(struct guest *guest, const char *path, const char *target)
{
	struct dirtree *tree = tree_of(guest);
	CLEANUP_FREE char *temp = xasprintf(".p2v-%ld.new", (long)getpid());
	CLEANUP_FD int dir_fd = open_parent(tree, path);

	if (dir_fd < 0)
		return tree_error(tree, path);
	unlinkat(dir_fd, temp, 0);
	if (symlinkat(target, dir_fd, temp) < 0)
		return tree_error(tree, path);
	if (renameat(dir_fd, temp, dir_fd, path_base(path)) < 0) {
		struct err *err = tree_error(tree, path);

		unlinkat(dir_fd, temp, 0);
		return err;
	}
	return NULL;
}

static struct err *dirtree_remove(struct guest *guest, const char *path)
{
	struct dirtree *tree = tree_of(guest);
	CLEANUP_FD int dir_fd = open_parent(tree, path);

	if (dir_fd < 0)
		return means_missing(errno) ? NULL : tree_error(tree, path);
	if (unlinkat(dir_fd, path_base(path), 0) == 0 || errno == ENOENT)
		return NULL;
	if (errno == EISDIR && unlinkat(dir_fd, path_base(path), AT_REMOVEDIR) == 0)
		return NULL;
	return tree_error(tree, path);
}

static struct err *dirtree_rename(struct guest *guest, const char *from, const char *to)
{
	struct dirtree *tree = tree_of(guest);
	CLEANUP_FD int from_fd = open_parent(tree, from);
	CLEANUP_FD int to_fd = -1;

	if (from_fd < 0)
		return tree_error(tree, from);
	to_fd = open_parent(tree, to);
	if (to_fd < 0 || renameat(from_fd, path_base(from), to_fd, path_base(to)) < 0)
		return tree_error(tree, to);
	return NULL;
}

static struct err *dirtree_keep(struct guest *guest, const char *path, const char *backup)
{
	struct dirtree *tree = tree_of(guest);
	CLEANUP_FD int path_fd = open_parent(tree, path);
	CLEANUP_FD int backup_fd = -1;
	CLEANUP_FD int from = -1;
	struct guest_stat stat;
	struct stat st;

	if (path_fd < 0)
		return tree_error(tree, path);
	backup_fd = open_parent(tree, backup);
	if (backup_fd < 0)
		return tree_error(tree, backup);
	if (linkat(path_fd, path_base(path), backup_fd, path_base(backup), 0) == 0)
		return NULL;
	/* Another file system, or one without links. */
	TRY(dirtree_lstat(guest, path, &stat));
	TRY(open_file(tree, path, &from, &st));
	if (from < 0)
		return err_from_errno(ENOENT, "%s%s", tree->root, path);
	return replace(tree, backup, from, NULL, 0, &stat);
}

static struct err *dirtree_sync(struct guest *guest)
{
	struct dirtree *tree = tree_of(guest);

	return syncfs(tree->root_fd) < 0 ? tree_error(tree, "") : NULL;
}

static void dirtree_destroy(struct guest *guest)
{
	struct dirtree *tree = tree_of(guest);

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
