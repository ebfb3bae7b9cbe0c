/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Making a plan: each change is compared with what is there (in the guest, or
 * by an earlier change), and recorded only if it changes something, with all
 * that is needed to show it and to take it back.
 */
#include "p2v/guest/plan-impl.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "p2v/base/mem.h"
#include "p2v/guest/path.h"
#include "p2v/guest/sha256.h"

struct plan *plan_create(struct guest *guest)
{
	struct plan *plan = xcalloc(1, sizeof *plan);

	plan->guest = guest;
	plan->author = "p2v";
	return plan;
}

static void side_deinit(struct change_side *side)
{
	free(side->data);
	free(side->target);
}

static void change_deinit(struct change *change)
{
	free(change->path);
	free(change->reason);
	free(change->host_file);
	free(change->backup_path);
	side_deinit(&change->before);
	side_deinit(&change->after);
}

void plan_destroy(struct plan *plan)
{
	if (!plan)
		return;
	for (size_t i = 0; i < plan->change_count; i++)
		change_deinit(&plan->changes[i]);
	free(plan->changes);
	for (size_t i = 0; i < plan->finding_count; i++)
		free(plan->findings[i].text);
	free(plan->findings);
	for (size_t i = 0; i < plan->host_files.count; i++)
		unlink(plan->host_files.items[i]);
	strv_deinit(&plan->host_files);
	free(plan);
}

void plan_set_author(struct plan *plan, const char *author)
{
	plan->author = author;
}

bool plan_is_empty(const struct plan *plan)
{
	return plan->change_count == 0;
}

void plan_add_finding(struct plan *plan, enum finding_severity severity, const char *text, ...)
{
	va_list args;
	char *formatted;

	va_start(args, text);
	formatted = xvasprintf(text, args);
	va_end(args);
	array_grow(plan->findings, plan->finding_count, plan->finding_capacity);
	plan->findings[plan->finding_count++] = (struct finding){plan->author, severity, formatted};
}

/* Moves *change into the plan. */
static void record(struct plan *plan, struct change *change, const char *reason, va_list args)
{
	change->author = plan->author;
	change->reason = xvasprintf(reason, args);
	array_grow(plan->changes, plan->change_count, plan->change_capacity);
	plan->changes[plan->change_count++] = *change;
	*change = (struct change){0};
}

/* What is at change->path now; the content of a file only if it is to be held. */
static struct err *look_before(struct plan *plan, struct change *change, bool hold_content)
{
	struct change_side *before = &change->before;

	TRY(plan_lstat_resolved(plan, change->path, &before->stat));
	if (before->stat.kind == GUEST_SYMLINK)
		return plan_readlink_resolved(plan, change->path, &before->target);
	if (before->stat.kind != GUEST_FILE)
		return NULL;
	if (!hold_content)
		return plan_sha256_resolved(plan, change->path, before->sha256);
	TRY(plan_read_resolved(plan, change->path, &before->data, &before->bytes));
	return sha256_of_bytes(before->data, before->bytes, before->sha256);
}

/* A file's attributes after the change: those it had, or a new file's. */
static struct err *set_after_stat(struct change *change, uint64_t size_bytes)
{
	const struct guest_stat *before = &change->before.stat;

	if (before->kind != GUEST_FILE && before->kind != GUEST_MISSING)
		return err_failed("%s: cannot be written: not a regular file", change->path);
	change->after.stat = before->kind == GUEST_FILE ? *before : (struct guest_stat){.mode = PLAN_MODE};
	change->after.stat.kind = GUEST_FILE;
	change->after.stat.size_bytes = size_bytes;
	return NULL;
}

static struct err *prepare_write(struct plan *plan, const char *path, const void *data, size_t bytes,
				 struct change *change)
{
	change->action = CHANGE_WRITE;
	TRY(plan_resolve(plan, path, 0, &change->path));
	TRY(look_before(plan, change, true));
	TRY(set_after_stat(change, bytes));
	change->after.data = xmemdup(data, bytes);
	change->after.bytes = bytes;
	return sha256_of_bytes(data, bytes, change->after.sha256);
}

static bool content_is_equal(const struct change *change)
{
	return change->before.stat.kind == GUEST_FILE && change->after.stat.kind == GUEST_FILE &&
	       strcmp(change->before.sha256, change->after.sha256) == 0;
}

struct err *plan_write(struct plan *plan, const char *path, const void *data, size_t bytes,
		       const char *reason, ...)
{
	CLEANUP(change_deinit) struct change change = {0};
	va_list args;

	TRY(prepare_write(plan, path, data, bytes, &change));
	if (content_is_equal(&change))
		return NULL;
	va_start(args, reason);
	record(plan, &change, reason, args);
	va_end(args);
	return NULL;
}

/* A name for the backup that nothing has yet: an older backup is never overwritten. */
static struct err *find_backup_name(struct plan *plan, const char *wanted, char **ret_path)
{
	CLEANUP_FREE char *path = NULL;

	TRY(plan_resolve(plan, wanted, GUEST_KEEP_LAST, &path));
	for (unsigned i = 1;; i++) {
		CLEANUP_FREE char *name = i == 1 ? xstrdup(path) : xasprintf("%s.%u", path, i);
		struct guest_stat stat;

		TRY(plan_lstat_resolved(plan, name, &stat));
		if (stat.kind == GUEST_MISSING) {
			*ret_path = take_ptr(name);
			return NULL;
		}
	}
}

static struct err *prepare_upload(struct plan *plan, const char *path, const char *host_file,
				  const char *backup_path, struct change *change)
{
	struct stat st;

	change->action = CHANGE_UPLOAD;
	change->host_file = xstrdup(host_file);
	TRY(plan_resolve(plan, path, 0, &change->path));
	if (stat(host_file, &st) < 0)
		return err_from_errno(errno, "%s", host_file);
	TRY(look_before(plan, change, false));
	TRY(set_after_stat(change, (uint64_t)st.st_size));
	TRY(sha256_of_file(host_file, change->after.sha256));
	if (backup_path && change->before.stat.kind == GUEST_FILE && !content_is_equal(change))
		return find_backup_name(plan, backup_path, &change->backup_path);
	return NULL;
}

struct err *plan_upload(struct plan *plan, const char *path, const char *host_file, const char *backup_path,
			const char *reason, ...)
{
	CLEANUP(change_deinit) struct change change = {0};
	va_list args;

	strv_add(&plan->host_files, host_file);
	TRY(prepare_upload(plan, path, host_file, backup_path, &change));
	if (content_is_equal(&change))
		return NULL;
	va_start(args, reason);
	record(plan, &change, reason, args);
	va_end(args);
	return NULL;
}

struct err *plan_symlink(struct plan *plan, const char *path, const char *target, const char *reason, ...)
{
	CLEANUP(change_deinit) struct change change = {.action = CHANGE_SYMLINK};
	va_list args;

	TRY(plan_resolve(plan, path, GUEST_KEEP_LAST, &change.path));
	TRY(look_before(plan, &change, true));
	if (change.before.stat.kind == GUEST_DIRECTORY)
		return err_failed("%s: a folder is where a symbolic link is to be made", change.path);
	if (change.before.target && strcmp(change.before.target, target) == 0)
		return NULL;
	change.after.stat = (struct guest_stat){
		.kind = GUEST_SYMLINK,
		.mode = 0777,
		.size_bytes = strlen(target),
	};
	change.after.target = xstrdup(target);
	va_start(args, reason);
	record(plan, &change, reason, args);
	va_end(args);
	return NULL;
}

static struct err *check_folder_is_empty(struct plan *plan, const char *path)
{
	CLEANUP_STRV struct strv names = {0};

	TRY(plan_list(plan, path, &names));
	if (names.count > 0)
		return err_failed("%s: cannot be removed: a folder with %zu entries", path, names.count);
	return NULL;
}

struct err *plan_remove(struct plan *plan, const char *path, const char *reason, ...)
{
	CLEANUP(change_deinit) struct change change = {.action = CHANGE_REMOVE};
	va_list args;

	TRY(plan_resolve(plan, path, GUEST_KEEP_LAST, &change.path));
	TRY(look_before(plan, &change, true));
	if (change.before.stat.kind == GUEST_MISSING)
		return NULL;
	if (change.before.stat.kind == GUEST_DIRECTORY)
		TRY(check_folder_is_empty(plan, change.path));
	va_start(args, reason);
	record(plan, &change, reason, args);
	va_end(args);
	return NULL;
}
