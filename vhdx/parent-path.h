/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where a parent may be: the paths of a parent locator, which are Windows' own,
 * on this machine ([MS-VHDX] 2.6.2.6.3).
 */
#ifndef VHDX_PARENT_PATH_H
#define VHDX_PARENT_PATH_H

#include <stddef.h>

#include "p2v/base/err.h"
#include "vhdx/locator.h"

struct vhdx_paths {
	char **items;
	size_t count;
};

void vhdx_paths_deinit(struct vhdx_paths *paths);
#define CLEANUP_VHDX_PATHS CLEANUP(vhdx_paths_deinit)

/*
 * The places to look at for the parent of the file at child_path, each once, in
 * their order:
 *	relative_path from the child's folder;
 *	volume_path, then absolute_win32_path: where they begin with one separator
 *	alone, as they are, and the last part beside the child; else, as no drive
 *	is known here, as many of their last parts as there are beside the child,
 *	many parts first.
 */
struct err *vhdx_parent_paths(const char *child_path, const struct vhdx_locator *locator,
			      struct vhdx_paths *ret_paths) ERR_MUST_CHECK;

/* A file that is there under this path but for upper and lower case, for the caller to free; *ret_path is
 * NULL if there is none.  Folders that cannot be read hold none. */
struct err *vhdx_path_find_any_case(const char *path, char **ret_path) ERR_MUST_CHECK;

/*
 * Sets relative_path and absolute_win32_path for a child at child_path.  The
 * latter is the path on this machine with Windows' separators, without a drive.
 * ERR_REFUSED: a name that cannot be written this way.
 */
struct err *vhdx_locator_set_paths(struct vhdx_locator *locator, const char *child_path,
				   const char *parent_path) ERR_MUST_CHECK;

#endif
