/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What all kinds of guests have in common: paths are checked, links in a path
 * that is to be changed are resolved, parent folders are made.  Everything else
 * is the implementation's, through its table of operations.
 */
#include "p2v/guest/guest-impl.h"

#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/guest/path.h"

static struct err *check_path(const char *path)
{
	if (path[0] != '/')
		return err_failed("%s: not an absolute path in the guest", path);
	return NULL;
}

struct err *guest_stat(struct guest *guest, const char *path, struct guest_stat *ret_stat)
{
	TRY(check_path(path));
	return guest->ops->stat(guest, path, ret_stat);
}

struct err *guest_lstat(struct guest *guest, const char *path, struct guest_stat *ret_stat)
{
	TRY(check_path(path));
	return guest->ops->lstat(guest, path, ret_stat);
}

struct err *guest_read(struct guest *guest, const char *path, char **ret_data, size_t *ret_bytes)
{
	TRY(check_path(path));
	return guest->ops->read(guest, path, ret_data, ret_bytes);
}

struct err *guest_list(struct guest *guest, const char *path, struct strv *ret_names)
{
	TRY(check_path(path));
	return guest->ops->list(guest, path, ret_names);
}

struct err *guest_readlink(struct guest *guest, const char *path, char **ret_target)
{
	TRY(check_path(path));
	return guest->ops->readlink(guest, path, ret_target);
}

struct err *guest_fetch(struct guest *guest, const char *const *paths, uint64_t max_file_bytes)
{
	for (size_t i = 0; paths[i]; i++)
		TRY(check_path(paths[i]));
	return guest->ops->fetch ? guest->ops->fetch(guest, paths, max_file_bytes) : NULL;
}

struct err *guest_copy_out(struct guest *guest, const struct strv *paths, const char *host_dir)
{
	for (size_t i = 0; i < paths->count; i++)
		TRY(check_path(paths->items[i]));
	return paths->count ? guest->ops->copy_out(guest, paths, host_dir) : NULL;
}

struct err *guest_sha256(struct guest *guest, const char *path, char ret_hex[GUEST_SHA256_TEXT_BYTES])
{
	TRY(check_path(path));
	return guest->ops->sha256(guest, path, ret_hex);
}

static struct err *lookup_link(void *arg, const char *path, char **ret_target)
{
	return guest_readlink(arg, path, ret_target);
}

struct err *guest_resolve(struct guest *guest, const char *path, unsigned flags, char **ret_path)
{
	TRY(check_path(path));
	return path_resolve(path, flags & GUEST_KEEP_LAST ? PATH_KEEP_LAST : 0, lookup_link, guest, ret_path);
}

struct err *guest_find_space(struct guest *guest, const char *path, struct guest_space *ret_space)
{
	CLEANUP_FREE char *there = NULL;

	TRY(guest_resolve(guest, path, 0, &there));
	for (;;) {
		struct guest_stat stat;
		char *parent;

		TRY(guest_lstat(guest, there, &stat));
		if (stat.kind != GUEST_MISSING)
			return guest->ops->space(guest, there, ret_space);
		if (strcmp(there, "/") == 0)
			return err_failed("the guest has no root folder");
		parent = path_parent(there);
		free(there);
		there = parent;
	}
}

/* path is resolved. */
static struct err *make_parents(struct guest *guest, const char *path)
{
	CLEANUP_FREE char *parent = path_parent(path);
	struct guest_stat stat;

	TRY(guest_lstat(guest, parent, &stat));
	if (stat.kind == GUEST_DIRECTORY)
		return NULL;
	if (stat.kind != GUEST_MISSING)
		return err_failed("%s: in the way: not a folder", parent);
	TRY(make_parents(guest, parent));
	return guest->ops->mkdir(guest, parent, 0755);
}

static struct err *prepare_change(struct guest *guest, const char *path, unsigned flags, char **ret_resolved)
{
	CLEANUP_FREE char *resolved = NULL;

	TRY(guest_resolve(guest, path, flags, &resolved));
	TRY(make_parents(guest, resolved));
	*ret_resolved = take_ptr(resolved);
	return NULL;
}

struct err *guest_write(struct guest *guest, const char *path, const void *data, size_t bytes,
			const struct guest_stat *stat)
{
	CLEANUP_FREE char *resolved = NULL;

	TRY(prepare_change(guest, path, 0, &resolved));
	return guest->ops->write(guest, resolved, data, bytes, stat);
}

struct err *guest_upload(struct guest *guest, const char *path, const char *host_file,
			 const struct guest_stat *stat)
{
	CLEANUP_FREE char *resolved = NULL;

	TRY(prepare_change(guest, path, 0, &resolved));
	return guest->ops->upload(guest, resolved, host_file, stat);
}

struct err *guest_symlink(struct guest *guest, const char *path, const char *target)
{
	CLEANUP_FREE char *resolved = NULL;

	TRY(prepare_change(guest, path, GUEST_KEEP_LAST, &resolved));
	return guest->ops->symlink(guest, resolved, target);
}

struct err *guest_remove(struct guest *guest, const char *path)
{
	CLEANUP_FREE char *resolved = NULL;

	TRY(guest_resolve(guest, path, GUEST_KEEP_LAST, &resolved));
	return guest->ops->remove(guest, resolved);
}

struct err *guest_rename(struct guest *guest, const char *from, const char *to)
{
	CLEANUP_FREE char *resolved_from = NULL;
	CLEANUP_FREE char *resolved_to = NULL;

	TRY(guest_resolve(guest, from, GUEST_KEEP_LAST, &resolved_from));
	TRY(prepare_change(guest, to, GUEST_KEEP_LAST, &resolved_to));
	return guest->ops->rename(guest, resolved_from, resolved_to);
}

struct err *guest_keep(struct guest *guest, const char *path, const char *backup)
{
	CLEANUP_FREE char *resolved_path = NULL;
	CLEANUP_FREE char *resolved_backup = NULL;

	TRY(guest_resolve(guest, path, 0, &resolved_path));
	TRY(prepare_change(guest, backup, GUEST_KEEP_LAST, &resolved_backup));
	return guest->ops->keep(guest, resolved_path, resolved_backup);
}

struct err *guest_sync(struct guest *guest)
{
	return guest->ops->sync(guest);
}

void guest_destroy(struct guest *guest)
{
	if (guest)
		guest->ops->destroy(guest);
}
