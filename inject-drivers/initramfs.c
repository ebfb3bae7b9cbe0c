/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading an initramfs.
 *
 * The file is cut into segments at the byte level, because no library looks
 * behind the first archive.  Where compressed data ends is, for most formats,
 * known only after unpacking it, so cutting and listing are one pass.
 *
 * Left out: something other than zeros behind xz data, which its reader cannot
 * tell from damage, and behind LZ4 data, which the kernel cannot either.
 */
#include "inject-drivers/initramfs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "p2v/base/mem.h"
#include "p2v/base/strv.h"

#define KEEP_MAX_BYTES (16u << 20) /* the largest list of a kernel's modules has about 2 MiB */

/* What is held in memory: what may have to be read or changed. */
static bool is_kept(const char *path, const struct newc_entry *entry)
{
	static const char *const folders[] = {
		"conf/", "cryptroot/", "etc/", "lib/modprobe.d/", "lib/systemd/network/", "lib/udev/rules.d/",
	};
	const char *base = strrchr(path, '/');

	if (!S_ISREG(entry->fields[NEWC_MODE]) || entry->fields[NEWC_FILE_BYTES] > KEEP_MAX_BYTES)
		return false;
	if (str_starts_with(path, "usr/"))
		path += strlen("usr/");
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		if (str_starts_with(path, folders[i]))
			return true;
	}
	return str_starts_with(path, "lib/modules/") && str_starts_with(base, "/modules.");
}

static const char *clean_path(const char *name)
{
	for (;;) {
		if (name[0] == '/')
			name++;
		else if (name[0] == '.' && name[1] == '/')
			name += 2;
		else
			return name;
	}
}

static struct err *read_kept_data(struct newc_reader *reader, struct initramfs_entry *entry)
{
	size_t bytes = (size_t)reader->left_bytes;
	size_t got;

	entry->data = calloc(1, bytes + 1);
	if (!entry->data)
		return err_nomem();
	return newc_read_data(reader, entry->data, bytes, &got);
}

static struct err *add_entry(struct initramfs *initramfs, struct newc_reader *reader,
			     const struct newc_entry *newc, unsigned archive)
{
	const char *path = clean_path(newc->name);
	struct initramfs_entry *entry;

	array_grow(initramfs->entries, initramfs->entry_count, initramfs->entry_capacity);
	entry = &initramfs->entries[initramfs->entry_count++];
	*entry = (struct initramfs_entry){
		.path = xstrdup(path),
		.segment = (unsigned)initramfs->segment_count,
		.archive = archive,
	};
	memcpy(entry->fields, newc->fields, sizeof entry->fields);
	return is_kept(path, newc) ? read_kept_data(reader, entry) : NULL;
}

/* Lists one segment from its start on, up to segment->end at most. */
static struct err *list_segment(struct initramfs *initramfs, int fd, struct initramfs_segment *segment,
				uint64_t *ret_consumed_bytes)
{
	CLEANUP_FREE struct newc_entry *entry = xmalloc(sizeof *entry);
	CLEANUP_STREAM struct stream *stream = NULL;
	struct newc_reader reader = {.name = initramfs->name};
	enum newc_event event = NEWC_ENTRY;

	TRY(stream_open(fd, initramfs->name, segment->start, segment->end, segment->compressor, &stream));
	reader.stream = stream;
	/* Uncompressed archives are segments of their own: their ends are known. */
	while (event != NEWC_END && (segment->compressor || event != NEWC_TRAILER)) {
		TRY(newc_read_header(&reader, entry, &event));
		if (event == NEWC_ENTRY)
			TRY(add_entry(initramfs, &reader, entry, segment->archive_count));
		if (event == NEWC_TRAILER)
			segment->archive_count++;
	}
	if (!segment->archive_count)
		return err_refused("%s: the %s data hold no archive", initramfs->name,
				   segment->compressor->name);
	TRY(newc_skip_data(&reader));
	*ret_consumed_bytes = segment->compressor ? stream_consumed_bytes(stream) : reader.position;
	return NULL;
}

static struct err *add_segment(struct initramfs *initramfs, int fd, struct initramfs_segment *segment)
{
	const struct compressor *compressor = segment->compressor;
	uint64_t consumed = 0;

	if (compressor && compressor->find_end)
		segment->end = compressor->find_end(fd, segment->start, segment->end);
	TRY(list_segment(initramfs, fd, segment, &consumed));
	segment->end = segment->start + consumed;
	array_grow(initramfs->segments, initramfs->segment_count, initramfs->segment_capacity);
	initramfs->segments[initramfs->segment_count++] = *segment;
	return NULL;
}

/* The first byte from *offset on that is not zero, or the end of the file. */
static struct err *skip_zeros(int fd, const char *path, uint64_t *offset, uint64_t end)
{
	unsigned char buf[16384];

	while (*offset < end) {
		ssize_t n = pread(fd, buf, sizeof buf, (off_t)*offset);

		if (n < 0)
			return err_from_errno(errno, "%s", path);
		if (n == 0)
			return err_failed("%s: became shorter while it was read", path);
		for (ssize_t i = 0; i < n; i++) {
			if (buf[i]) {
				*offset += (uint64_t)i;
				return NULL;
			}
		}
		*offset += (uint64_t)n;
	}
	return NULL;
}

static bool follows_lz4(const struct initramfs *initramfs)
{
	const struct initramfs_segment *last;

	if (!initramfs->segment_count)
		return false;
	last = &initramfs->segments[initramfs->segment_count - 1];
	return last->compressor && strcmp(last->compressor->name, "lz4") == 0;
}

static struct err *identify(struct initramfs *initramfs, int fd, struct initramfs_segment *segment)
{
	char head[NEWC_MAGIC_BYTES] = {0};
	ssize_t n = pread(fd, head, sizeof head, (off_t)segment->start);

	_Static_assert(NEWC_MAGIC_BYTES >= COMPRESSOR_MAGIC_BYTES, "one read serves both");
	if (n < 0)
		return err_from_errno(errno, "%s", initramfs->path);
	if (follows_lz4(initramfs))
		return err_refused("%s: something follows its LZ4 data at byte %llu, which no kernel reads",
				   initramfs->name, (unsigned long long)segment->start);
	if (memcmp(head, newc_magic, sizeof head) == 0 || memcmp(head, newc_magic_crc, sizeof head) == 0) {
		if (segment->start % 4 == 0)
			return NULL;
		return err_refused("%s: an uncompressed archive begins at byte %llu, not at a multiple of 4",
				   initramfs->name, (unsigned long long)segment->start);
	}
	segment->compressor = compressor_find(head, (size_t)n);
	if (segment->compressor)
		return NULL;
	return err_refused(
		"%s: what begins at byte %llu is neither a cpio archive nor compressed in a known way",
		initramfs->name, (unsigned long long)segment->start);
}

static struct err *read_segments(struct initramfs *initramfs, int fd)
{
	uint64_t offset = 0;

	for (;;) {
		struct initramfs_segment segment = {0};

		TRY(skip_zeros(fd, initramfs->path, &offset, initramfs->size_bytes));
		if (offset >= initramfs->size_bytes)
			break;
		segment.start = offset;
		segment.end = initramfs->size_bytes;
		TRY(identify(initramfs, fd, &segment));
		TRY(add_segment(initramfs, fd, &segment));
		offset = segment.end;
	}
	if (initramfs->entry_count == 0)
		return err_refused("%s: holds no files", initramfs->name);
	return NULL;
}

struct err *initramfs_read(const char *path, const char *name, struct initramfs *ret_initramfs)
{
	CLEANUP_INITRAMFS struct initramfs initramfs = {.path = xstrdup(path), .name = xstrdup(name)};
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_from_errno(errno, "%s", path);
	initramfs.size_bytes = (uint64_t)st.st_size;
	TRY(read_segments(&initramfs, fd));
	*ret_initramfs = initramfs;
	initramfs = (struct initramfs){0};
	return NULL;
}

void initramfs_deinit(struct initramfs *initramfs)
{
	for (size_t i = 0; i < initramfs->entry_count; i++) {
		free(initramfs->entries[i].path);
		free(initramfs->entries[i].data);
	}
	free(initramfs->entries);
	free(initramfs->segments);
	free(initramfs->path);
	free(initramfs->name);
	*initramfs = (struct initramfs){0};
}

const struct initramfs_entry *initramfs_find(const struct initramfs *initramfs, const char *path)
{
	for (size_t i = initramfs->entry_count; i-- > 0;) {
		if (strcmp(initramfs->entries[i].path, path) == 0)
			return &initramfs->entries[i];
	}
	return NULL;
}

bool initramfs_entry_is_file(const struct initramfs_entry *entry)
{
	return S_ISREG(entry->fields[NEWC_MODE]);
}

char *initramfs_modules_dir(const struct initramfs *initramfs, const char *version)
{
	static const char *const parents[] = {"usr/lib/modules", "lib/modules"};
	const struct initramfs_entry *lib;

	for (size_t i = initramfs->entry_count; i-- > 0;) {
		for (size_t k = 0; k < sizeof parents / sizeof *parents; k++) {
			CLEANUP_FREE char *dir = xasprintf("%s/%s/", parents[k], version);

			if (str_starts_with(initramfs->entries[i].path, dir))
				return xstrndup(dir, strlen(dir) - 1);
		}
	}
	lib = initramfs_find(initramfs, "lib");
	return xasprintf("%s/%s", parents[lib && S_ISLNK(lib->fields[NEWC_MODE]) ? 0 : 1], version);
}
