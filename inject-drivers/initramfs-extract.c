/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Copying files out of an initramfs into a folder of the host.
 *
 * Names come from outside: one with a ".." in it is refused, links are never
 * made, and the folder is ours alone, so nothing is written outside of it.
 */
#include "inject-drivers/initramfs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "p2v/base/mem.h"
#include "p2v/base/strv.h"

static bool climbs(const char *path)
{
	CLEANUP_STRV struct strv parts = {0};

	strv_split(&parts, path, "/");
	return strv_has(&parts, "..");
}

static struct err *make_parents(const char *path)
{
	CLEANUP_FREE char *parent = xstrdup(path);

	for (char *slash = strchr(parent + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(parent, 0755) < 0 && errno != EEXIST)
			return err_from_errno(errno, "%s", parent);
		*slash = '/';
	}
	return NULL;
}

static struct err *copy_data(struct newc_reader *reader, const char *path)
{
	CLEANUP_FCLOSE FILE *file = NULL;
	char buf[65536];
	size_t got;

	TRY(make_parents(path));
	file = fopen(path, "we");
	if (!file)
		return err_from_errno(errno, "%s", path);
	for (;;) {
		TRY(newc_read_data(reader, buf, sizeof buf, &got));
		if (!got)
			break;
		fwrite(buf, 1, got, file);
	}
	if (fflush(file) || ferror(file))
		return err_from_errno(errno, "%s", path);
	return NULL;
}

struct extraction {
	const struct initramfs *initramfs;
	char *(*wants)(void *arg, const struct initramfs_entry *entry);
	void *arg;
	const char *host_dir;
	size_t next_entry;
};

static struct err *extract_entry(struct extraction *extraction, struct newc_reader *reader)
{
	const struct initramfs_entry *entry = &extraction->initramfs->entries[extraction->next_entry++];
	CLEANUP_FREE char *name = NULL;
	CLEANUP_FREE char *path = NULL;

	if (!initramfs_entry_is_file(entry))
		return NULL;
	name = extraction->wants(extraction->arg, entry);
	if (!name)
		return NULL;
	if (climbs(name))
		return err_refused("%s: an entry is named %s", extraction->initramfs->name, entry->path);
	path = xasprintf("%s/%s", extraction->host_dir, name);
	return copy_data(reader, path);
}

static struct err *extract_segment(struct extraction *extraction, int fd,
				   const struct initramfs_segment *segment)
{
	CLEANUP_FREE struct newc_entry *entry = xmalloc(sizeof *entry);
	CLEANUP_STREAM struct stream *stream = NULL;
	struct newc_reader reader = {.name = extraction->initramfs->name};

	TRY(stream_open(fd, reader.name, segment->start, segment->end, segment->compressor, &stream));
	reader.stream = stream;
	for (;;) {
		enum newc_event event;

		TRY(newc_read_header(&reader, entry, &event));
		if (event == NEWC_END)
			return NULL;
		if (event == NEWC_ENTRY)
			TRY(extract_entry(extraction, &reader));
	}
}

struct err *initramfs_extract(const struct initramfs *initramfs,
			      char *(*wants)(void *arg, const struct initramfs_entry *entry), void *arg,
			      const char *host_dir)
{
	struct extraction extraction = {initramfs, wants, arg, host_dir, 0};
	CLEANUP_FD int fd = open(initramfs->path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_from_errno(errno, "%s", initramfs->path);
	for (size_t i = 0; i < initramfs->segment_count; i++)
		TRY(extract_segment(&extraction, fd, &initramfs->segments[i]));
	return NULL;
}
