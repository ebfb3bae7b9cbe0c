/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Paths inside a guest: absolute, with '/', symbolic links relative to the guest's own root. */
#ifndef P2V_GUEST_PATH_H
#define P2V_GUEST_PATH_H

#include "p2v/base/err.h"

/* Says what path is (a resolved path without links in its parents).  *ret_target: the target if it is a
 * symbolic link, to be freed; else NULL. */
typedef struct err *(*path_lookup_fn)(void *arg, const char *path, char **ret_target);

/*
 * Resolves symbolic links as the kernel would with the guest's root as "/": ".." stays inside.  With
 * keep_last the last component is not followed.  ERR_FAILED (ELOOP) after 40 links, as in Linux.
 */
#define PATH_KEEP_LAST (1u << 0)
struct err *path_resolve(const char *path, unsigned flags, path_lookup_fn lookup, void *arg, char **ret_path)
	ERR_MUST_CHECK;

/* "/etc" for "/etc/fstab", "/" for "/etc"; and "fstab", which points into path.  For resolved paths. */
char *path_parent(const char *path);
const char *path_base(const char *path);

/* dir + "/" + name without doubling the slash. */
char *path_join(const char *dir, const char *name);

#endif
