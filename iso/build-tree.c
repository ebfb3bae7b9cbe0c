/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Left out: hard links, and what else only a system's own tree has.  libarchive
 * numbers the entries by their order, so the archive depends on nothing but
 * what is in it.
 */
#include "iso/build-tree.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "p2v/base/mem.h"
#include "p2v/base/strv.h"

/* Takes half a minute for what a medium has; what is unpacked as fast is 1 % smaller at the next one. */
#define ZSTD_LEVEL "15"

struct entry {
	char *path;
	mode_t mode; /* with its type */
	char *content; /* a file's source, a link's target, or text */
	bool is_source;
	dev_t device;
};

struct image_tree {
	struct entry *entries;
	size_t count, capacity;
};

struct image_tree *image_tree_create(void)
{
	return xcalloc(1, sizeof(struct image_tree));
}

void image_tree_destroy(struct image_tree *tree)
{
	if (!tree)
		return;
	for (size_t i = 0; i < tree->count; i++) {
		free(tree->entries[i].path);
		free(tree->entries[i].content);
	}
	free(tree->entries);
	free(tree);
}

static void add(struct image_tree *tree, const struct entry *entry)
{
	array_grow(tree->entries, tree->count, tree->capacity);
	tree->entries[tree->count] = *entry;
	tree->entries[tree->count].path = xstrdup(entry->path);
	tree->entries[tree->count++].content = xstrdup(entry->content);
}

void image_tree_add_folder(struct image_tree *tree, const char *path, mode_t mode)
{
	add(tree, &(struct entry){.path = (char *)path, .mode = S_IFDIR | mode});
}

void image_tree_add_text(struct image_tree *tree, const char *path, mode_t mode, const char *text)
{
	add(tree, &(struct entry){.path = (char *)path, .mode = S_IFREG | mode, .content = (char *)text});
}

void image_tree_add_link(struct image_tree *tree, const char *path, const char *target)
{
	add(tree, &(struct entry){.path = (char *)path, .mode = S_IFLNK | 0777, .content = (char *)target});
}

void image_tree_add_device(struct image_tree *tree, const char *path, mode_t mode, dev_t device)
{
	add(tree, &(struct entry){.path = (char *)path, .mode = S_IFCHR | mode, .device = device});
}

void image_tree_add_file(struct image_tree *tree, const char *path, mode_t mode, const char *source)
{
	add(tree, &(struct entry){.path = (char *)path,
				  .mode = S_IFREG | mode,
				  .content = (char *)source,
				  .is_source = true});
}

/* The folders above each entry, behind all that was added, so that those that were named go first. */
static void add_parents(struct image_tree *tree)
{
	size_t count = tree->count;

	for (size_t i = 0; i < count; i++) {
		CLEANUP_FREE char *path = xstrdup(tree->entries[i].path);
		char *slash;

		while ((slash = strrchr(path, '/')) && slash != path) {
			*slash = '\0';
			image_tree_add_folder(tree, path, 0755);
		}
	}
}

/* By path; what was added first is first, for a stable result of qsort(). */
static int compare_entries(const void *a, const void *b)
{
	const struct entry *const *x = a, *const *y = b;
	int order = strcmp((*x)->path, (*y)->path);

	return order ? order : *x < *y ? -1 : *x > *y;
}

static struct err *write_failed(struct archive *archive, const char *path)
{
	return err_failed("%s: %s", path, archive_error_string(archive));
}

static struct err *copy_content(struct archive *archive, const char *source, uint64_t size_bytes, int fd)
{
	char buf[65536];
	uint64_t left = size_bytes;

	while (left) {
		ssize_t got = read(fd, buf, left < sizeof buf ? (size_t)left : sizeof buf);

		if (got < 0)
			return err_from_errno(errno, "%s", source);
		if (!got)
			return err_failed("%s: became shorter while it was read", source);
		if (archive_write_data(archive, buf, got) != got)
			return write_failed(archive, source);
		left -= got;
	}
	return NULL;
}

static struct err *write_entry(struct archive *archive, const struct entry *entry, uint64_t epoch)
{
	CLEANUP(cleanup_fd) int fd = -1;
	struct archive_entry *header = archive_entry_new();
	struct err *err = NULL;
	struct stat st = {0};

	if (!header)
		return err_nomem();
	archive_entry_set_pathname(header, entry->path + 1);
	archive_entry_set_mode(header, entry->mode);
	archive_entry_set_mtime(header, epoch, 0);
	archive_entry_set_nlink(header, 1);
	archive_entry_set_rdev(header, entry->device);
	if (S_ISLNK(entry->mode))
		archive_entry_set_symlink(header, entry->content);
	if (entry->is_source) {
		fd = open(entry->content, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || fstat(fd, &st))
			err = err_from_errno(errno, "%s", entry->content);
	} else if (S_ISREG(entry->mode)) {
		st.st_size = strlen(entry->content);
	}
	archive_entry_set_size(header, st.st_size);
	if (!err && archive_write_header(archive, header) != ARCHIVE_OK)
		err = write_failed(archive, entry->path);
	archive_entry_free(header);
	if (err || !S_ISREG(entry->mode))
		return err;
	if (entry->is_source)
		return copy_content(archive, entry->content, st.st_size, fd);
	return archive_write_data(archive, entry->content, st.st_size) == st.st_size
		       ? NULL
		       : write_failed(archive, entry->path);
}

static struct err *write_entries(struct image_tree *tree, struct archive *archive, uint64_t epoch)
{
	CLEANUP_FREE const struct entry **sorted = NULL;

	add_parents(tree);
	sorted = xreallocarray(NULL, tree->count, sizeof *sorted);
	for (size_t i = 0; i < tree->count; i++)
		sorted[i] = &tree->entries[i];
	qsort(sorted, tree->count, sizeof *sorted, compare_entries);
	for (size_t i = 0; i < tree->count; i++)
		if (!i || strcmp(sorted[i]->path, sorted[i - 1]->path))
			TRY(write_entry(archive, sorted[i], epoch));
	return NULL;
}

struct err *image_tree_write(struct image_tree *tree, const char *path, uint64_t epoch)
{
	struct archive *archive = archive_write_new();
	struct err *err;

	if (!archive)
		return err_nomem();
	if (archive_write_set_format_cpio_newc(archive) != ARCHIVE_OK ||
	    archive_write_add_filter_zstd(archive) != ARCHIVE_OK ||
	    archive_write_set_filter_option(archive, "zstd", "compression-level", ZSTD_LEVEL) != ARCHIVE_OK ||
	    archive_write_set_bytes_in_last_block(archive, 1) != ARCHIVE_OK ||
	    archive_write_open_filename(archive, path) != ARCHIVE_OK)
		err = write_failed(archive, path);
	else
		err = write_entries(tree, archive, epoch);
	if (archive_write_close(archive) != ARCHIVE_OK && !err)
		err = write_failed(archive, path);
	archive_write_free(archive);
	return err;
}
