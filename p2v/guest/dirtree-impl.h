/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A folder of the host as a guest: what its reading half and its writing half share. */
#ifndef P2V_GUEST_DIRTREE_IMPL_H
#define P2V_GUEST_DIRTREE_IMPL_H

#include "p2v/guest/guest-impl.h"

struct dirtree {
	struct guest guest;
	int root_fd;
	char *root;
};

static inline struct dirtree *dirtree_of(struct guest *guest)
{
	return (struct dirtree *)guest;
}

/* A descriptor of what is at path inside the root, or -1 and errno. */
int dirtree_open_path(const struct dirtree *tree, const char *path, int flags);

/* The folder that path (resolved) is in; -1 and errno. */
int dirtree_open_parent(const struct dirtree *tree, const char *path);

/* Opens a regular file for reading; -1 in *ret_fd if it is not there. */
struct stat;
struct err *dirtree_open_file(struct dirtree *tree, const char *path, int *ret_fd, struct stat *ret_stat)
	ERR_MUST_CHECK;

/* errno as an error that names path. */
struct err *dirtree_error(const struct dirtree *tree, const char *path) ERR_MUST_CHECK;
bool dirtree_means_missing(int errnum);

struct err *dirtree_copy_fd(int from, const char *from_name, int to, const char *to_name) ERR_MUST_CHECK;

struct err *dirtree_write(struct guest *guest, const char *path, const void *data, size_t bytes,
			  const struct guest_stat *stat) ERR_MUST_CHECK;
struct err *dirtree_upload(struct guest *guest, const char *path, const char *host_file,
			   const struct guest_stat *stat) ERR_MUST_CHECK;
struct err *dirtree_mkdir(struct guest *guest, const char *path, mode_t mode) ERR_MUST_CHECK;
struct err *dirtree_symlink(struct guest *guest, const char *path, const char *target) ERR_MUST_CHECK;
struct err *dirtree_keep(struct guest *guest, const char *path, const char *backup) ERR_MUST_CHECK;
struct err *dirtree_remove(struct guest *guest, const char *path) ERR_MUST_CHECK;
struct err *dirtree_rename(struct guest *guest, const char *from, const char *to) ERR_MUST_CHECK;

#endif
