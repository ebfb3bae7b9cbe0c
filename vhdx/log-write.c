/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Each entry stands for itself: its tail is its own place, so that replay takes
 * the last entry alone.  An entry fills at most half of the ring; the one before
 * it, which counts until the new one is complete, is never written over.
 */
#include "vhdx/log-write.h"

#include <string.h>

#define SECTOR VHDX_LOG_SECTOR_BYTES

_Static_assert(sizeof(struct vhdx_disk_log_entry_header) +
			       VHDX_LOG_MAX_PAGES * sizeof(struct vhdx_disk_log_data_descriptor) <=
		       SECTOR,
	       "the descriptors fit in one sector");
_Static_assert(VHDX_LOG_ENTRY_BYTES(VHDX_LOG_MAX_PAGES) <= VHDX_MIB / 2, "an entry fits in half of a log");

void vhdx_log_entry_encode(const struct vhdx_log_writer *writer, const struct vhdx_log_page *pages,
			   size_t count, uint64_t file_bytes, uint8_t *ret_entry)
{
	struct vhdx_disk_log_entry_header header = {
		.signature = le32_make(VHDX_LOG_ENTRY_SIGNATURE),
		.entry_length = le32_make((uint32_t)VHDX_LOG_ENTRY_BYTES(count)),
		.tail = le32_make(writer->head),
		.sequence_number = le64_make(writer->number + 1),
		.descriptor_count = le32_make((uint32_t)count),
		.log_guid = writer->ring.guid,
		.flushed_file_offset = le64_make(file_bytes),
		.last_file_offset = le64_make(file_bytes),
	};

	memset(ret_entry, 0, SECTOR);
	memcpy(ret_entry, &header, sizeof header);
	for (size_t i = 0; i < count; i++) {
		const uint8_t *page = pages[i].data;
		struct vhdx_disk_log_data_descriptor descriptor = {
			.signature = le32_make(VHDX_LOG_DATA_SIGNATURE),
			.file_offset = le64_make(pages[i].file_offset),
			.sequence_number = header.sequence_number,
		};
		struct vhdx_disk_log_data_sector sector = {
			.signature = le32_make(VHDX_LOG_SECTOR_SIGNATURE),
			.sequence_high = le32_make((uint32_t)((writer->number + 1) >> 32)),
			.sequence_low = le32_make((uint32_t)(writer->number + 1)),
		};

		memcpy(descriptor.leading_bytes, page, VHDX_LOG_LEADING_BYTES);
		memcpy(sector.data, page + VHDX_LOG_LEADING_BYTES, VHDX_LOG_MIDDLE_BYTES);
		memcpy(descriptor.trailing_bytes, page + SECTOR - VHDX_LOG_TRAILING_BYTES,
		       VHDX_LOG_TRAILING_BYTES);
		memcpy(ret_entry + sizeof header + i * sizeof descriptor, &descriptor, sizeof descriptor);
		memcpy(ret_entry + (i + 1) * SECTOR, &sector, sizeof sector);
	}
	vhdx_checksum_set(ret_entry, VHDX_LOG_ENTRY_BYTES(count));
}

/* An entry may wrap around the end of the ring.  It alone is made durable: a flush would also wait for the
 * data that other threads are writing. */
static struct err *write_entry(struct blk *file, const struct vhdx_log_writer *writer, const uint8_t *entry,
			       size_t bytes)
{
	const struct vhdx_log_ring *ring = &writer->ring;
	size_t first = ring->length_bytes - writer->head < bytes ? ring->length_bytes - writer->head : bytes;

	TRY(blk_pwrite(file, entry, first, ring->file_offset + writer->head, BLK_FUA));
	return blk_pwrite(file, entry + first, bytes - first, ring->file_offset, BLK_FUA);
}

struct err *vhdx_log_append(struct blk *file, struct vhdx_log_writer *writer, struct vhdx_headers *headers,
			    uint64_t file_bytes, const struct vhdx_log_page *pages, size_t count)
{
	bool was_empty = guid_is_zero(&headers->current.log_guid);
	size_t bytes = VHDX_LOG_ENTRY_BYTES(count);
	CLEANUP_FREE uint8_t *entry = malloc(bytes);
	struct vhdx_header header = headers->current;

	if (!entry)
		return err_nomem();
	if (was_empty)
		TRY(guid_make(&writer->ring.guid));
	vhdx_log_entry_encode(writer, pages, count, file_bytes, entry);
	TRY(write_entry(file, writer, entry, bytes));
	/* The GUID comes after the first entry: a log that is in use must hold a valid one. */
	header.log_guid = writer->ring.guid;
	if (was_empty)
		TRY(vhdx_headers_update(file, headers, &header));
	writer->number++;
	writer->head = (uint32_t)((writer->head + bytes) % writer->ring.length_bytes);
	return NULL;
}

struct err *vhdx_log_empty(struct blk *file, struct vhdx_log_writer *writer, struct vhdx_headers *headers)
{
	struct vhdx_header header = headers->current;

	TRY(blk_flush(file));
	header.log_guid = (struct guid){0};
	/* Both headers, so that losing one does not bring back a log that is long over. */
	TRY(vhdx_headers_update(file, headers, &header));
	TRY(vhdx_headers_update(file, headers, &header));
	writer->ring.guid = header.log_guid;
	return NULL;
}
