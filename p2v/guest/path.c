/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Resolving symbolic links without a kernel: the files may be in an appliance,
 * or only planned.  The walk keeps a resolved prefix and a text that is still
 * to be walked; a link's target is put in front of that text.
 */
#include "p2v/guest/path.h"

#include <errno.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/base/strv.h"

#define MAX_LINKS 40 /* MAXSYMLINKS of Linux, include/linux/namei.h */

char *path_parent(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash || slash == path)
		return xstrdup("/");
	return xstrndup(path, (size_t)(slash - path));
}

const char *path_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

char *path_join(const char *dir, const char *name)
{
	return xasprintf("%s%s%s", dir, str_ends_with(dir, "/") ? "" : "/", name);
}

/* Takes the next component off *rest; NULL at the end. */
static char *next_component(const char **rest)
{
	const char *start = *rest + strspn(*rest, "/");
	size_t bytes = strcspn(start, "/");

	*rest = start + bytes;
	return bytes ? xstrndup(start, bytes) : NULL;
}

struct err *path_resolve(const char *path, unsigned flags, path_lookup_fn lookup, void *arg, char **ret_path)
{
	CLEANUP_FREE char *resolved = xstrdup("/");
	CLEANUP_FREE char *text = xstrdup(path);
	const char *rest = text;
	unsigned links = 0;

	for (;;) {
		CLEANUP_FREE char *name = next_component(&rest);
		CLEANUP_FREE char *target = NULL;
		char *next;

		if (!name)
			break;
		if (strcmp(name, ".") == 0)
			continue;
		next = strcmp(name, "..") == 0 ? path_parent(resolved) : path_join(resolved, name);
		if (strcmp(name, "..") != 0 && !((flags & PATH_KEEP_LAST) && !rest[strspn(rest, "/")])) {
			struct err *err = lookup(arg, next, &target);

			if (err) {
				free(next);
				return err;
			}
		}
		if (!target) {
			free(resolved);
			resolved = next;
			continue;
		}
		free(next);
		if (++links > MAX_LINKS)
			return err_from_errno(ELOOP, "%s", path);
		next = xasprintf("%s/%s", target, rest);
		free(text);
		text = next;
		rest = text;
		if (target[0] == '/') {
			free(resolved);
			resolved = xstrdup("/");
		}
	}
	*ret_path = take_ptr(resolved);
	return NULL;
}
