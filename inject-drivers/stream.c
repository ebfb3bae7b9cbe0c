/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * libarchive's filters with its "raw" format: one entry that is the unpacked
 * data.
 *
 * libarchive's count of the bytes that its first filter took from the file is
 * exact to the byte, concatenated streams included (they read as one).
 */
#include "inject-drivers/stream.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdbool.h>
#include <unistd.h>

#include "p2v/base/mem.h"

#define BUFFER_BYTES (256u << 10)

struct stream {
	struct archive *archive;
	const struct compressor *compressor;
	char *name;
	int fd;
	uint64_t at;
	uint64_t end;
	int read_errno; /* why the file could not be read */
	bool is_empty;
	bool is_bad; /* from the first byte on */
	unsigned char buffer[BUFFER_BYTES];
};

static la_ssize_t read_file(struct archive *archive, void *arg, const void **ret_buffer)
{
	struct stream *stream = arg;
	uint64_t left = stream->end - stream->at;
	size_t want = left < BUFFER_BYTES ? (size_t)left : BUFFER_BYTES;
	ssize_t n;

	do {
		n = pread(stream->fd, stream->buffer, want, (off_t)stream->at);
	} while (n < 0 && errno == EINTR);
	if (n < 0) {
		stream->read_errno = errno;
		archive_set_error(archive, errno, "read error");
		return ARCHIVE_FATAL;
	}
	stream->at += (uint64_t)n;
	*ret_buffer = stream->buffer;
	return n;
}

static struct err *stream_error(const struct stream *stream)
{
	const char *cause = archive_error_string(stream->archive);

	if (stream->read_errno)
		return err_from_errno(stream->read_errno, "%s", stream->name);
	return err_refused("%s: the %s data cannot be unpacked (%s)", stream->name,
			   stream->compressor ? stream->compressor->name : "uncompressed",
			   cause ? cause : "damaged");
}

struct err *stream_open(int fd, const char *name, uint64_t start, uint64_t end,
			const struct compressor *compressor, struct stream **ret_stream)
{
	CLEANUP_STREAM struct stream *stream = xcalloc(1, sizeof *stream);
	struct archive_entry *entry;
	int status;

	stream->fd = fd;
	stream->compressor = compressor;
	stream->name = xstrdup(name);
	stream->at = start;
	stream->end = end;
	stream->archive = archive_read_new();
	if (!stream->archive)
		return err_nomem();
	archive_read_support_format_raw(stream->archive);
	archive_read_support_format_empty(stream->archive);
	if (compressor && compressor->read_filter(stream->archive) == ARCHIVE_FATAL)
		return stream_error(stream);
	status = archive_read_open(stream->archive, stream, NULL, read_file, NULL);
	if (status == ARCHIVE_OK || status == ARCHIVE_WARN)
		status = archive_read_next_header(stream->archive, &entry);
	stream->is_empty = status == ARCHIVE_EOF;
	stream->is_bad = status != ARCHIVE_OK && status != ARCHIVE_WARN && status != ARCHIVE_EOF;
	*ret_stream = take_ptr(stream);
	return NULL;
}

void stream_close(struct stream *stream)
{
	if (!stream)
		return;
	if (stream->archive)
		archive_read_free(stream->archive);
	free(stream->name);
	free(stream);
}

struct err *stream_read(struct stream *stream, void *buf, size_t bytes, size_t *ret_got)
{
	size_t got = 0;

	if (stream->is_bad)
		return stream_error(stream);
	while (got < bytes && !stream->is_empty) {
		la_ssize_t n = archive_read_data(stream->archive, (char *)buf + got, bytes - got);

		if (n < 0)
			return stream_error(stream);
		if (n == 0)
			break;
		got += (size_t)n;
	}
	*ret_got = got;
	return NULL;
}

uint64_t stream_consumed_bytes(const struct stream *stream)
{
	la_int64_t bytes = archive_filter_bytes(stream->archive, -1);

	return bytes < 0 ? 0 : (uint64_t)bytes;
}
