/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whole folders into memory, each as one tar archive. */
#include <archive.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/guest/appliance-guest.h"
#include "p2v/guest/path.h"

/* tar takes every line of an exclude file for a pattern (GNU tar manual, "exclude-from"). */
void tar_add_exclude(struct strv *excludes, const char *relative_path)
{
	CLEANUP_TEXT struct text pattern = {0};

	text_addf(&pattern, "./");
	for (const char *at = relative_path; *at; at++) {
		if (strchr("*?[]\\", *at))
			text_add(&pattern, "\\", 1);
		text_add(&pattern, at, 1);
	}
	/* A name with a newline cannot be left out; then it comes along. */
	if (!strchr(relative_path, '\n'))
		strv_add(excludes, pattern.data);
}

void cleanup_archive(struct archive **archive)
{
	if (*archive)
		archive_read_free(*archive);
}

struct err *tar_open(struct appliance *appliance, const char *dir, const struct strv *excludes,
		     struct memory_file *file, struct archive **ret_archive)
{
	static char *const none[] = {NULL};
	const struct guestfs_tar_out_opts_argv optargs = {
		.bitmask = GUESTFS_TAR_OUT_OPTS_NUMERICOWNER_BITMASK | GUESTFS_TAR_OUT_OPTS_EXCLUDES_BITMASK,
		.numericowner = 1,
		.excludes = excludes->count ? excludes->items : none,
	};
	CLEANUP(cleanup_archive) struct archive *archive = archive_read_new();

	if (!archive)
		return err_nomem();
	TRY(memory_file_init(file));
	if (guestfs_tar_out_opts_argv(appliance->g, dir, file->path, &optargs))
		return appliance_error(appliance, "%s", dir);
	archive_read_support_format_tar(archive);
	if (archive_read_open_fd(archive, file->fd, 64 << 10) != ARCHIVE_OK)
		return err_failed("%s: %s", dir, archive_error_string(archive));
	*ret_archive = take_ptr(archive);
	return NULL;
}

/* Files of dir that are larger: put into the cache without content, and left out of the archive. */
static struct err *leave_out_large(struct appliance_guest *guest, const char *dir, uint64_t max_file_bytes,
				   struct strv *excludes)
{
	CLEANUP_TEXT struct text script = {0};
	CLEANUP_FREE char *folder = xasprintf("/sysroot%s", dir);
	CLEANUP_FREE char *output = NULL;
	CLEANUP_STRV struct strv names = {0};

	text_addf(&script, "cd ");
	appliance_quote(&script, folder);
	text_addf(&script, " && find . -type f -size +%lluc -printf '%%P\\n'",
		  (unsigned long long)max_file_bytes);
	TRY(appliance_shell(guest->appliance, script.data, &output));
	strv_split(&names, output, "\n");
	for (size_t i = 0; i < names.count; i++) {
		CLEANUP_FREE char *path = path_join(dir, names.items[i]);
		struct guest_stat stat;

		TRY(guest_lstat(&guest->guest, path, &stat));
		if (stat.kind != GUEST_FILE)
			continue;
		cache_add(guest->cache, path, &stat, NULL, NULL, 0);
		tar_add_exclude(excludes, names.items[i]);
	}
	return NULL;
}

static struct err *fetch_folder(struct appliance_guest *guest, const char *dir, uint64_t max_file_bytes)
{
	CLEANUP(cleanup_archive) struct archive *archive = NULL;
	CLEANUP_MEMORY_FILE struct memory_file file = {.fd = -1};
	CLEANUP_STRV struct strv excludes = {0};

	if (max_file_bytes)
		TRY(leave_out_large(guest, dir, max_file_bytes, &excludes));
	TRY(tar_open(guest->appliance, dir, &excludes, &file, &archive));
	return cache_add_archive(guest->cache, dir, archive);
}

static struct err *fetch_path(struct appliance_guest *guest, const char *path, uint64_t max_file_bytes)
{
	CLEANUP_FREE char *resolved = NULL;
	CLEANUP_FREE char *data = NULL;
	CLEANUP_STRV struct strv names = {0};
	struct guest_stat stat;
	size_t bytes = 0;

	TRY(guest_resolve(&guest->guest, path, 0, &resolved));
	TRY(guest_lstat(&guest->guest, resolved, &stat));
	if (stat.kind == GUEST_DIRECTORY) {
		if (cache_list(guest->cache, resolved, &names) == CACHE_FOUND)
			return NULL; /* fetched before */
		return fetch_folder(guest, resolved, max_file_bytes);
	}
	if (stat.kind == GUEST_FILE && stat.size_bytes <= GUEST_READ_MAX_BYTES &&
	    (!max_file_bytes || stat.size_bytes <= max_file_bytes)) {
		TRY(guest_read(&guest->guest, resolved, &data, &bytes));
		cache_add(guest->cache, resolved, &stat, NULL, data, bytes);
	}
	return NULL;
}

struct err *appliance_guest_fetch(struct guest *guest, const char *const *paths, uint64_t max_file_bytes)
{
	for (size_t i = 0; paths[i]; i++)
		TRY(fetch_path(appliance_guest_of(guest), paths[i], max_file_bytes));
	return NULL;
}
