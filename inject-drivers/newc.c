/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading and writing newc entries; nothing is taken from the file unchecked. */
#include "inject-drivers/newc.h"

#include <string.h>

#include "p2v/base/mem.h"

#define TRAILER_NAME "TRAILER!!!"

const char newc_magic[NEWC_MAGIC_BYTES + 1] = "070701";
const char newc_magic_crc[NEWC_MAGIC_BYTES + 1] = "070702";

static struct err *truncated(const struct newc_reader *reader)
{
	return err_refused("%s: the archive ends in the middle of an entry", reader->name);
}

static struct err *read_exactly(struct newc_reader *reader, void *buf, size_t bytes)
{
	size_t got;

	TRY(stream_read(reader->stream, buf, bytes, &got));
	reader->position += got;
	return got == bytes ? NULL : truncated(reader);
}

/* Up to three zeros; the end of the stream serves as well. */
static struct err *skip_padding(struct newc_reader *reader)
{
	unsigned char pad[4];
	size_t got;

	if (reader->position % 4 == 0)
		return NULL;
	TRY(stream_read(reader->stream, pad, 4 - reader->position % 4, &got));
	reader->position += got;
	return NULL;
}

struct err *newc_read_data(struct newc_reader *reader, void *buf, size_t bytes, size_t *ret_got)
{
	size_t want = bytes < reader->left_bytes ? bytes : (size_t)reader->left_bytes;

	TRY(read_exactly(reader, buf, want));
	reader->left_bytes -= want;
	*ret_got = want;
	return NULL;
}

struct err *newc_skip_data(struct newc_reader *reader)
{
	char buf[16384];
	size_t got;

	while (reader->left_bytes)
		TRY(newc_read_data(reader, buf, sizeof buf, &got));
	return skip_padding(reader);
}

/* The first byte of the next header, past the zeros that fill up an archive; *ret_got 0 at the end. */
static struct err *find_header(struct newc_reader *reader, char *ret_byte, size_t *ret_got)
{
	do {
		TRY(stream_read(reader->stream, ret_byte, 1, ret_got));
		reader->position += *ret_got;
	} while (*ret_got && *ret_byte == '\0' && !reader->is_inside);
	return NULL;
}

static bool parse_hex(const char *digits, uint32_t *ret_value)
{
	uint32_t value = 0;

	for (int i = 0; i < 8; i++) {
		char c = digits[i];

		if (c >= '0' && c <= '9')
			value = value << 4 | (uint32_t)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			value = value << 4 | (uint32_t)((c | 0x20) - 'a' + 10);
		else
			return false;
	}
	*ret_value = value;
	return true;
}

static struct err *parse_header(const struct newc_reader *reader, struct newc_entry *entry)
{
	entry->is_crc = memcmp(entry->header, newc_magic_crc, NEWC_MAGIC_BYTES) == 0;
	if (!entry->is_crc && memcmp(entry->header, newc_magic, NEWC_MAGIC_BYTES) != 0)
		return err_refused("%s: no cpio header at byte %llu of the unpacked archive", reader->name,
				   (unsigned long long)(reader->position - NEWC_HEADER_BYTES));
	for (int i = 0; i < NEWC_FIELDS; i++) {
		if (!parse_hex(entry->header + NEWC_MAGIC_BYTES + 8 * i, &entry->fields[i]))
			return err_refused("%s: a damaged cpio header at byte %llu of the unpacked archive",
					   reader->name,
					   (unsigned long long)(reader->position - NEWC_HEADER_BYTES));
	}
	if (entry->fields[NEWC_NAME_BYTES] == 0 || entry->fields[NEWC_NAME_BYTES] > NEWC_NAME_MAX_BYTES)
		return err_refused("%s: a cpio entry's name is %u bytes long", reader->name,
				   entry->fields[NEWC_NAME_BYTES]);
	return NULL;
}

struct err *newc_read_header(struct newc_reader *reader, struct newc_entry *ret_entry,
			     enum newc_event *ret_event)
{
	size_t got;

	TRY(newc_skip_data(reader));
	TRY(find_header(reader, ret_entry->header, &got));
	if (!got && reader->is_inside)
		return truncated(reader);
	if (!got) {
		*ret_event = NEWC_END;
		return NULL;
	}
	if ((reader->position - 1) % 4) /* the kernel gives up here, too: "broken padding" */
		return err_refused(
			"%s: a cpio header at byte %llu of the unpacked archive, not at a multiple of 4",
			reader->name, (unsigned long long)reader->position - 1);
	TRY(read_exactly(reader, ret_entry->header + 1, NEWC_HEADER_BYTES - 1));
	TRY(parse_header(reader, ret_entry));
	TRY(read_exactly(reader, ret_entry->name, ret_entry->fields[NEWC_NAME_BYTES]));
	ret_entry->name[ret_entry->fields[NEWC_NAME_BYTES]] = '\0';
	TRY(skip_padding(reader));
	reader->left_bytes = ret_entry->fields[NEWC_FILE_BYTES];
	reader->is_inside = strcmp(ret_entry->name, TRAILER_NAME) != 0;
	*ret_event = reader->is_inside ? NEWC_ENTRY : NEWC_TRAILER;
	return NULL;
}

void newc_write_data(struct newc_writer *writer, const void *data, size_t bytes)
{
	if (bytes)
		fwrite(data, 1, bytes, writer->file);
	writer->position += bytes;
}

void newc_write_padding(struct newc_writer *writer, uint64_t align_bytes)
{
	static const char zeros[512];

	while (writer->position % align_bytes) {
		uint64_t missing = align_bytes - writer->position % align_bytes;

		newc_write_data(writer, zeros, missing < sizeof zeros ? (size_t)missing : sizeof zeros);
	}
}

void newc_write_same_header(struct newc_writer *writer, const struct newc_entry *entry)
{
	newc_write_data(writer, entry->header, NEWC_HEADER_BYTES);
	newc_write_data(writer, entry->name, entry->fields[NEWC_NAME_BYTES]);
	newc_write_padding(writer, 4);
}

void newc_write_header(struct newc_writer *writer, const char *name, const uint32_t fields[NEWC_FIELDS],
		       bool is_crc)
{
	CLEANUP_FREE char *header = NULL;
	uint32_t f[NEWC_FIELDS];

	memcpy(f, fields, sizeof f);
	f[NEWC_NAME_BYTES] = (uint32_t)strlen(name) + 1;
	header = xasprintf("%s%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
			   is_crc ? newc_magic_crc : newc_magic, f[0], f[1], f[2], f[3], f[4], f[5], f[6],
			   f[7], f[8], f[9], f[10], f[11], f[12]);
	newc_write_data(writer, header, NEWC_HEADER_BYTES);
	newc_write_data(writer, name, f[NEWC_NAME_BYTES]);
	newc_write_padding(writer, 4);
}
