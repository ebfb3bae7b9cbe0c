/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The guest as it will be: the last change of a path hides what the guest has
 * there.  Folders that plan_apply() would make for a new file are seen too, and
 * so are backups.
 */
#include "p2v/guest/plan-impl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "p2v/base/mem.h"
#include "p2v/guest/path.h"

/* The side that is seen at path, or NULL if the plan does not touch it. */
static const struct change_side *find_side(const struct plan *plan, const char *path,
					   const struct change **ret_change)
{
	for (size_t i = plan->change_count; i-- > 0;) {
		const struct change *change = &plan->changes[i];

		if (strcmp(change->path, path) == 0 ||
		    (change->backup_path && strcmp(change->backup_path, path) == 0)) {
			*ret_change = change;
			return strcmp(change->path, path) == 0 ? &change->after : &change->before;
		}
	}
	return NULL;
}

/* The part of path below dir, or NULL. */
static const char *below(const char *path, const char *dir)
{
	size_t bytes = strcmp(dir, "/") == 0 ? 0 : strlen(dir);

	return strncmp(path, dir, bytes) == 0 && path[bytes] == '/' ? path + bytes + 1 : NULL;
}

static bool is_implied_folder(const struct plan *plan, const char *path)
{
	for (size_t i = 0; i < plan->change_count; i++) {
		const struct change *change = &plan->changes[i];

		if (change->after.stat.kind != GUEST_MISSING && below(change->path, path))
			return true;
	}
	return false;
}

struct err *plan_lstat_resolved(struct plan *plan, const char *path, struct guest_stat *ret_stat)
{
	const struct change *change;
	const struct change_side *side = find_side(plan, path, &change);

	if (side) {
		*ret_stat = side->stat;
		return NULL;
	}
	TRY(guest_lstat(plan->guest, path, ret_stat));
	if (ret_stat->kind == GUEST_MISSING && is_implied_folder(plan, path))
		*ret_stat = (struct guest_stat){.kind = GUEST_DIRECTORY, .mode = 0755};
	return NULL;
}

struct err *plan_readlink_resolved(struct plan *plan, const char *path, char **ret_target)
{
	const struct change *change;
	const struct change_side *side = find_side(plan, path, &change);

	if (!side)
		return guest_readlink(plan->guest, path, ret_target);
	*ret_target = xstrdup(side->target);
	return NULL;
}

static struct err *lookup_link(void *arg, const char *path, char **ret_target)
{
	return plan_readlink_resolved(arg, path, ret_target);
}

struct err *plan_resolve(struct plan *plan, const char *path, unsigned guest_flags, char **ret_path)
{
	if (path[0] != '/')
		return err_failed("%s: not an absolute path in the guest", path);
	return path_resolve(path, guest_flags & GUEST_KEEP_LAST ? PATH_KEEP_LAST : 0, lookup_link, plan,
			    ret_path);
}

static struct err *read_host_file(const char *path, char **ret_data, size_t *ret_bytes)
{
	CLEANUP_FREE char *data = NULL;
	CLEANUP_FCLOSE FILE *file = fopen(path, "re");
	struct stat st;

	if (!file || fstat(fileno(file), &st) < 0)
		return err_from_errno(errno, "%s", path);
	if (st.st_size > GUEST_READ_MAX_BYTES)
		return err_failed("%s: %lld bytes are too many to be read into memory", path,
				  (long long)st.st_size);
	data = xmalloc((size_t)st.st_size + 1);
	*ret_bytes = fread(data, 1, (size_t)st.st_size, file);
	if (ferror(file))
		return err_from_errno(errno, "%s", path);
	data[*ret_bytes] = '\0';
	*ret_data = take_ptr(data);
	return NULL;
}

struct err *plan_read_resolved(struct plan *plan, const char *path, char **ret_data, size_t *ret_bytes)
{
	const struct change *change;
	const struct change_side *side = find_side(plan, path, &change);

	if (!side)
		return guest_read(plan->guest, path, ret_data, ret_bytes);
	if (side->stat.kind == GUEST_MISSING) {
		*ret_data = NULL;
		*ret_bytes = 0;
		return NULL;
	}
	if (side->stat.kind != GUEST_FILE)
		return err_failed("%s: not a regular file", path);
	if (side->data) {
		*ret_data = xmalloc(side->bytes + 1);
		memcpy(*ret_data, side->data, side->bytes);
		(*ret_data)[side->bytes] = '\0';
		*ret_bytes = side->bytes;
		return NULL;
	}
	if (side == &change->after)
		return read_host_file(change->host_file, ret_data, ret_bytes);
	/* A backup: what the guest has now where the change will be made. */
	return guest_read(plan->guest, change->path, ret_data, ret_bytes);
}

struct err *plan_sha256_resolved(struct plan *plan, const char *path, char ret_hex[GUEST_SHA256_TEXT_BYTES])
{
	const struct change *change;
	const struct change_side *side = find_side(plan, path, &change);

	if (!side)
		return guest_sha256(plan->guest, path, ret_hex);
	memcpy(ret_hex, side->sha256, GUEST_SHA256_TEXT_BYTES);
	return NULL;
}

struct err *plan_read(struct plan *plan, const char *path, char **ret_data, size_t *ret_bytes)
{
	CLEANUP_FREE char *resolved = NULL;

	TRY(plan_resolve(plan, path, 0, &resolved));
	return plan_read_resolved(plan, resolved, ret_data, ret_bytes);
}

struct err *plan_stat(struct plan *plan, const char *path, struct guest_stat *ret_stat)
{
	CLEANUP_FREE char *resolved = NULL;

	TRY(plan_resolve(plan, path, 0, &resolved));
	return plan_lstat_resolved(plan, resolved, ret_stat);
}

static void add_name_below(struct strv *names, const char *path, const char *dir)
{
	const char *rest = path ? below(path, dir) : NULL;

	if (rest && rest[0]) {
		CLEANUP_FREE char *name = xstrndup(rest, strcspn(rest, "/"));

		if (!strv_has(names, name))
			strv_add(names, name);
	}
}

struct err *plan_list(struct plan *plan, const char *path, struct strv *ret_names)
{
	CLEANUP_FREE char *dir = NULL;
	CLEANUP_STRV struct strv names = {0};

	TRY(plan_resolve(plan, path, 0, &dir));
	TRY(guest_list(plan->guest, dir, &names));
	for (size_t i = 0; i < plan->change_count; i++) {
		if (plan->changes[i].after.stat.kind != GUEST_MISSING)
			add_name_below(&names, plan->changes[i].path, dir);
		add_name_below(&names, plan->changes[i].backup_path, dir);
	}
	for (size_t i = 0; i < names.count; i++) {
		CLEANUP_FREE char *full = path_join(dir, names.items[i]);
		const struct change *change;
		const struct change_side *side = find_side(plan, full, &change);

		if (!side || side->stat.kind != GUEST_MISSING)
			strv_add(ret_names, names.items[i]);
	}
	strv_sort(ret_names);
	return NULL;
}
