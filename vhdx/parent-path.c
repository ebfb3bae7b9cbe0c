/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Windows paths become paths of this machine by their separators alone; drives,
 * volumes and servers are unknown here, and left out.  Nothing is opened.
 */
#include "vhdx/parent-path.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <strings.h>

void vhdx_paths_deinit(struct vhdx_paths *paths)
{
	for (size_t i = 0; i < paths->count; i++)
		free(paths->items[i]);
	free(paths->items);
	*paths = (struct vhdx_paths){0};
}

/* Adds folder/name ("name" for no folder), unless it is there already. */
static struct err *add_path(struct vhdx_paths *paths, const char *folder, const char *name)
{
	size_t folder_bytes = strlen(folder);
	char **items = reallocarray(paths->items, paths->count + 1, sizeof *items);
	bool needs_slash = folder_bytes && folder[folder_bytes - 1] != '/';
	char *path;

	if (!items)
		return err_nomem();
	paths->items = items;
	if (asprintf(&path, "%s%s%s", folder, needs_slash ? "/" : "", name) < 0)
		return err_nomem();
	for (size_t i = 0; i < paths->count; i++) {
		if (!strcmp(items[i], path)) {
			free(path);
			return NULL;
		}
	}
	items[paths->count++] = path;
	return NULL;
}

/* The folder part of a path; "" for the current one. */
static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup("");
	return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static char *with_slashes(const char *windows_path)
{
	char *path = strdup(windows_path);

	for (char *c = path; c && *c; c++)
		if (*c == '\\')
			*c = '/';
	return path;
}

static const char *skip_slashes(const char *path)
{
	while (*path == '/')
		path++;
	return path;
}

static struct err *add_relative(struct vhdx_paths *paths, const char *folder, const char *value)
{
	CLEANUP_FREE char *path = with_slashes(value);
	const char *at = path;

	if (!path)
		return err_nomem();
	while (at[0] == '.' && at[1] == '/')
		at = skip_slashes(at + 1);
	return add_path(paths, *at == '/' ? "" : folder, at);
}

/* Behind "\\?\" and one of "C:", "Volume{…}", or both parts of "UNC\" or "\\": what is the same on every
 * machine. */
static const char *skip_root(const char *path)
{
	const char *at = path;

	if (!strncmp(at, "//?/", 4))
		at += 4;
	if (!strncasecmp(at, "Volume{", 7) && strchr(at, '}'))
		return skip_slashes(strchr(at, '}') + 1);
	if (at[0] && at[1] == ':')
		return skip_slashes(at + 2);
	return skip_slashes(at);
}

static struct err *add_absolute(struct vhdx_paths *paths, const char *folder, const char *value)
{
	CLEANUP_FREE char *path = with_slashes(value);
	const char *rest;

	if (!path)
		return err_nomem();
	if (path[0] == '/' && path[1] != '/') {
		TRY(add_path(paths, "", path));
		return add_path(paths, folder, strrchr(path, '/') + 1);
	}
	for (rest = skip_root(path); *rest; rest = skip_slashes(strchr(rest, '/'))) {
		TRY(add_path(paths, folder, rest));
		if (!strchr(rest, '/'))
			break;
	}
	return NULL;
}

static struct err *add_all(struct vhdx_paths *paths, const char *folder, const struct vhdx_locator *locator)
{
	static const struct {
		const char *key;
		struct err *(*add)(struct vhdx_paths *paths, const char *folder, const char *value);
	} kinds[] = {
		{VHDX_LOCATOR_RELATIVE, add_relative},
		{VHDX_LOCATOR_VOLUME, add_absolute},
		{VHDX_LOCATOR_ABSOLUTE, add_absolute},
	};

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		const char *value = vhdx_locator_find(locator, kinds[i].key);

		if (value && *value)
			TRY(kinds[i].add(paths, folder, value));
	}
	return NULL;
}

struct err *vhdx_parent_paths(const char *child_path, const struct vhdx_locator *locator,
			      struct vhdx_paths *ret_paths)
{
	CLEANUP_FREE char *folder = folder_of(child_path);
	CLEANUP_VHDX_PATHS struct vhdx_paths paths = {0};

	if (!folder)
		return err_nomem();
	TRY(add_all(&paths, folder, locator));
	*ret_paths = paths;
	paths = (struct vhdx_paths){0};
	return NULL;
}

/* The entry of a folder with this name (len bytes of it), but for case. */
static char *find_entry(const char *folder, const char *name, size_t len)
{
	DIR *dir = opendir(*folder ? folder : ".");
	struct dirent *entry;
	char *found = NULL;

	if (!dir)
		return NULL;
	while (!found && (entry = readdir(dir)))
		if (strlen(entry->d_name) == len && !strncasecmp(entry->d_name, name, len))
			found = strdup(entry->d_name);
	closedir(dir);
	return found;
}

struct err *vhdx_path_find_any_case(const char *path, char **ret_path)
{
	CLEANUP_FREE char *found = strdup(*path == '/' ? "/" : "");
	const char *rest = skip_slashes(path);

	*ret_path = NULL;
	if (!found)
		return err_nomem();
	while (*rest) {
		size_t len = strcspn(rest, "/");
		CLEANUP_FREE char *entry = find_entry(found, rest, len);
		CLEANUP_VHDX_PATHS struct vhdx_paths next = {0};

		if (!entry)
			return NULL;
		TRY(add_path(&next, found, entry));
		free(found);
		found = take_ptr(next.items[0]);
		rest = skip_slashes(rest + len);
	}
	*ret_path = take_ptr(found);
	return NULL;
}

/* Absolute, without links and "..", also where nothing is there yet under the last name. */
static struct err *resolve(const char *path, char **ret_path)
{
	CLEANUP_FREE char *folder = folder_of(path);
	CLEANUP_FREE char *real = NULL;
	const char *slash = strrchr(path, '/');
	CLEANUP_VHDX_PATHS struct vhdx_paths whole = {0};

	if (!folder)
		return err_nomem();
	real = realpath(*folder ? folder : ".", NULL);
	if (!real)
		return err_from_errno(errno, "%s", *folder ? folder : ".");
	TRY(add_path(&whole, real, slash ? slash + 1 : path));
	*ret_path = take_ptr(whole.items[0]);
	return NULL;
}

/* Length of the folders that two absolute paths begin with, the last '/' included. */
static size_t common_bytes(const char *a, const char *b)
{
	size_t bytes = 0;

	for (size_t i = 0; a[i] && a[i] == b[i]; i++)
		if (a[i] == '/')
			bytes = i + 1;
	return bytes;
}

/* "..\" for each folder between, then the rest; ".\" for none, as Windows writes it. */
static struct err *make_relative(const char *child, const char *parent, char **ret_text)
{
	size_t common = common_bytes(child, parent), rest_bytes = strlen(parent + common) + 1, ups = 0;
	static const char here[] = ".\\", up[] = "..\\";
	char *text, *at;

	for (const char *c = child + common; *c; c++)
		ups += *c == '/';
	text = at = malloc(strlen(up) * ups + strlen(here) + rest_bytes);
	if (!text)
		return err_nomem();
	for (size_t i = 0; i < ups; i++)
		at = mempcpy(at, up, strlen(up));
	if (!ups)
		at = mempcpy(at, here, strlen(here));
	memcpy(at, parent + common, rest_bytes);
	*ret_text = text;
	return NULL;
}

static void use_backslashes(char *text)
{
	for (; *text; text++)
		if (*text == '/')
			*text = '\\';
}

struct err *vhdx_locator_set_paths(struct vhdx_locator *locator, const char *child_path,
				   const char *parent_path)
{
	CLEANUP_FREE char *child = NULL;
	CLEANUP_FREE char *parent = NULL;
	CLEANUP_FREE char *relative = NULL;

	TRY(resolve(child_path, &child));
	TRY(resolve(parent_path, &parent));
	if (strchr(parent + common_bytes(child, parent), '\\'))
		return err_advise(err_refused("%s: cannot be named in a differencing file: its path holds a "
					      "backslash",
					      parent),
				  "rename it");
	TRY(make_relative(child, parent, &relative));
	use_backslashes(relative);
	use_backslashes(parent);
	TRY(vhdx_locator_set(locator, VHDX_LOCATOR_RELATIVE, relative));
	return vhdx_locator_set(locator, VHDX_LOCATOR_ABSOLUTE, parent);
}
