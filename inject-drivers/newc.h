/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * cpio archives in the "newc" form, the one that Linux unpacks its initramfs
 * from (Documentation/driver-api/early-userspace/buffer-format.rst in its
 * source), as a stream of entries.
 *
 * Why not libarchive's: the entries of an initramfs are kept as they are to the
 * byte, and the end of an uncompressed archive must be known.
 */
#ifndef INJECT_DRIVERS_NEWC_H
#define INJECT_DRIVERS_NEWC_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "inject-drivers/stream.h"

/* In the order of the header, each eight hexadecimal digits behind the magic. */
enum newc_field {
	NEWC_INO,
	NEWC_MODE,
	NEWC_UID,
	NEWC_GID,
	NEWC_NLINK,
	NEWC_MTIME,
	NEWC_FILE_BYTES,
	NEWC_DEV_MAJOR,
	NEWC_DEV_MINOR,
	NEWC_RDEV_MAJOR,
	NEWC_RDEV_MINOR,
	NEWC_NAME_BYTES, /* with the NUL */
	NEWC_CHECK, /* sum of the bytes, in archives of the "crc" kind */
	NEWC_FIELDS
};

#define NEWC_MAGIC_BYTES 6
#define NEWC_HEADER_BYTES (NEWC_MAGIC_BYTES + 8 * NEWC_FIELDS)
#define NEWC_NAME_MAX_BYTES 4096 /* PATH_MAX: the kernel skips what is longer (init/initramfs.c) */

extern const char newc_magic[NEWC_MAGIC_BYTES + 1];
extern const char newc_magic_crc[NEWC_MAGIC_BYTES + 1];

struct newc_entry {
	char header[NEWC_HEADER_BYTES]; /* as it was read */
	uint32_t fields[NEWC_FIELDS];
	bool is_crc;
	char name[NEWC_NAME_MAX_BYTES + 1]; /* fields[NEWC_NAME_BYTES] of it as read */
};

enum newc_event {
	NEWC_ENTRY,
	NEWC_TRAILER, /* the end of one archive; another may follow in the same stream */
	NEWC_END, /* of the stream, between archives */
};

/* Zero-initialised but for the first two. */
struct newc_reader {
	struct stream *stream;
	const char *name; /* for messages */
	uint64_t position; /* in the stream */
	uint64_t left_bytes; /* of the entry's data */
	bool is_inside; /* an archive has begun */
};

/* The next header; data left of the entry before is skipped, and zeros between archives. */
struct err *newc_read_header(struct newc_reader *reader, struct newc_entry *ret_entry,
			     enum newc_event *ret_event) ERR_MUST_CHECK;

/* Data of the entry: as much as fits, 0 bytes at its end. */
struct err *newc_read_data(struct newc_reader *reader, void *buf, size_t bytes, size_t *ret_got)
	ERR_MUST_CHECK;

/* Goes past the data and its padding, so that position is where the next header may begin. */
struct err *newc_skip_data(struct newc_reader *reader) ERR_MUST_CHECK;

/* Writes into a stdio file, whose error indicator the caller checks at the end. */
struct newc_writer {
	FILE *file;
	uint64_t position;
};

/* A header as it was read, or made from the fields (NEWC_NAME_BYTES is set from name). */
void newc_write_same_header(struct newc_writer *writer, const struct newc_entry *entry);
void newc_write_header(struct newc_writer *writer, const char *name, const uint32_t fields[NEWC_FIELDS],
		       bool is_crc);
void newc_write_data(struct newc_writer *writer, const void *data, size_t bytes);
/* Zeros up to a multiple of align_bytes; 4 after an entry's data. */
void newc_write_padding(struct newc_writer *writer, uint64_t align_bytes);

#endif
