/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Many files in few calls, as a tar archive.  guestfs_tar_out() takes a folder
 * and what to leave out of it; so a list of files becomes the list of their
 * neighbours.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "p2v/base/mem.h"
#include "p2v/guest/appliance-guest.h"
#include "p2v/guest/path.h"

/* Below this, single downloads are faster than one archive and the lists it needs. */
#define FEW_FILES 4

static void archive_free_ptr(struct archive **archive)
{
	if (*archive)
		archive_read_free(*archive);
}

/* tar takes every line of an exclude file for a pattern (GNU tar manual, "exclude-from"). */
static void add_exclude(struct strv *excludes, const char *relative_path)
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

/* The archive of dir in memory, opened for reading. */
static struct err *open_tar(struct appliance *appliance, const char *dir, const struct strv *excludes,
			    struct memory_file *file, struct archive **ret_archive)
{
	static char *const none[] = {NULL};
	const struct guestfs_tar_out_opts_argv optargs = {
		.bitmask = GUESTFS_TAR_OUT_OPTS_NUMERICOWNER_BITMASK | GUESTFS_TAR_OUT_OPTS_EXCLUDES_BITMASK,
		.numericowner = 1,
		.excludes = excludes->count ? excludes->items : none,
	};
	CLEANUP(archive_free_ptr) struct archive *archive = archive_read_new();

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
	CLEANUP_FREE char *quoted = NULL;
	CLEANUP_FREE char *script = NULL;
	CLEANUP_FREE char *output = NULL;
	CLEANUP_STRV struct strv names = {0};

	/* A quote in a path: rare enough to do without the limit. */
	if (strchr(dir, '\''))
		return NULL;
	script = xasprintf("cd '/sysroot%s' && find . -type f -size +%lluc -printf '%%P\\n'", dir,
			   (unsigned long long)max_file_bytes);
	TRY(appliance_shell(guest->appliance, script, &output));
	strv_split(&names, output, "\n");
	for (size_t i = 0; i < names.count; i++) {
		CLEANUP_FREE char *path = path_join(dir, names.items[i]);
		struct guest_stat stat;

		TRY(guest_lstat(&guest->guest, path, &stat));
		if (stat.kind != GUEST_FILE)
			continue;
		cache_add(guest->cache, path, &stat, NULL, NULL, 0);
		add_exclude(excludes, names.items[i]);
	}
	return NULL;
}

static struct err *fetch_folder(struct appliance_guest *guest, const char *dir, uint64_t max_file_bytes)
{
	CLEANUP(archive_free_ptr) struct archive *archive = NULL;
	CLEANUP_MEMORY_FILE struct memory_file file = {.fd = -1};
	CLEANUP_STRV struct strv excludes = {0};

	if (max_file_bytes)
		TRY(leave_out_large(guest, dir, max_file_bytes, &excludes));
	TRY(open_tar(guest->appliance, dir, &excludes, &file, &archive));
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

/*
 * Copying out.
 */

struct wanted_file {
	const char *path; /* as it was asked for: also the name below the host's folder */
	char *resolved;
};

struct wanted {
	struct wanted_file *items;
	size_t count;
};

static void wanted_deinit(struct wanted *wanted)
{
	for (size_t i = 0; i < wanted->count; i++)
		free(wanted->items[i].resolved);
	free(wanted->items);
}

static int compare_wanted(const void *a, const void *b)
{
	return strcmp(((const struct wanted_file *)a)->resolved, ((const struct wanted_file *)b)->resolved);
}

static struct err *make_host_parents(const char *host_dir, const char *path)
{
	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		CLEANUP_FREE char *dir = xasprintf("%s%.*s", host_dir, (int)(slash - path), path);

		if (mkdir(dir, 0755) && errno != EEXIST)
			return err_from_errno(errno, "%s", dir);
	}
	return NULL;
}

static struct err *download_each(struct appliance *appliance, const struct wanted_file *files, size_t count,
				 const char *host_dir)
{
	for (size_t i = 0; i < count; i++) {
		CLEANUP_FREE char *host_file = xasprintf("%s%s", host_dir, files[i].path);

		TRY(make_host_parents(host_dir, files[i].path));
		if (guestfs_download(appliance->g, files[i].resolved, host_file))
			return appliance_error(appliance, "%s", files[i].path);
	}
	return NULL;
}

/* The deepest folder that holds all of the files. */
static char *common_folder(const struct wanted_file *files, size_t count)
{
	/* They are sorted: what the first and the last share, all share. */
	const char *a = files[0].resolved;
	const char *b = files[count - 1].resolved;
	size_t slash = 0;

	for (size_t i = 0; a[i] && a[i] == b[i]; i++) {
		if (a[i] == '/')
			slash = i;
	}
	return xstrndup(a, slash);
}

enum relation { UNRELATED, IS_WANTED, LEADS_TO_WANTED };

static enum relation relation_of(const struct wanted_file *files, size_t count, const char *path)
{
	size_t bytes = strlen(path);
	size_t low = 0;
	size_t high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(files[middle].resolved, path) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	/* What begins with path is behind it, but "a.x" comes before "a/x". */
	for (; low < count && strncmp(files[low].resolved, path, bytes) == 0; low++) {
		if (!files[low].resolved[bytes])
			return IS_WANTED;
		if (files[low].resolved[bytes] == '/')
			return LEADS_TO_WANTED;
	}
	return UNRELATED;
}

/* Excludes what is in the folders on the way but does not lead to a wanted file. */
static struct err *exclude_others(struct guest *guest, const struct wanted_file *files, size_t count,
				  const char *root, const char *dir, struct strv *excludes)
{
	CLEANUP_STRV struct strv names = {0};

	TRY(guest_list(guest, dir, &names));
	for (size_t i = 0; i < names.count; i++) {
		CLEANUP_FREE char *path = path_join(dir, names.items[i]);

		switch (relation_of(files, count, path)) {
		case UNRELATED:
			add_exclude(excludes, path + strlen(root) + 1);
			break;
		case LEADS_TO_WANTED:
			TRY(exclude_others(guest, files, count, root, path, excludes));
			break;
		case IS_WANTED:
			break;
		}
	}
	return NULL;
}

static struct err *write_entry(struct archive *archive, const char *host_dir, const char *path)
{
	CLEANUP_FREE char *host_file = xasprintf("%s%s", host_dir, path);
	CLEANUP_FD int fd = -1;

	TRY(make_host_parents(host_dir, path));
	fd = open(host_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_from_errno(errno, "%s", host_file);
	if (archive_read_data_into_fd(archive, fd) != ARCHIVE_OK)
		return err_failed("%s: %s", host_file, archive_error_string(archive));
	return NULL;
}

static struct err *copy_file(const char *from, const char *to)
{
	CLEANUP_FD int in = open(from, O_RDONLY | O_CLOEXEC);
	CLEANUP_FD int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ssize_t n;

	if (in < 0 || out < 0)
		return err_from_errno(errno, "%s", to);
	while ((n = copy_file_range(in, NULL, out, NULL, 1 << 30, 0)) > 0)
		continue;
	return n < 0 ? err_from_errno(errno, "%s", to) : NULL;
}

/* Writes an entry under every name that was asked for; *ret_written counts files. */
static struct err *write_wanted(struct archive *archive, const struct wanted_file *files, size_t count,
				const char *resolved, const char *host_dir, size_t *ret_written)
{
	const char *first = NULL;

	for (size_t i = 0; i < count; i++) {
		if (strcmp(files[i].resolved, resolved) != 0)
			continue;
		if (first) {
			CLEANUP_FREE char *from = xasprintf("%s%s", host_dir, first);
			CLEANUP_FREE char *to = xasprintf("%s%s", host_dir, files[i].path);

			TRY(make_host_parents(host_dir, files[i].path));
			TRY(copy_file(from, to));
		} else {
			first = files[i].path;
			TRY(write_entry(archive, host_dir, first));
		}
		++*ret_written;
	}
	return NULL;
}

static struct err *tar_group(struct guest *guest, const struct wanted_file *files, size_t count,
			     const char *host_dir)
{
	CLEANUP(archive_free_ptr) struct archive *archive = NULL;
	CLEANUP_MEMORY_FILE struct memory_file file = {.fd = -1};
	CLEANUP_FREE char *root = common_folder(files, count);
	CLEANUP_STRV struct strv excludes = {0};
	struct archive_entry *entry;
	size_t written = 0;

	TRY(exclude_others(guest, files, count, root, root, &excludes));
	TRY(open_tar(appliance_guest_of(guest)->appliance, root, &excludes, &file, &archive));
	while (archive_read_next_header(archive, &entry) == ARCHIVE_OK) {
		const char *name = archive_entry_pathname(entry);
		CLEANUP_FREE char *resolved =
			xasprintf("%s/%s", root, str_starts_with(name, "./") ? name + 2 : name);

		if (archive_entry_filetype(entry) == AE_IFREG && !archive_entry_hardlink(entry))
			TRY(write_wanted(archive, files, count, resolved, host_dir, &written));
	}
	/* Something is missing, which this tells; or it is the second name of a file, which came as a link.
	 */
	return written == count ? NULL
				: download_each(appliance_guest_of(guest)->appliance, files, count, host_dir);
}

static struct err *resolve_wanted(struct guest *guest, const struct strv *paths, struct wanted *wanted)
{
	wanted->items = xcalloc(paths->count, sizeof *wanted->items);
	for (size_t i = 0; i < paths->count; i++) {
		struct wanted_file *file = &wanted->items[wanted->count++];

		file->path = paths->items[i];
		TRY(guest_resolve(guest, file->path, 0, &file->resolved));
	}
	qsort(wanted->items, wanted->count, sizeof *wanted->items, compare_wanted);
	return NULL;
}

/* Files below one folder of the root are one archive. */
static bool share_top_folder(const struct wanted_file *a, const struct wanted_file *b)
{
	size_t bytes = strcspn(a->resolved + 1, "/") + 2;

	return strncmp(a->resolved, b->resolved, bytes) == 0;
}

struct err *appliance_guest_copy_out(struct guest *guest, const struct strv *paths, const char *host_dir)
{
	CLEANUP(wanted_deinit) struct wanted wanted = {0};

	TRY(resolve_wanted(guest, paths, &wanted));
	for (size_t start = 0, end; start < wanted.count; start = end) {
		const struct wanted_file *group = &wanted.items[start];

		for (end = start + 1; end < wanted.count && share_top_folder(group, &wanted.items[end]);)
			end++;
		if (end - start < FEW_FILES)
			TRY(download_each(appliance_guest_of(guest)->appliance, group, end - start,
					  host_dir));
		else
			TRY(tar_group(guest, group, end - start, host_dir));
	}
	return NULL;
}
