/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Writing an initramfs anew.
 *
 * The last segment is what boots; it is unpacked entry by entry, copied with
 * its headers as they are, and packed again by the program that packed it.
 * First every entry's fate is settled, so that what cannot be done is refused
 * before anything is written.
 */
#include "inject-drivers/rewrite.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "p2v/base/mem.h"
#include "p2v/base/strv.h"

#define END_ALIGN_BYTES 512 /* what cpio fills an archive up to */

struct rewrite {
	const struct initramfs *initramfs;
	const struct initramfs_changes *changes;
	const struct initramfs_segment *segment; /* the last one */
	size_t first_entry; /* of that segment */
	struct initramfs_fates fates;
	struct strv folders; /* that were added */
	struct newc_writer writer;
	uint32_t next_ino;
	uint32_t mtime;
	bool is_crc;
};

static uint32_t sum_bytes(uint32_t sum, const void *data, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		sum += ((const unsigned char *)data)[i];
	return sum;
}

static void write_memory(struct rewrite *rewrite, const char *name, uint32_t fields[NEWC_FIELDS],
			 const void *data, size_t bytes)
{
	fields[NEWC_FILE_BYTES] = (uint32_t)bytes;
	fields[NEWC_CHECK] = rewrite->is_crc ? sum_bytes(0, data, bytes) : 0;
	newc_write_header(&rewrite->writer, name, fields, rewrite->is_crc);
	newc_write_data(&rewrite->writer, data, bytes);
	newc_write_padding(&rewrite->writer, 4);
}

/* Sum of the whole file, for archives that want it. */
static uint32_t sum_file(FILE *file)
{
	char buf[65536];
	uint32_t sum = 0;
	size_t n;

	while ((n = fread(buf, 1, sizeof buf, file)) > 0)
		sum = sum_bytes(sum, buf, n);
	rewind(file);
	return sum;
}

static struct err *write_host_file(struct rewrite *rewrite, const char *name, uint32_t fields[NEWC_FIELDS],
				   const char *path)
{
	CLEANUP_FCLOSE FILE *file = fopen(path, "re");
	char buf[65536];
	struct stat st;
	uint64_t left;

	if (!file || fstat(fileno(file), &st) < 0)
		return err_from_errno(errno, "%s", path);
	if (st.st_size > UINT32_MAX)
		return err_refused("%s: too large for an initramfs", path);
	fields[NEWC_FILE_BYTES] = (uint32_t)st.st_size;
	fields[NEWC_CHECK] = rewrite->is_crc ? sum_file(file) : 0;
	newc_write_header(&rewrite->writer, name, fields, rewrite->is_crc);
	for (left = (uint64_t)st.st_size; left;) {
		size_t n = fread(buf, 1, left < sizeof buf ? (size_t)left : sizeof buf, file);

		if (!n)
			return err_failed("%s: became shorter while it was read", path);
		newc_write_data(&rewrite->writer, buf, n);
		left -= n;
	}
	newc_write_padding(&rewrite->writer, 4);
	return NULL;
}

/* A change's file, with the attributes in fields. */
static struct err *write_change(struct rewrite *rewrite, const char *name,
				const struct initramfs_change *change, uint32_t fields[NEWC_FIELDS])
{
	fields[NEWC_INO] = rewrite->next_ino++;
	fields[NEWC_NLINK] = 1;
	if (change->host_file)
		return write_host_file(rewrite, name, fields, change->host_file);
	if (change->bytes > UINT32_MAX)
		return err_refused("%s: too large for an initramfs", change->path);
	write_memory(rewrite, name, fields, change->data, change->bytes);
	return NULL;
}

static struct err *copy_entry(struct rewrite *rewrite, struct newc_reader *reader, struct newc_entry *entry)
{
	char buf[65536];
	size_t got;

	newc_write_same_header(&rewrite->writer, entry);
	for (;;) {
		TRY(newc_read_data(reader, buf, sizeof buf, &got));
		if (!got)
			break;
		newc_write_data(&rewrite->writer, buf, got);
	}
	newc_write_padding(&rewrite->writer, 4);
	return NULL;
}

static struct err *write_entry(struct rewrite *rewrite, struct newc_reader *reader, struct newc_entry *entry,
			       size_t index)
{
	const struct entry_fate *fate = &rewrite->fates.entries[index];
	const struct initramfs_entry *carried;

	rewrite->is_crc = entry->is_crc;
	switch (fate->fate) {
	case FATE_KEEP:
		return copy_entry(rewrite, reader, entry);
	case FATE_REPLACE:
		return write_change(rewrite, entry->name, &rewrite->changes->items[fate->other],
				    entry->fields);
	case FATE_CARRY:
		carried = &rewrite->initramfs->entries[fate->other];
		write_memory(rewrite, entry->name, entry->fields, carried->data,
			     carried->fields[NEWC_FILE_BYTES]);
		return NULL;
	case FATE_DROP:
		break;
	}
	return NULL;
}

static bool has_folder(const struct rewrite *rewrite, const char *path)
{
	for (size_t i = rewrite->first_entry; i < rewrite->initramfs->entry_count; i++) {
		if (strcmp(rewrite->initramfs->entries[i].path, path) == 0)
			return true;
	}
	return strv_has(&rewrite->folders, path);
}

static void write_missing_folders(struct rewrite *rewrite, const char *path)
{
	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		CLEANUP_FREE char *folder = xstrndup(path, (size_t)(slash - path));
		uint32_t fields[NEWC_FIELDS] = {0};

		if (has_folder(rewrite, folder))
			continue;
		strv_add(&rewrite->folders, folder);
		fields[NEWC_INO] = rewrite->next_ino++;
		fields[NEWC_MODE] = S_IFDIR | 0755;
		fields[NEWC_NLINK] = 2;
		fields[NEWC_MTIME] = rewrite->mtime;
		newc_write_header(&rewrite->writer, folder, fields, rewrite->is_crc);
	}
}

static struct err *write_additions(struct rewrite *rewrite)
{
	for (size_t i = 0; i < rewrite->changes->count; i++) {
		const struct initramfs_change *change = &rewrite->changes->items[i];
		uint32_t fields[NEWC_FIELDS] = {0};

		if (rewrite->fates.is_made[i] || change->is_removal)
			continue;
		write_missing_folders(rewrite, change->path);
		fields[NEWC_MODE] = S_IFREG | 0644;
		fields[NEWC_MTIME] = rewrite->mtime;
		TRY(write_change(rewrite, change->path, change, fields));
	}
	return NULL;
}

/* Copies the segment, with the additions before the end of its last archive. */
static struct err *write_archives(struct rewrite *rewrite, struct newc_reader *reader)
{
	CLEANUP_FREE struct newc_entry *entry = xmalloc(sizeof *entry);
	size_t index = rewrite->first_entry;
	unsigned archive = 0;

	for (;;) {
		enum newc_event event;

		TRY(newc_read_header(reader, entry, &event));
		if (event == NEWC_END)
			return NULL;
		if (event == NEWC_ENTRY && index == rewrite->initramfs->entry_count)
			return err_failed("%s: changed while it was read", reader->name);
		if (event == NEWC_ENTRY) {
			TRY(write_entry(rewrite, reader, entry, index++));
			continue;
		}
		if (++archive == rewrite->segment->archive_count)
			TRY(write_additions(rewrite));
		newc_write_same_header(&rewrite->writer, entry);
		newc_write_padding(&rewrite->writer, END_ALIGN_BYTES);
	}
}

static struct err *write_unpacked(struct rewrite *rewrite, int fd, const char *path)
{
	const struct initramfs_segment *segment = rewrite->segment;
	CLEANUP_FCLOSE FILE *file = fopen(path, "wxe");
	CLEANUP_STREAM struct stream *stream = NULL;
	struct newc_reader reader = {.name = rewrite->initramfs->name};

	if (!file)
		return err_from_errno(errno, "%s", path);
	rewrite->writer.file = file;
	TRY(stream_open(fd, reader.name, segment->start, segment->end, segment->compressor, &stream));
	reader.stream = stream;
	TRY(write_archives(rewrite, &reader));
	if (fflush(file) || ferror(file))
		return err_from_errno(errno, "%s", path);
	return NULL;
}

/* Appends the first `bytes` of one file to another. */
static struct err *append_file(int out, const char *out_path, int in, const char *in_path, uint64_t bytes)
{
	CLEANUP_FREE char *buf = xmalloc(1u << 20);
	uint64_t at = 0;

	while (at < bytes) {
		size_t want = bytes - at < 1u << 20 ? (size_t)(bytes - at) : 1u << 20;
		ssize_t n = pread(in, buf, want, (off_t)at);

		if (n < 0)
			return err_from_errno(errno, "%s", in_path);
		if (n == 0)
			return err_failed("%s: became shorter while it was read", in_path);
		for (ssize_t done = 0; done < n;) {
			ssize_t written = write(out, buf + done, (size_t)(n - done));

			if (written < 0)
				return err_from_errno(errno, "%s", out_path);
			done += written;
		}
		at += (uint64_t)n;
	}
	return NULL;
}

static struct err *assemble(const struct rewrite *rewrite, int old, const char *packed, const char *ret_file)
{
	CLEANUP_FD int in = open(packed, O_RDONLY | O_CLOEXEC);
	CLEANUP_FD int out = -1;
	struct stat st;

	if (in < 0 || fstat(in, &st) < 0)
		return err_from_errno(errno, "%s", packed);
	out = open(ret_file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (out < 0)
		return err_from_errno(errno, "%s", ret_file);
	TRY(append_file(out, ret_file, old, rewrite->initramfs->path, rewrite->segment->start));
	return append_file(out, ret_file, in, packed, (uint64_t)st.st_size);
}

static struct err *rewrite_file(struct rewrite *rewrite, const char *work_dir, const struct log *log,
				const char *ret_file)
{
	CLEANUP_FREE char *unpacked = xasprintf("%s/unpacked", work_dir);
	CLEANUP_FREE char *packed = NULL;
	CLEANUP_FD int fd = open(rewrite->initramfs->path, O_RDONLY | O_CLOEXEC);
	struct err *err;

	if (fd < 0)
		return err_from_errno(errno, "%s", rewrite->initramfs->path);
	err = write_unpacked(rewrite, fd, unpacked);
	if (!err && rewrite->segment->compressor)
		err = compressor_run(rewrite->segment->compressor, unpacked, log, &packed);
	if (!err)
		err = assemble(rewrite, fd, packed ? packed : unpacked, ret_file);
	unlink(unpacked);
	if (packed)
		unlink(packed);
	return err;
}

/* New files get inode numbers that nothing has, and the newest time of all. */
static void find_numbers(struct rewrite *rewrite)
{
	for (size_t i = rewrite->first_entry; i < rewrite->initramfs->entry_count; i++) {
		const uint32_t *fields = rewrite->initramfs->entries[i].fields;

		if (fields[NEWC_INO] >= rewrite->next_ino)
			rewrite->next_ino = fields[NEWC_INO] + 1;
		if (fields[NEWC_MTIME] > rewrite->mtime)
			rewrite->mtime = fields[NEWC_MTIME];
	}
}

struct err *initramfs_rewrite(const struct initramfs *initramfs, const struct initramfs_changes *changes,
			      const char *work_dir, const struct log *log, const char *ret_file)
{
	struct rewrite rewrite = {
		.initramfs = initramfs,
		.changes = changes,
		.segment = &initramfs->segments[initramfs->segment_count - 1],
		.next_ino = 1,
	};
	struct err *err;

	while (rewrite.first_entry < initramfs->entry_count &&
	       initramfs->entries[rewrite.first_entry].segment != initramfs->segment_count - 1)
		rewrite.first_entry++;
	find_numbers(&rewrite);
	err = initramfs_settle_fates(initramfs, changes, rewrite.first_entry, &rewrite.fates);
	if (!err)
		err = rewrite_file(&rewrite, work_dir, log, ret_file);
	initramfs_fates_deinit(&rewrite.fates);
	strv_deinit(&rewrite.folders);
	return err;
}
