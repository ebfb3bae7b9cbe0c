/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Many files out of a guest in three calls: their folders are listed, what else
 * is in them becomes the list of what to leave out, and the rest comes as one
 * tar archive.  What does not come that way (second names of a file, symbolic
 * links, names with newlines) is fetched file by file.
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

/* Below this, single files are faster than an archive and the list it needs. */
#define FEW_FILES 4

/* Up to this, reading costs less than the process that a download needs. */
#define SMALL_FILE_BYTES (4u << 20)

struct wanted_file {
	const char *path; /* as it was asked for: also the name below the host's folder */
	bool is_done;
};

static int compare_wanted(const void *a, const void *b)
{
	return strcmp(((const struct wanted_file *)a)->path, ((const struct wanted_file *)b)->path);
}

static struct err *open_host_file(const char *host_dir, const char *path, int *ret_fd)
{
	CLEANUP_FREE char *host_file = xasprintf("%s%s", host_dir, path);

	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		CLEANUP_FREE char *dir = xasprintf("%s%.*s", host_dir, (int)(slash - path), path);

		if (mkdir(dir, 0755) && errno != EEXIST)
			return err_from_errno(errno, "%s", dir);
	}
	*ret_fd = open(host_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	return *ret_fd < 0 ? err_from_errno(errno, "%s", host_file) : NULL;
}

static struct err *write_all(int fd, const char *data, size_t bytes, const char *name)
{
	while (bytes > 0) {
		ssize_t n = write(fd, data, bytes);

		if (n < 0 && errno != EINTR)
			return err_from_errno(errno, "%s", name);
		if (n > 0) {
			data += n;
			bytes -= (size_t)n;
		}
	}
	return NULL;
}

static struct err *copy_one(struct guest *guest, const char *path, const char *host_dir)
{
	struct appliance *appliance = appliance_guest_of(guest)->appliance;
	CLEANUP_FREE char *host_file = xasprintf("%s%s", host_dir, path);
	CLEANUP_FREE char *data = NULL;
	CLEANUP_FD int fd = -1;
	struct guest_stat stat;
	size_t bytes;

	TRY(guest_stat(guest, path, &stat));
	if (stat.kind == GUEST_MISSING)
		return err_from_errno(ENOENT, "%s", path);
	if (stat.kind != GUEST_FILE)
		return err_failed("%s: not a regular file", path);
	TRY(open_host_file(host_dir, path, &fd));
	if (stat.size_bytes > SMALL_FILE_BYTES)
		return guestfs_download(appliance->g, path, host_file)
			       ? appliance_error(appliance, "%s", path)
			       : NULL;
	TRY(guest_read(guest, path, &data, &bytes));
	return data ? write_all(fd, data, bytes, host_file) : err_from_errno(ENOENT, "%s", path);
}

/* The deepest folder that holds all of the files. */
static char *common_folder(const struct wanted_file *files, size_t count)
{
	/* They are sorted: what the first and the last share, all share. */
	const char *a = files[0].path;
	const char *b = files[count - 1].path;
	size_t slash = 0;

	for (size_t i = 0; a[i] && a[i] == b[i]; i++) {
		if (a[i] == '/')
			slash = i;
	}
	return xstrndup(a, slash);
}

/* Index of the first file that is not before path. */
static size_t find_place(const struct wanted_file *files, size_t count, const char *path)
{
	size_t low = 0;
	size_t high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(files[middle].path, path) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* True if path is one of the files, or a folder on the way to one. */
static bool leads_to_wanted(const struct wanted_file *files, size_t count, const char *path)
{
	size_t bytes = strlen(path);

	/* What begins with path is behind it, but "a.x" comes before "a/x". */
	for (size_t i = find_place(files, count, path); i < count && strncmp(files[i].path, path, bytes) == 0;
	     i++) {
		if (!files[i].path[bytes] || files[i].path[bytes] == '/')
			return true;
	}
	return false;
}

/* Lists the folders on the way from root to the files, one name a line: "./a/b". */
static struct err *list_folders(struct appliance *appliance, const char *resolved_root, const char *root,
				const struct wanted_file *files, size_t count, char **ret_output)
{
	CLEANUP_FREE char *folder = xasprintf("/sysroot%s", resolved_root);
	CLEANUP_TEXT struct text script = {0};
	CLEANUP_STRV struct strv seen = {0};

	text_addf(&script, "cd ");
	appliance_quote(&script, folder);
	text_addf(&script, " && find .");
	for (size_t i = 0; i < count; i++) {
		const char *relative = files[i].path + strlen(root) + 1;

		for (const char *slash = strchr(relative, '/'); slash; slash = strchr(slash + 1, '/')) {
			CLEANUP_FREE char *dir = xasprintf("./%.*s", (int)(slash - relative), relative);

			if (strv_has(&seen, dir))
				continue;
			strv_add(&seen, dir);
			text_add(&script, " ", 1);
			appliance_quote(&script, dir);
		}
	}
	/* A folder that is not there is told when its file is fetched. */
	text_addf(&script, " -mindepth 1 -maxdepth 1 -printf '%%H/%%f\\n' 2>/dev/null || :");
	return appliance_shell(appliance, script.data, ret_output);
}

static struct err *write_entries(struct archive *archive, const char *root, struct wanted_file *files,
				 size_t count, const char *host_dir)
{
	struct archive_entry *entry;
	int status;

	while ((status = archive_read_next_header(archive, &entry)) == ARCHIVE_OK || status == ARCHIVE_WARN) {
		const char *name = archive_entry_pathname(entry);
		CLEANUP_FREE char *path = NULL;
		CLEANUP_FD int fd = -1;
		size_t i;

		if (!name || archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry))
			continue;
		path = xasprintf("%s/%s", root, str_starts_with(name, "./") ? name + 2 : name);
		i = find_place(files, count, path);
		if (i == count || strcmp(files[i].path, path) != 0)
			continue;
		TRY(open_host_file(host_dir, path, &fd));
		if (archive_read_data_into_fd(archive, fd) != ARCHIVE_OK)
			return err_failed("%s: %s", path, archive_error_string(archive));
		for (; i < count && strcmp(files[i].path, path) == 0; i++)
			files[i].is_done = true;
	}
	return status == ARCHIVE_EOF ? NULL : err_failed("%s: %s", root, archive_error_string(archive));
}

static struct err *copy_as_archive(struct guest *guest, struct wanted_file *files, size_t count,
				   const char *host_dir)
{
	struct appliance *appliance = appliance_guest_of(guest)->appliance;
	CLEANUP(cleanup_archive) struct archive *archive = NULL;
	CLEANUP_MEMORY_FILE struct memory_file file = {.fd = -1};
	CLEANUP_FREE char *root = common_folder(files, count);
	CLEANUP_FREE char *resolved_root = NULL;
	CLEANUP_FREE char *output = NULL;
	CLEANUP_STRV struct strv names = {0};
	CLEANUP_STRV struct strv excludes = {0};
	struct guest_stat stat;

	TRY(guest_resolve(guest, root, 0, &resolved_root));
	TRY(guest_lstat(guest, resolved_root, &stat));
	if (stat.kind != GUEST_DIRECTORY)
		return NULL;
	TRY(list_folders(appliance, resolved_root, root, files, count, &output));
	strv_split(&names, output, "\n");
	for (size_t i = 0; i < names.count; i++) {
		CLEANUP_FREE char *path = xasprintf("%s%s", root, names.items[i] + 1);

		if (!leads_to_wanted(files, count, path))
			tar_add_exclude(&excludes, names.items[i] + 2);
	}
	TRY(tar_open(appliance, resolved_root, &excludes, &file, &archive));
	return write_entries(archive, root, files, count, host_dir);
}

/* Files below one folder of the root are one archive. */
static bool share_top_folder(const struct wanted_file *a, const struct wanted_file *b)
{
	const char *slash = strchr(a->path + 1, '/');

	return slash && strncmp(a->path, b->path, (size_t)(slash - a->path) + 1) == 0;
}

struct err *appliance_guest_copy_out(struct guest *guest, const struct strv *paths, const char *host_dir)
{
	CLEANUP_FREE struct wanted_file *files = xcalloc(paths->count, sizeof *files);

	for (size_t i = 0; i < paths->count; i++)
		files[i].path = paths->items[i];
	qsort(files, paths->count, sizeof *files, compare_wanted);
	for (size_t start = 0, end; start < paths->count; start = end) {
		for (end = start + 1; end < paths->count && share_top_folder(&files[start], &files[end]);)
			end++;
		if (end - start >= FEW_FILES)
			TRY(copy_as_archive(guest, files + start, end - start, host_dir));
	}
	for (size_t i = 0; i < paths->count; i++) {
		if (!files[i].is_done)
			TRY(copy_one(guest, files[i].path, host_dir));
	}
	return NULL;
}
