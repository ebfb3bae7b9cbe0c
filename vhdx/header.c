/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Headers are the only structure that is not protected by the log, for they say
 * where it is.  Two slots make up for that: the current header is never written
 * over, so that a torn write leaves it in charge.
 */
#include "vhdx/header.h"

#include <inttypes.h>
#include <string.h>

#include "vhdx/utf16.h"

uint64_t vhdx_header_offset(unsigned slot)
{
	return slot ? VHDX_HEADER_2_OFFSET : VHDX_HEADER_1_OFFSET;
}

void vhdx_header_encode(const struct vhdx_header *header, struct vhdx_disk_header *ret_disk)
{
	*ret_disk = (struct vhdx_disk_header){
		.signature = le32_make(VHDX_HEADER_SIGNATURE),
		.sequence_number = le64_make(header->sequence_number),
		.file_write_guid = header->file_write_guid,
		.data_write_guid = header->data_write_guid,
		.log_guid = header->log_guid,
		.log_version = le16_make(header->log_version),
		.version = le16_make(header->version),
		.log_length = le32_make(header->log_length),
		.log_offset = le64_make(header->log_offset),
	};
	vhdx_checksum_set(ret_disk, sizeof *ret_disk);
}

bool vhdx_header_decode(const struct vhdx_disk_header *disk, struct vhdx_header *ret_header)
{
	if (le32_get(disk->signature) != VHDX_HEADER_SIGNATURE || !vhdx_checksum_is_right(disk, sizeof *disk))
		return false;
	*ret_header = (struct vhdx_header){
		.sequence_number = le64_get(disk->sequence_number),
		.file_write_guid = disk->file_write_guid,
		.data_write_guid = disk->data_write_guid,
		.log_guid = disk->log_guid,
		.log_version = le16_get(disk->log_version),
		.version = le16_get(disk->version),
		.log_length = le32_get(disk->log_length),
		.log_offset = le64_get(disk->log_offset),
	};
	return true;
}

static void check_current(const struct vhdx_header *header, uint64_t at, uint64_t file_bytes,
			  struct findings *findings)
{
	bool has_log = !guid_is_zero(&header->log_guid);

	if (header->version != VHDX_VERSION)
		findings_add_fatal(findings, at, "a newer kind of VHDX: convert it where it was made",
				   "format version %u is unknown", header->version);
	if (header->log_version != VHDX_LOG_VERSION)
		findings_add(findings, has_log ? FINDING_FATAL : FINDING_WARNING, at,
			     "log version %u is unknown", header->log_version);
	if (!header->log_length) {
		if (has_log)
			findings_add(findings, FINDING_FATAL, at, "there is no log, but it has a GUID");
		else
			findings_add(findings, FINDING_WARNING, at,
				     "there is no log, without which the file cannot be changed safely");
		return;
	}
	if (header->log_length % VHDX_MIB || header->log_offset % VHDX_MIB || header->log_offset < VHDX_MIB)
		findings_add(findings, FINDING_FATAL, at,
			     "the log (%" PRIu32 " bytes at offset %" PRIu64 ") is not aligned to 1 MiB",
			     header->log_length, header->log_offset);
	else if (header->log_offset > file_bytes || header->log_length > file_bytes - header->log_offset)
		findings_add(findings, FINDING_FATAL, at,
			     "the file is truncated: the log (%" PRIu32 " bytes at offset %" PRIu64
			     ") reaches behind its end",
			     header->log_length, header->log_offset);
}

/* Which of two valid headers counts; -1 if that cannot be told. */
static int choose(const struct vhdx_disk_header disks[2], const struct vhdx_header headers[2])
{
	if (headers[0].sequence_number != headers[1].sequence_number)
		return headers[1].sequence_number > headers[0].sequence_number;
	return memcmp(&disks[0], &disks[1], sizeof disks[0]) ? -1 : 0;
}

static struct err *read_identifier(struct blk *file, struct findings *findings)
{
	le64 signature;

	if (file->size_bytes < sizeof signature) {
		findings_add_fatal(findings, 0, "name a VHDX file",
				   "is not a VHDX: it has only %" PRIu64 " bytes", file->size_bytes);
		return NULL;
	}
	TRY(blk_pread(file, &signature, sizeof signature, VHDX_FILE_IDENTIFIER_OFFSET));
	if (le64_get(signature) != VHDX_FILE_SIGNATURE)
		findings_add_fatal(findings, 0, "name a VHDX file",
				   "is not a VHDX: it does not begin with \"vhdxfile\"");
	else if (file->size_bytes < VHDX_MIB)
		findings_add(findings, FINDING_FATAL, file->size_bytes,
			     "the file is truncated: %" PRIu64 " bytes are less than its header section",
			     file->size_bytes);
	return NULL;
}

static struct err *read_slots(struct blk *file, struct findings *findings, struct vhdx_headers *headers)
{
	struct vhdx_disk_header disks[2];
	struct vhdx_header both[2];
	bool valid[2];
	int current;

	for (unsigned slot = 0; slot < 2; slot++) {
		TRY(blk_pread(file, &disks[slot], sizeof disks[slot], vhdx_header_offset(slot)));
		valid[slot] = vhdx_header_decode(&disks[slot], &both[slot]);
	}
	if (!valid[0] && !valid[1]) {
		findings_add(findings, FINDING_FATAL, VHDX_HEADER_1_OFFSET, "both headers are damaged");
		return NULL;
	}
	if (valid[0] && valid[1]) {
		current = choose(disks, both);
		if (current < 0) {
			findings_add(findings, FINDING_FATAL, VHDX_HEADER_1_OFFSET,
				     "two different headers have the same sequence number %" PRIu64,
				     both[0].sequence_number);
			return NULL;
		}
	} else {
		current = valid[1];
		findings_add(findings, FINDING_WARNING, vhdx_header_offset(!current),
			     "header %d is damaged; header %d is used", !current + 1, current + 1);
	}
	*headers = (struct vhdx_headers){both[current], current, valid[!current]};
	if (!blk_is_zero(disks[current].reserved, sizeof disks[current].reserved))
		findings_add(findings, FINDING_WARNING, vhdx_header_offset(current),
			     "reserved bytes of header %d are not zero", current + 1);
	return NULL;
}

struct err *vhdx_headers_read(struct blk *file, struct findings *findings, struct vhdx_headers *ret_headers)
{
	struct vhdx_headers headers;

	TRY(read_identifier(file, findings));
	if (findings->fatal)
		return NULL;
	TRY(read_slots(file, findings, &headers));
	if (findings->fatal)
		return NULL;
	check_current(&headers.current, vhdx_header_offset(headers.slot), file->size_bytes, findings);
	if (!findings->fatal)
		*ret_headers = headers;
	return NULL;
}

struct err *vhdx_headers_update(struct blk *file, struct vhdx_headers *headers,
				const struct vhdx_header *header)
{
	struct vhdx_disk_header disk;
	struct vhdx_header next = *header;

	if (headers->current.sequence_number == UINT64_MAX)
		return err_refused("%s: the header's sequence number cannot be increased", file->name);
	next.sequence_number = headers->current.sequence_number + 1;
	vhdx_header_encode(&next, &disk);
	TRY(blk_pwrite(file, &disk, sizeof disk, vhdx_header_offset(!headers->slot), 0));
	TRY(blk_flush(file));
	*headers = (struct vhdx_headers){next, !headers->slot, true};
	return NULL;
}

struct err *vhdx_creator_read(struct blk *file, char **ret_creator)
{
	struct vhdx_disk_file_identifier disk;
	char *creator;

	TRY(blk_pread(file, &disk, sizeof disk, VHDX_FILE_IDENTIFIER_OFFSET));
	creator = vhdx_utf8_from_utf16(disk.creator, VHDX_CREATOR_UNITS);
	if (!creator)
		return err_nomem();
	*ret_creator = creator;
	return NULL;
}
