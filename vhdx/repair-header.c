// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Repairing the identifier, the headers and the log.
 *
 * The valid header with the higher number is believed, but for the log's place:
 * that practically never changes, so where it makes no sense the other header's
 * is tried.  Of damaged headers the fields are believed that make sense by
 * themselves.  A log is replayed as far as its entries are whole: each has a
 * checksum, and the GUID of the header that it belongs to.
 */
#include <inttypes.h>
#include <string.h>

#include "vhdx/log.h"
#include "vhdx/repair-plan.h"
#include "vhdx/replay.h"

/* Numbers are written anew; one that leaves no room to count on does not stay. */
#define LAST_NUMBER (UINT64_MAX - 8)

struct slot {
	struct vhdx_disk_header disk;
	struct vhdx_header header; /* its fields, valid or not */
	bool valid;
	bool has_log_place; /* one that makes sense */
};

static bool has_valid_slot(const struct slot slots[2])
{
	return slots[0].valid || slots[1].valid;
}

static struct err *read_slots(struct vhdx_repair *r, struct slot slots[2])
{
	for (unsigned i = 0; i < 2; i++) {
		struct slot *slot = &slots[i];
		struct vhdx_disk_header disk;

		TRY(blk_pread(r->io, &disk, sizeof disk, vhdx_header_offset(i)));
		slot->disk = disk;
		slot->valid = vhdx_header_decode(&disk, &slot->header);
		/* Decoded all the same: made valid for that. */
		disk.signature = le32_make(VHDX_HEADER_SIGNATURE);
		vhdx_checksum_set(&disk, sizeof disk);
		(void)vhdx_header_decode(&disk, &slot->header);
		slot->has_log_place = slot->header.log_length && slot->header.log_length % VHDX_MIB == 0 &&
				      slot->header.log_offset % VHDX_MIB == 0 &&
				      slot->header.log_offset >= VHDX_MIB &&
				      slot->header.log_offset < r->io->size_bytes &&
				      slot->header.log_length <= r->io->size_bytes - slot->header.log_offset;
	}
	return NULL;
}

static struct err *refuse_foreign(const struct vhdx_repair *r)
{
	return err_advise(err_refused("%s: is not a VHDX: neither its first bytes nor a header nor a region "
				      "table is one's",
				      r->file->name),
			  "name a VHDX file");
}

/* Something with a checksum must speak for a file whose first bytes do not. */
struct err *repair_identifier(struct vhdx_repair *r)
{
	CLEANUP_FREE uint8_t *table = malloc(VHDX_REGION_TABLE_BYTES);
	const le64 wanted = le64_make(VHDX_FILE_SIGNATURE);
	struct slot slots[2];
	bool is_vhdx, has_signature;
	le64 found = le64_make(0);

	if (!table)
		return err_nomem();
	if (r->io->size_bytes >= sizeof found)
		TRY(blk_pread(r->io, &found, sizeof found, VHDX_FILE_IDENTIFIER_OFFSET));
	has_signature = le64_get(found) == VHDX_FILE_SIGNATURE;
	if (r->io->size_bytes < VHDX_MIB && !has_signature)
		return refuse_foreign(r);
	if (r->io->size_bytes < VHDX_MIB)
		return repair_refuse(r, "it has only %" PRIu64 " bytes, less than a VHDX's header section",
				     r->io->size_bytes);
	if (has_signature)
		return NULL;
	TRY(read_slots(r, slots));
	is_vhdx = has_valid_slot(slots);
	for (unsigned i = 0; i < 2 && !is_vhdx; i++) {
		TRY(blk_pread(r->io, table, VHDX_REGION_TABLE_BYTES,
			      i ? VHDX_REGION_TABLE_2_OFFSET : VHDX_REGION_TABLE_1_OFFSET));
		is_vhdx = vhdx_region_table_is_valid(table);
	}
	if (!is_vhdx)
		return refuse_foreign(r);
	TRY(blk_pwrite(r->io, &wanted, sizeof wanted, VHDX_FILE_IDENTIFIER_OFFSET, 0));
	return repair_note(r, 0, "the file does not begin with \"vhdxfile\": written anew");
}

/* True if the log at a header's place has entries of that header. */
static struct err *log_is_there(struct vhdx_repair *r, const struct vhdx_header *header, bool *ret_found)
{
	struct vhdx_log_ring ring = {header->log_offset, header->log_length, header->log_guid};
	struct vhdx_log_sequence sequence;

	*ret_found = false;
	return guid_is_zero(&header->log_guid) ? NULL : vhdx_log_find(r->io, &ring, &sequence, ret_found);
}

/* Two different headers with one number: one of them may have a log that speaks for it. */
static struct err *choose_of_equals(struct vhdx_repair *r, const struct slot slots[2], unsigned *ret_slot)
{
	bool found = false;

	*ret_slot = 0;
	if (slots[1].has_log_place)
		TRY(log_is_there(r, &slots[1].header, &found));
	if (found)
		*ret_slot = 1;
	return repair_note(r, vhdx_header_offset(*ret_slot),
			   "two different headers have the same sequence number %" PRIu64
			   ": header %u is taken",
			   slots[0].header.sequence_number, *ret_slot + 1);
}

/* Which header counts. */
static struct err *choose(struct vhdx_repair *r, const struct slot slots[2], unsigned *ret_slot)
{
	const struct vhdx_header *a = &slots[0].header, *b = &slots[1].header;
	bool same = !memcmp(&slots[0].disk, &slots[1].disk, sizeof slots[0].disk);

	if (slots[0].valid && slots[1].valid && a->sequence_number == b->sequence_number && !same)
		return choose_of_equals(r, slots, ret_slot);
	if (slots[0].valid && slots[1].valid) {
		*ret_slot = b->sequence_number > a->sequence_number;
		return NULL;
	}
	if (has_valid_slot(slots)) {
		*ret_slot = slots[1].valid;
		return repair_note(r, vhdx_header_offset(!*ret_slot),
				   "header %u is damaged: written anew from header %u", !*ret_slot + 1,
				   *ret_slot + 1);
	}
	*ret_slot = !slots[0].has_log_place && slots[1].has_log_place;
	return repair_note(r, VHDX_HEADER_1_OFFSET,
			   "both headers are damaged: written anew from what they hold");
}

/* The log's place by this header, else by the other one; has_log_place tells whether there is one. */
static struct err *find_log_place(struct vhdx_repair *r, const struct slot slots[2], unsigned slot)
{
	struct vhdx_header *header = &r->headers.current;
	const struct slot *other = &slots[!slot];

	r->has_log_place = slots[slot].has_log_place;
	if (r->has_log_place)
		return NULL;
	if (other->has_log_place) {
		header->log_offset = other->header.log_offset;
		header->log_length = other->header.log_length;
		r->has_log_place = true;
		return repair_note(
			r, vhdx_header_offset(slot),
			"the header's log place makes no sense: that of the other header is taken");
	}
	header->log_offset = 0;
	header->log_length = 0;
	if (guid_is_zero(&header->log_guid))
		return NULL;
	header->log_guid = (struct guid){0};
	return repair_lose(r, 0, UINT64_MAX, VHDX_LOSS_DOUBT, "the log, with changes in it, cannot be found");
}

struct err *repair_headers(struct vhdx_repair *r)
{
	struct slot slots[2];
	struct vhdx_header *header = &r->headers.current;
	unsigned slot;

	TRY(read_slots(r, slots));
	TRY(choose(r, slots, &slot));
	*header = slots[slot].header;
	r->headers.slot = slot;
	r->headers.other_is_valid = true;
	if (slots[slot].valid && header->version != VHDX_VERSION)
		return err_advise(
			err_refused("%s: format version %u is unknown", r->file->name, header->version),
			"a newer kind of VHDX: repair it where it was made");
	if (header->sequence_number >= LAST_NUMBER)
		header->sequence_number = 0;
	if (slots[slot].valid && !blk_is_zero(slots[slot].disk.reserved, sizeof slots[slot].disk.reserved))
		TRY(repair_note(r, vhdx_header_offset(slot), "reserved bytes of header %u: cleared",
				slot + 1));
	return find_log_place(r, slots, slot);
}

/* Applies a sequence in the overlay.  A log that writes where nothing can be is as none at all. */
static struct err *replay(struct vhdx_repair *r, const struct vhdx_log_ring *ring,
			  const struct vhdx_log_sequence *sequence, bool *ret_done)
{
	CLEANUP_BLK struct blk *replayed = NULL;
	struct err *err = vhdx_replay_create(r->io, ring, sequence, &replayed);

	*ret_done = !err;
	if (err && err_kind(err) == ERR_REFUSED) {
		err_free(err);
		return NULL;
	}
	return err ? err : vhdx_replay_apply(replayed);
}

static struct err *replay_what_is_whole(struct vhdx_repair *r, const struct vhdx_log_ring *ring)
{
	struct vhdx_log_sequence sequence;
	bool found, done = false;

	TRY(vhdx_log_find(r->io, ring, &sequence, &found));
	if (found)
		TRY(replay(r, ring, &sequence, &done));
	if (done && sequence.flushed_file_offset > r->file->size_bytes) {
		r->data_end = r->file->size_bytes;
		TRY(repair_note(r, r->data_end, "the file is truncated: it had %" PRIu64 " bytes once",
				sequence.flushed_file_offset));
	}
	if (done)
		return repair_note(r, ring->file_offset,
				   "the file was not closed properly: %" PRIu64 " log entries are replayed",
				   sequence.entry_count);
	TRY(vhdx_log_salvage(r->io, ring, &sequence, &found));
	if (found)
		TRY(replay(r, ring, &sequence, &done));
	TRY(repair_lose(r, 0, UINT64_MAX, VHDX_LOSS_DOUBT,
			"the log was damaged: last changes may be missing"));
	if (done)
		return repair_note(r, ring->file_offset,
				   "the log is damaged: its last %" PRIu64
				   " entries, which are whole, are replayed",
				   sequence.entry_count);
	return repair_note(r, ring->file_offset, "the log cannot be replayed: emptied");
}

struct err *repair_log(struct vhdx_repair *r)
{
	struct vhdx_header *header = &r->headers.current;
	struct vhdx_log_ring ring = {header->log_offset, header->log_length, header->log_guid};

	if (!guid_is_zero(&header->log_guid))
		TRY(replay_what_is_whole(r, &ring));
	else if (header->log_version != VHDX_LOG_VERSION)
		TRY(repair_note(r, vhdx_header_offset(r->headers.slot), "log version %u is unknown: set to 0",
				header->log_version));
	header->log_guid = (struct guid){0};
	return NULL;
}

/* DataWriteGuid tells children that their parent is as they know it: it stays if the content does. */
struct err *repair_write_headers(struct vhdx_repair *r)
{
	struct vhdx_header header = r->headers.current;

	header.version = VHDX_VERSION;
	header.log_version = VHDX_LOG_VERSION;
	TRY(guid_make(&header.file_write_guid));
	if (r->loss_count || guid_is_zero(&header.data_write_guid))
		TRY(guid_make(&header.data_write_guid));
	/* Both slots. */
	TRY(vhdx_headers_update(r->io, &r->headers, &header));
	return vhdx_headers_update(r->io, &r->headers, &header);
}
