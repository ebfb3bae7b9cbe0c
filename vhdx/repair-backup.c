// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Carrying a repair out, and taking it back.
 *
 * A backup file, all numbers little-endian:
 *
 *	0        one sector of 4 KiB: struct disk_backup
 *	4 KiB    struct disk_record for each record
 *	then     for each record what the file held, then what it was to hold
 *
 * A record is a range of the file.  Undo puts it back only if every sector of 512
 * bytes holds the one or the other: then nobody else has changed it since, and a
 * repair or an undo that was interrupted makes no difference.  What the repair put
 * behind the old end of the file is cut off again.
 *
 * Order of a repair: the file's new length, and copies behind its old end, first;
 * headers and region tables last, so that an interrupted one is likely to be
 * noticed by whoever opens the file.
 */
#include <inttypes.h>
#include <string.h>

#include "p2v/base/crc32c.h"
#include "vhdx/overlay.h"
#include "vhdx/repair-plan.h"

#define BACKUP_SIGNATURE 0x31306f646e753270ull /* "p2undo01", its first bytes */
#define BACKUP_VERSION 1
#define BACKUP_SECTOR_BYTES 4096u
#define SECTOR_BYTES 512u /* what a power cut leaves whole */
#define RECORD_BYTES VHDX_MIB /* at most, of data in one */

struct disk_backup {
	le64 signature; /* BACKUP_SIGNATURE */
	le32 checksum; /* CRC-32C of this struct and the records, taken as 0 here */
	le32 version;
	le64 old_file_bytes;
	le64 new_file_bytes;
	le64 record_count;
};
_Static_assert(sizeof(struct disk_backup) == 40, "no padding");

struct disk_record {
	le64 file_offset;
	le64 data_offset; /* in the backup: len_bytes of old data, then as many of new */
	le32 len_bytes;
	le32 checksum; /* CRC-32C of both */
};
_Static_assert(sizeof(struct disk_record) == 24, "no padding");

/* The parts of the changed ranges that the file has now, in pieces of RECORD_BYTES. */
static struct err *make_records(const struct vhdx_repair *r, const struct extents *changes,
				struct disk_record **ret_records, size_t *ret_count)
{
	CLEANUP_FREE struct disk_record *records = NULL;
	size_t count = 0, capacity = 0;

	for (size_t i = 0; i < changes->count; i++) {
		uint64_t at = changes->ranges[i].start, end = changes->ranges[i].end;

		end = end < r->file->size_bytes ? end : r->file->size_bytes;
		while (at < end) {
			uint64_t bytes = end - at < RECORD_BYTES ? end - at : RECORD_BYTES;

			if (count == capacity) {
				struct disk_record *grown;

				capacity = capacity ? 2 * capacity : 64;
				grown = reallocarray(records, capacity, sizeof *records);
				if (!grown)
					return err_nomem();
				records = grown;
			}
			records[count++] = (struct disk_record){.file_offset = le64_make(at),
								.len_bytes = le32_make((uint32_t)bytes)};
			at += bytes;
		}
	}
	*ret_count = count;
	*ret_records = take_ptr(records);
	return NULL;
}

/* Copies the data of each record, and completes it. */
static struct err *save_data(const struct vhdx_repair *r, struct disk_record *records, size_t count,
			     struct blk *backup)
{
	uint64_t at = BACKUP_SECTOR_BYTES + count * sizeof *records;
	CLEANUP_FREE uint8_t *both = malloc(2 * RECORD_BYTES);

	if (!both)
		return err_nomem();
	for (size_t i = 0; i < count; i++) {
		uint64_t file_offset = le64_get(records[i].file_offset);
		uint32_t bytes = le32_get(records[i].len_bytes);

		TRY(blk_pread(r->file, both, bytes, file_offset));
		TRY(blk_pread(r->io, both + bytes, bytes, file_offset));
		records[i].data_offset = le64_make(at);
		records[i].checksum = le32_make(crc32c(0, both, 2 * (size_t)bytes));
		TRY(blk_resize(backup, at + 2 * (uint64_t)bytes));
		TRY(blk_pwrite_data(backup, both, 2 * (size_t)bytes, at));
		at += 2 * (uint64_t)bytes;
	}
	return NULL;
}

static uint32_t checksum_of(struct disk_backup head, const struct disk_record *records, size_t count)
{
	head.checksum = le32_make(0);
	return crc32c(crc32c(0, &head, sizeof head), records, count * sizeof *records);
}

struct err *vhdx_repair_back_up(const struct vhdx_repair *r, struct blk *backup)
{
	CLEANUP_EXTENTS struct extents changes = {0};
	CLEANUP_FREE struct disk_record *records = NULL;
	struct disk_backup head = {
		.signature = le64_make(BACKUP_SIGNATURE),
		.version = le32_make(BACKUP_VERSION),
		.old_file_bytes = le64_make(r->file->size_bytes),
		.new_file_bytes = le64_make(r->io->size_bytes),
	};
	size_t count = 0;

	vhdx_overlay_changes(r->io, &changes);
	TRY(make_records(r, &changes, &records, &count));
	head.record_count = le64_make(count);
	TRY(blk_resize(backup, BACKUP_SECTOR_BYTES + count * sizeof *records));
	TRY(save_data(r, records, count, backup));
	head.checksum = le32_make(checksum_of(head, records, count));
	TRY(blk_pwrite(backup, &head, sizeof head, 0, 0));
	TRY(blk_pwrite(backup, records, count * sizeof *records, BACKUP_SECTOR_BYTES, 0));
	return blk_flush(backup);
}

/* Writes what the overlay has in [start, end), zeros as such. */
static struct err *apply_range(const struct vhdx_repair *r, struct blk *file, uint8_t *buf, uint64_t start,
			       uint64_t end)
{
	while (start < end) {
		uint64_t bytes = end - start < RECORD_BYTES ? end - start : RECORD_BYTES;

		TRY(blk_pread(r->io, buf, bytes, start));
		if (blk_is_zero(buf, bytes))
			TRY(blk_zero(file, bytes, start, BLK_MAY_TRIM));
		else
			TRY(blk_pwrite(file, buf, bytes, start, 0));
		start += bytes;
	}
	return NULL;
}

/* New space reads as zeros, so that only what is not zero is written. */
static struct err *apply_copies(const struct vhdx_repair *r, struct blk *file, uint8_t *buf)
{
	for (size_t i = 0; i < r->copy_count; i++) {
		const struct repair_copy *copy = &r->copies[i];

		for (uint64_t at = 0; at < copy->len_bytes; at += RECORD_BYTES) {
			TRY(blk_pread(r->io, buf, RECORD_BYTES, copy->from + at));
			TRY(blk_pwrite_data(file, buf, RECORD_BYTES, copy->to + at));
		}
	}
	return NULL;
}

/* What an error leaves is for undo. */
static struct err *apply(const struct vhdx_repair *r, struct blk *file, uint8_t *buf)
{
	CLEANUP_EXTENTS struct extents changes = {0};
	CLEANUP_EXTENTS struct extents front = {0};

	vhdx_overlay_changes(r->io, &changes);
	for (size_t i = 0; i < changes.count && changes.ranges[i].start < VHDX_MIB; i++)
		extents_add(&front, changes.ranges[i].start,
			    changes.ranges[i].end < VHDX_MIB ? changes.ranges[i].end : VHDX_MIB);
	extents_remove(&changes, 0, VHDX_MIB);
	TRY(blk_resize(file, r->io->size_bytes));
	TRY(apply_copies(r, file, buf));
	for (size_t i = 0; i < changes.count; i++)
		TRY(apply_range(r, file, buf, changes.ranges[i].start, changes.ranges[i].end));
	TRY(blk_flush(file));
	for (size_t i = 0; i < front.count; i++)
		TRY(apply_range(r, file, buf, front.ranges[i].start, front.ranges[i].end));
	return blk_flush(file);
}

struct err *vhdx_repair_apply(const struct vhdx_repair *r, struct blk *file)
{
	CLEANUP_FREE uint8_t *buf = NULL;

	if (!r->needed)
		return NULL;
	if (file->size_bytes != r->file->size_bytes)
		return err_failed("%s: has changed its length since the repair was planned", file->name);
	buf = malloc(RECORD_BYTES);
	return buf ? apply(r, file, buf) : err_nomem();
}

struct err *vhdx_repair_on(struct blk *file, unsigned flags)
{
	CLEANUP_VHDX_REPAIR struct vhdx_repair *r = NULL;

	TRY(vhdx_repair_plan(file, flags, &r));
	return vhdx_repair_apply(r, file);
}

/* Undo. */

static struct err *not_a_backup(const struct blk *backup, const char *why)
{
	return err_advise(err_refused("%s: is no backup of a repair: %s", backup->name, why),
			  "name the file that 'p2v vhdx repair' has made beside the image");
}

static struct err *read_backup(struct blk *backup, struct disk_backup *ret_head,
			       struct disk_record **ret_records, size_t *ret_count)
{
	CLEANUP_FREE struct disk_record *records = NULL;
	uint64_t count;

	if (backup->size_bytes < BACKUP_SECTOR_BYTES)
		return not_a_backup(backup, "it is too short");
	TRY(blk_pread(backup, ret_head, sizeof *ret_head, 0));
	if (le64_get(ret_head->signature) != BACKUP_SIGNATURE)
		return not_a_backup(backup, "it begins with something else");
	if (le32_get(ret_head->version) != BACKUP_VERSION)
		return not_a_backup(backup, "it is of a version that is unknown");
	count = le64_get(ret_head->record_count);
	if (count > (backup->size_bytes - BACKUP_SECTOR_BYTES) / sizeof *records)
		return not_a_backup(backup, "it is cut off");
	records = calloc(count + 1, sizeof *records);
	if (!records)
		return err_nomem();
	TRY(blk_pread(backup, records, count * sizeof *records, BACKUP_SECTOR_BYTES));
	if (checksum_of(*ret_head, records, count) != le32_get(ret_head->checksum))
		return not_a_backup(backup, "its checksum is wrong");
	*ret_count = count;
	*ret_records = take_ptr(records);
	return NULL;
}

static struct err *refuse_changed(const struct blk *file, uint64_t offset)
{
	return err_advise(err_refused("%s: was changed since it was repaired (at offset %" PRIu64
				      "): undoing would destroy that",
				      file->name, offset),
			  "keep the file as it is, or name the one that this backup was made of");
}

/* One record against file and backup; `buf`, of 3 * RECORD_BYTES, begins with the old data then. */
static struct err *check_record(struct blk *file, struct blk *backup, const struct disk_record *record,
				uint8_t *buf)
{
	uint64_t offset = le64_get(record->file_offset), data_offset = le64_get(record->data_offset);
	uint32_t bytes = le32_get(record->len_bytes);
	const uint8_t *old = buf, *new = buf + bytes, *now = buf + 2 * (size_t)bytes;

	if (bytes > RECORD_BYTES || data_offset > backup->size_bytes ||
	    2 * (uint64_t)bytes > backup->size_bytes - data_offset)
		return not_a_backup(backup, "it is cut off");
	if (offset > file->size_bytes || bytes > file->size_bytes - offset)
		return refuse_changed(file, offset);
	TRY(blk_pread(backup, buf, 2 * (size_t)bytes, data_offset));
	if (crc32c(0, buf, 2 * (size_t)bytes) != le32_get(record->checksum))
		return not_a_backup(backup, "the checksum of its data is wrong");
	TRY(blk_pread(file, buf + 2 * (size_t)bytes, bytes, offset));
	for (uint32_t at = 0; at < bytes; at += SECTOR_BYTES) {
		uint32_t part = bytes - at < SECTOR_BYTES ? bytes - at : SECTOR_BYTES;

		if (memcmp(now + at, old + at, part) && memcmp(now + at, new + at, part))
			return refuse_changed(file, offset + at);
	}
	return NULL;
}

struct err *vhdx_repair_undo(struct blk *file, struct blk *backup)
{
	CLEANUP_FREE struct disk_record *records = NULL;
	CLEANUP_FREE uint8_t *buf = malloc(3 * RECORD_BYTES);
	struct disk_backup head;
	uint64_t old_bytes, new_bytes;
	size_t count = 0;

	if (!buf)
		return err_nomem();
	TRY(read_backup(backup, &head, &records, &count));
	old_bytes = le64_get(head.old_file_bytes);
	new_bytes = le64_get(head.new_file_bytes);
	if (file->size_bytes != old_bytes && file->size_bytes != new_bytes)
		return refuse_changed(file, file->size_bytes);
	/* All of it is looked at before anything is written. */
	for (size_t i = 0; i < count; i++)
		TRY(check_record(file, backup, &records[i], buf));
	for (size_t i = 0; i < count; i++) {
		TRY(check_record(file, backup, &records[i], buf));
		TRY(blk_pwrite(file, buf, le32_get(records[i].len_bytes), le64_get(records[i].file_offset),
			       0));
	}
	TRY(blk_flush(file));
	TRY(blk_resize(file, old_bytes));
	return blk_flush(file);
}
