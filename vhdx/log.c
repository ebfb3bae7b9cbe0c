/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Entries are read sector by sector from the ring, so that the size of the log
 * costs no memory.  An entry counts only if everything about it is right: GUID,
 * lengths, descriptors, data sectors, checksum.
 */
#include "vhdx/log.h"

#include <inttypes.h>
#include <string.h>

#include "p2v/base/crc32c.h"

#define SECTOR VHDX_LOG_SECTOR_BYTES
#define HEADER_BYTES sizeof(struct vhdx_disk_log_entry_header)
#define DESCRIPTOR_BYTES sizeof(struct vhdx_disk_log_data_descriptor)

struct entry {
	uint32_t start; /* offset in the ring */
	uint32_t length_bytes;
	uint32_t tail;
	uint64_t number;
	uint32_t descriptor_count;
	uint64_t flushed_file_offset;
	uint64_t last_file_offset;
	bool has_reserved; /* a reserved field that is not zero: against the specification, and harmless */
};

static uint32_t ring_add(const struct vhdx_log_ring *ring, uint32_t offset, uint64_t bytes)
{
	return (uint32_t)((offset + bytes) % ring->length_bytes);
}

static struct err *read_sector(struct blk *file, const struct vhdx_log_ring *ring, uint32_t offset,
			       uint8_t sector[SECTOR])
{
	return blk_pread(file, sector, SECTOR, ring->file_offset + offset);
}

/* Header and descriptors together, padded to sectors. */
static uint64_t descriptors_bytes(uint32_t descriptor_count)
{
	uint64_t bytes = HEADER_BYTES + descriptor_count * (uint64_t)DESCRIPTOR_BYTES;

	return (bytes + SECTOR - 1) / SECTOR * SECTOR;
}

/* Where replay may write: behind the headers, outside the log. */
static bool is_target(const struct vhdx_log_ring *ring, uint64_t offset, uint64_t bytes)
{
	uint64_t end;

	if (offset % SECTOR || bytes % SECTOR || offset < VHDX_REGION_TABLE_1_OFFSET ||
	    __builtin_add_overflow(offset, bytes, &end) || end > INT64_MAX)
		return false;
	return offset >= ring->file_offset + ring->length_bytes || end <= ring->file_offset;
}

static bool decode_entry(const uint8_t *sector, const struct vhdx_log_ring *ring, struct entry *ret_entry)
{
	struct vhdx_disk_log_entry_header header;

	memcpy(&header, sector, sizeof header);
	if (le32_get(header.signature) != VHDX_LOG_ENTRY_SIGNATURE ||
	    !guid_equal(&header.log_guid, &ring->guid))
		return false;
	ret_entry->length_bytes = le32_get(header.entry_length);
	ret_entry->tail = le32_get(header.tail);
	ret_entry->number = le64_get(header.sequence_number);
	ret_entry->descriptor_count = le32_get(header.descriptor_count);
	ret_entry->flushed_file_offset = le64_get(header.flushed_file_offset);
	ret_entry->last_file_offset = le64_get(header.last_file_offset);
	ret_entry->has_reserved = le32_get(header.reserved);
	return ret_entry->length_bytes >= SECTOR && ret_entry->length_bytes % SECTOR == 0 &&
	       ret_entry->length_bytes <= ring->length_bytes && ret_entry->tail % SECTOR == 0 &&
	       ret_entry->tail < ring->length_bytes && ret_entry->number &&
	       ret_entry->last_file_offset <= INT64_MAX &&
	       descriptors_bytes(ret_entry->descriptor_count) <= ret_entry->length_bytes;
}

/* One descriptor; *is_data tells whether a data sector belongs to it. */
static bool check_descriptor(const uint8_t *at, struct entry *entry, const struct vhdx_log_ring *ring,
			     bool *is_data)
{
	struct vhdx_disk_log_data_descriptor data;
	struct vhdx_disk_log_zero_descriptor zero;

	memcpy(&data, at, sizeof data);
	memcpy(&zero, at, sizeof zero);
	*is_data = le32_get(data.signature) == VHDX_LOG_DATA_SIGNATURE;
	if (*is_data)
		return le64_get(data.sequence_number) == entry->number &&
		       is_target(ring, le64_get(data.file_offset), SECTOR);
	entry->has_reserved |= le32_get(zero.reserved) != 0;
	return le32_get(zero.signature) == VHDX_LOG_ZERO_SIGNATURE &&
	       le64_get(zero.sequence_number) == entry->number &&
	       is_target(ring, le64_get(zero.file_offset), le64_get(zero.zero_length));
}

static bool is_data_sector_of(const uint8_t *sector, uint64_t number)
{
	struct vhdx_disk_log_data_sector data;

	memcpy(&data, sector, sizeof data);
	return le32_get(data.signature) == VHDX_LOG_SECTOR_SIGNATURE &&
	       le32_get(data.sequence_high) == number >> 32 &&
	       le32_get(data.sequence_low) == (uint32_t)number;
}

/* The descriptors in one sector of an entry, whose offset in the entry is at. */
static bool check_descriptor_sector(const uint8_t *sector, uint64_t at, struct entry *entry,
				    const struct vhdx_log_ring *ring, uint64_t *data_count)
{
	uint64_t end = HEADER_BYTES + entry->descriptor_count * (uint64_t)DESCRIPTOR_BYTES;

	for (uint64_t i = at ? 0 : HEADER_BYTES; i < SECTOR && at + i < end; i += DESCRIPTOR_BYTES) {
		bool is_data;

		if (!check_descriptor(sector + i, entry, ring, &is_data))
			return false;
		*data_count += is_data;
	}
	return true;
}

/* Reads the entry at ring offset start and judges all of it. */
static struct err *read_entry(struct blk *file, const struct vhdx_log_ring *ring, uint32_t start,
			      struct entry *ret_entry, bool *ret_valid)
{
	struct entry entry = {.start = start};
	uint64_t data_count = 0, front;
	uint8_t sector[SECTOR];
	uint32_t crc, checksum;

	*ret_valid = false;
	TRY(read_sector(file, ring, start, sector));
	if (!decode_entry(sector, ring, &entry))
		return NULL;
	checksum = le32_get(((const struct vhdx_disk_log_entry_header *)sector)->checksum);
	crc = vhdx_checksum(sector, SECTOR);
	front = descriptors_bytes(entry.descriptor_count);
	for (uint64_t at = 0; at < entry.length_bytes; at += SECTOR) {
		if (at) {
			TRY(read_sector(file, ring, ring_add(ring, start, at), sector));
			crc = crc32c(crc, sector, SECTOR);
		}
		if (at < front && !check_descriptor_sector(sector, at, &entry, ring, &data_count))
			return NULL;
		if (at >= front && !is_data_sector_of(sector, entry.number))
			return NULL;
	}
	*ret_valid = crc == checksum && front + data_count * SECTOR == entry.length_bytes;
	*ret_entry = entry;
	return NULL;
}

/* True if the ring offset is the start of one of the entries from first on; then *ret_before entries
 * come before it. */
static struct err *find_tail(struct blk *file, const struct vhdx_log_ring *ring, uint32_t first,
			     uint64_t entry_count, uint32_t tail, bool *ret_found, uint64_t *ret_before)
{
	uint8_t sector[SECTOR];
	struct entry entry;

	*ret_found = false;
	for (uint64_t i = 0; i < entry_count; i++) {
		if (first == tail) {
			*ret_found = true;
			*ret_before = i;
			return NULL;
		}
		TRY(read_sector(file, ring, first, sector));
		if (!decode_entry(sector, ring, &entry))
			return NULL;
		first = ring_add(ring, first, entry.length_bytes);
	}
	return NULL;
}

/* The longest run of entries that starts at `start`; *ret_bytes is its length, 0 if there is none that
 * could be replayed.  headless: a run without the entry that its tail names will do. */
static struct err *read_sequence(struct blk *file, const struct vhdx_log_ring *ring, uint32_t start,
				 bool headless, struct vhdx_log_sequence *ret_sequence, uint64_t *ret_bytes)
{
	uint64_t bytes = 0, entry_count = 0, before = 0;
	bool found, has_reserved = false;
	struct entry last = {0};

	*ret_bytes = 0;
	while (bytes < ring->length_bytes) {
		struct entry entry;
		bool valid;

		TRY(read_entry(file, ring, ring_add(ring, start, bytes), &entry, &valid));
		if (!valid || (entry_count && entry.number != last.number + 1) ||
		    entry.length_bytes > ring->length_bytes - bytes)
			break;
		last = entry;
		has_reserved |= entry.has_reserved;
		bytes += entry.length_bytes;
		entry_count++;
	}
	if (!entry_count)
		return NULL;
	TRY(find_tail(file, ring, start, entry_count, last.tail, &found, &before));
	if (!found && !headless)
		return NULL;
	*ret_sequence = (struct vhdx_log_sequence){
		.tail = found ? last.tail : start,
		.entry_count = entry_count - before,
		.first_number = last.number - (entry_count - before - 1),
		.last_number = last.number,
		.flushed_file_offset = last.flushed_file_offset,
		.last_file_offset = last.last_file_offset,
		.has_reserved = has_reserved,
	};
	*ret_bytes = bytes;
	return NULL;
}

static struct err *find_best(struct blk *file, const struct vhdx_log_ring *ring, bool headless,
			     struct vhdx_log_sequence *ret_sequence, bool *ret_found)
{
	struct vhdx_log_sequence best = {0};
	uint64_t start = 0;

	while (start < ring->length_bytes) {
		struct vhdx_log_sequence sequence;
		uint64_t bytes;

		TRY(read_sequence(file, ring, (uint32_t)start, headless, &sequence, &bytes));
		if (bytes && sequence.last_number > best.last_number)
			best = sequence;
		/* A run that starts within this one would end where it ends. */
		start += bytes ? bytes : SECTOR;
	}
	*ret_found = best.last_number;
	if (*ret_found)
		*ret_sequence = best;
	return NULL;
}

struct err *vhdx_log_find(struct blk *file, const struct vhdx_log_ring *ring,
			  struct vhdx_log_sequence *ret_sequence, bool *ret_found)
{
	return find_best(file, ring, false, ret_sequence, ret_found);
}

struct err *vhdx_log_salvage(struct blk *file, const struct vhdx_log_ring *ring,
			     struct vhdx_log_sequence *ret_sequence, bool *ret_found)
{
	return find_best(file, ring, true, ret_sequence, ret_found);
}

static struct err *walk_data(struct blk *file, const struct vhdx_log_ring *ring, uint32_t sector_start,
			     const uint8_t *descriptor, vhdx_log_fn fn, void *arg)
{
	struct vhdx_disk_log_data_descriptor data;
	struct vhdx_disk_log_data_sector sector;
	uint8_t restored[SECTOR];

	memcpy(&data, descriptor, sizeof data);
	TRY(read_sector(file, ring, sector_start, (uint8_t *)&sector));
	memcpy(restored, data.leading_bytes, VHDX_LOG_LEADING_BYTES);
	memcpy(restored + VHDX_LOG_LEADING_BYTES, sector.data, VHDX_LOG_MIDDLE_BYTES);
	memcpy(restored + VHDX_LOG_LEADING_BYTES + VHDX_LOG_MIDDLE_BYTES, data.trailing_bytes,
	       VHDX_LOG_TRAILING_BYTES);
	return fn(arg, le64_get(data.file_offset), restored, SECTOR);
}

static struct err *walk_entry(struct blk *file, const struct vhdx_log_ring *ring, struct entry *entry,
			      vhdx_log_fn fn, void *arg)
{
	uint64_t data_at = descriptors_bytes(entry->descriptor_count);
	uint8_t sector[SECTOR];

	TRY(read_sector(file, ring, entry->start, sector));
	for (uint64_t i = 0; i < entry->descriptor_count; i++) {
		uint64_t at = HEADER_BYTES + i * DESCRIPTOR_BYTES;
		const uint8_t *descriptor = sector + at % SECTOR;
		struct vhdx_disk_log_zero_descriptor zero;
		bool is_data;

		if (at % SECTOR == 0)
			TRY(read_sector(file, ring, ring_add(ring, entry->start, at), sector));
		/* Judged when the sequence was found; but the file may be changing under us. */
		if (!check_descriptor(descriptor, entry, ring, &is_data))
			return err_failed("%s: the log changes while it is read", file->name);
		memcpy(&zero, descriptor, sizeof zero);
		if (!is_data) {
			TRY(fn(arg, le64_get(zero.file_offset), NULL, le64_get(zero.zero_length)));
			continue;
		}
		TRY(walk_data(file, ring, ring_add(ring, entry->start, data_at), descriptor, fn, arg));
		data_at += SECTOR;
	}
	return NULL;
}

struct err *vhdx_log_walk(struct blk *file, const struct vhdx_log_ring *ring,
			  const struct vhdx_log_sequence *sequence, vhdx_log_fn fn, void *arg)
{
	uint32_t start = sequence->tail;

	for (uint64_t i = 0; i < sequence->entry_count; i++) {
		struct entry entry;
		bool valid;

		TRY(read_entry(file, ring, start, &entry, &valid));
		if (!valid || entry.number != sequence->first_number + i)
			return err_failed("%s: the log changes while it is read", file->name);
		TRY(walk_entry(file, ring, &entry, fn, arg));
		start = ring_add(ring, start, entry.length_bytes);
	}
	return NULL;
}

struct err *vhdx_log_read(struct blk *file, const struct vhdx_headers *headers, struct findings *findings,
			  struct vhdx_log_sequence *ret_sequence)
{
	struct vhdx_log_ring ring = {headers->current.log_offset, headers->current.log_length,
				     headers->current.log_guid};
	bool found;

	TRY(vhdx_log_find(file, &ring, ret_sequence, &found));
	if (!found) {
		findings_add(findings, FINDING_FATAL, ring.file_offset,
			     "the log is in use, but holds no valid entry");
		return NULL;
	}
	if (ret_sequence->flushed_file_offset > file->size_bytes)
		findings_add(findings, FINDING_FATAL, file->size_bytes,
			     "the file is truncated: it was at least %" PRIu64
			     " bytes long when its log was written, and now has %" PRIu64,
			     ret_sequence->flushed_file_offset, file->size_bytes);
	if (ret_sequence->flushed_file_offset % VHDX_MIB || ret_sequence->last_file_offset % VHDX_MIB)
		findings_add(findings, FINDING_WARNING, ring.file_offset,
			     "the log gives file lengths (%" PRIu64 ", %" PRIu64
			     ") that are no multiples of 1 MiB",
			     ret_sequence->flushed_file_offset, ret_sequence->last_file_offset);
	if (ret_sequence->has_reserved)
		findings_add(findings, FINDING_WARNING, ring.file_offset,
			     "reserved fields of log entries are not zero");
	return NULL;
}
