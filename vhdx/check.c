/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Checking a file: the same readers as opening, all their findings, and a walk
 * over the whole BAT with a map of which MiB of the file is whose.
 *
 * What a fatal finding leaves unknown cannot be checked further: without a header
 * there is no log, without region table no BAT.
 */
#include <inttypes.h>
#include <string.h>

#include "vhdx/bat.h"
#include "vhdx/findings.h"
#include "vhdx/header.h"
#include "vhdx/locator.h"
#include "vhdx/log.h"
#include "vhdx/metadata.h"
#include "vhdx/replay.h"

#define CHUNK_ENTRIES (VHDX_MIB / VHDX_BAT_ENTRY_BYTES)

struct checker {
	struct findings findings;
	struct blk *file;
	struct blk *replayed;
	struct blk *io;
	struct vhdx_headers headers;
	struct vhdx_regions regions;
	struct vhdx_metadata metadata;
	struct vhdx_bat_limits limits;
	uint64_t *used; /* a bit for each MiB of the file */
};

static void checker_deinit(struct checker *c)
{
	err_free(blk_close(c->replayed));
	vhdx_regions_deinit(&c->regions);
	vhdx_metadata_deinit(&c->metadata);
	findings_deinit(&c->findings);
	free(c->used);
}

static struct err *check_log(struct checker *c)
{
	const struct vhdx_header *header = &c->headers.current;
	struct vhdx_log_ring ring = {header->log_offset, header->log_length, header->log_guid};
	struct vhdx_log_sequence sequence = {0};
	struct err *err;

	if (guid_is_zero(&header->log_guid))
		return NULL;
	TRY(vhdx_log_read(c->file, &c->headers, &c->findings, &sequence));
	if (c->findings.fatal)
		return NULL;
	findings_add(&c->findings, FINDING_WARNING, header->log_offset,
		     "the file was not closed properly: %" PRIu64 " log entries are to be replayed",
		     sequence.entry_count);
	err = vhdx_replay_create(c->file, &ring, &sequence, &c->replayed);
	if (err && err_kind(err) == ERR_REFUSED) {
		findings_add(&c->findings, FINDING_FATAL, header->log_offset, "%s", err_message(err));
		err_free(err);
		return NULL;
	}
	if (!err)
		c->io = c->replayed;
	return err;
}

/* Marks a place as used; false if part of it is in use already. */
static bool take(struct checker *c, uint64_t start, uint64_t bytes)
{
	bool was_free = true;

	for (uint64_t mib = start / VHDX_MIB; mib < (start + bytes + VHDX_MIB - 1) / VHDX_MIB; mib++) {
		was_free &= !(c->used[mib / 64] >> mib % 64 & 1);
		c->used[mib / 64] |= 1ull << mib % 64;
	}
	return was_free;
}

/* A place that is kept for a block without content must be nobody else's, or Windows refuses the file. */
static void check_anchor(struct checker *c, uint64_t i, uint64_t block, uint64_t entry)
{
	uint64_t at = c->regions.bat.file_offset + i * VHDX_BAT_ENTRY_BYTES;
	enum vhdx_entry_status status = vhdx_anchor_check(&c->limits, block, entry);

	if (status != VHDX_ENTRY_OK)
		findings_add(&c->findings, FINDING_ERROR, at,
			     "BAT entry %" PRIu64 " is of a block without content, and %s", i,
			     vhdx_entry_status_text(status));
	else if (!take(c, vhdx_entry_anchor(entry), c->metadata.geometry.block_bytes))
		findings_add(&c->findings, FINDING_ERROR, at,
			     "BAT entry %" PRIu64
			     " is of a block without content, but its place at offset %" PRIu64
			     " is also another block's",
			     i, vhdx_entry_anchor(entry));
}

/* An entry that is not 0. */
static void check_entry(struct checker *c, uint64_t i, uint64_t entry)
{
	uint64_t at = c->regions.bat.file_offset + i * VHDX_BAT_ENTRY_BYTES, block;
	uint64_t start = entry & VHDX_BAT_OFFSET_MASK;
	bool is_payload = vhdx_geometry_block_at(&c->metadata.geometry, i, &block);
	enum vhdx_entry_status status = vhdx_entry_check(&c->limits, i, entry);
	uint64_t bytes = is_payload ? c->metadata.geometry.block_bytes : VHDX_BITMAP_BLOCK_BYTES;

	if (status != VHDX_ENTRY_OK) {
		findings_add(&c->findings, FINDING_ERROR, at, "BAT entry %" PRIu64 " (%s) %s", i,
			     is_payload ? "payload" : "sector bitmap", vhdx_entry_status_text(status));
		return;
	}
	if (entry & VHDX_BAT_RESERVED_MASK)
		findings_add(&c->findings, FINDING_WARNING, at, "BAT entry %" PRIu64 " has reserved bits set",
			     i);
	if (is_payload && block >= c->metadata.geometry.block_count)
		findings_add(&c->findings, FINDING_WARNING, at,
			     "BAT entry %" PRIu64 " is of a block behind the end of the disk", i);
	if (is_payload && vhdx_entry_anchor(entry))
		check_anchor(c, i, block, entry);
	if (!vhdx_state_has_space((enum vhdx_block_state)(entry & VHDX_BAT_STATE_MASK))) {
		if (start && (entry & VHDX_BAT_STATE_MASK) == VHDX_BLOCK_ZERO)
			findings_add(&c->findings, FINDING_ERROR, at,
				     "BAT entry %" PRIu64
				     " is of a zero block, but has an offset, which Windows refuses",
				     i);
		return;
	}
	if (start + bytes > c->io->size_bytes)
		findings_add(&c->findings, FINDING_WARNING, at,
			     "BAT entry %" PRIu64
			     " is of the last block, which ends behind the end of the file",
			     i);
	if (!take(c, start, bytes))
		findings_add(&c->findings, FINDING_ERROR, at,
			     "BAT entry %" PRIu64 " (%s): its place at offset %" PRIu64
			     " is also another block's",
			     i, is_payload ? "payload" : "sector bitmap", start);
}

/* In a differencing file a partially present block needs the sector bitmap of its chunk. */
static void check_bitmap_entry(struct checker *c, uint64_t i, uint64_t entry, bool *chunk_needs_bitmap)
{
	uint64_t state = entry & VHDX_BAT_STATE_MASK, block;

	if (vhdx_geometry_block_at(&c->metadata.geometry, i, &block)) {
		*chunk_needs_bitmap |= state == VHDX_BLOCK_PARTIALLY_PRESENT;
		return;
	}
	if (*chunk_needs_bitmap && state != VHDX_BITMAP_PRESENT)
		findings_add(&c->findings, FINDING_ERROR,
			     c->regions.bat.file_offset + i * VHDX_BAT_ENTRY_BYTES,
			     "BAT entry %" PRIu64
			     " (sector bitmap) is missing, but blocks of its chunk are partially present",
			     i);
	*chunk_needs_bitmap = false;
}

static struct err *check_bat(struct checker *c)
{
	const struct vhdx_geometry *geometry = &c->metadata.geometry;
	CLEANUP_FREE le64 *chunk = malloc(CHUNK_ENTRIES * sizeof *chunk);
	bool chunk_needs_bitmap = false;

	/* The last block may end behind the file. */
	c->used = calloc((c->io->size_bytes + VHDX_MAX_BLOCK_BYTES) / VHDX_MIB / 64 + 1, sizeof *c->used);
	if (!chunk || !c->used)
		return err_nomem();
	for (uint64_t first = 0; first < geometry->bat_entry_count; first += CHUNK_ENTRIES) {
		uint64_t count = geometry->bat_entry_count - first;

		if (count > CHUNK_ENTRIES)
			count = CHUNK_ENTRIES;
		TRY(blk_pread(c->io, chunk, count * sizeof *chunk,
			      c->regions.bat.file_offset + first * sizeof *chunk));
		for (uint64_t i = 0; i < count; i++) {
			if (le64_get(chunk[i]))
				check_entry(c, first + i, le64_get(chunk[i]));
			if (geometry->has_parent)
				check_bitmap_entry(c, first + i, le64_get(chunk[i]), &chunk_needs_bitmap);
		}
	}
	c->findings.counts.blocks_checked = geometry->block_count;
	return NULL;
}

static struct err *check_locator(struct checker *c)
{
	static const struct guid guid = VHDX_ITEM_PARENT_LOCATOR;
	const struct vhdx_item *item = vhdx_metadata_find(&c->metadata, &guid);
	CLEANUP_VHDX_LOCATOR struct vhdx_locator locator = {0};
	struct vhdx_linkage linkage;
	const char *wrong;
	struct err *err;

	if (!item || !c->metadata.geometry.has_parent)
		return NULL;
	err = vhdx_locator_read(c->io, &c->regions.metadata, &c->metadata, &locator);
	if (err && err_kind(err) != ERR_REFUSED)
		return err;
	wrong = err ? "is damaged" : vhdx_locator_check(&locator, &linkage);
	if (!wrong)
		wrong = locator.odd;
	err_free(err);
	if (locator.has_reserved)
		findings_add(&c->findings, FINDING_WARNING, c->regions.metadata.file_offset + item->offset,
			     "a reserved field of the parent locator is not zero");
	if (wrong)
		findings_add(&c->findings, FINDING_ERROR, c->regions.metadata.file_offset + item->offset,
			     "the parent locator %s", wrong);
	return NULL;
}

static void check_file(struct checker *c)
{
	static const struct guid locator = VHDX_ITEM_PARENT_LOCATOR;
	bool has_locator = vhdx_metadata_find(&c->metadata, &locator);

	if (c->file->size_bytes % VHDX_MIB)
		findings_add(&c->findings, FINDING_WARNING, c->file->size_bytes,
			     "the file's length (%" PRIu64 ") is no multiple of 1 MiB", c->file->size_bytes);
	if (c->metadata.is_incomplete)
		findings_add(&c->findings, FINDING_ERROR, c->regions.metadata.file_offset,
			     "the file is incomplete: what was writing it has not finished");
	if (c->metadata.geometry.has_parent != has_locator)
		findings_add(&c->findings, FINDING_ERROR, c->regions.metadata.file_offset,
			     has_locator ? "there is a parent locator, but the file has no parent"
					 : "the file has a parent, but no parent locator");
	if (guid_is_zero(&c->metadata.disk_id))
		findings_add(&c->findings, FINDING_WARNING, c->regions.metadata.file_offset,
			     "the disk's id is zero");
	if (guid_is_zero(&c->headers.current.data_write_guid) ||
	    guid_is_zero(&c->headers.current.file_write_guid))
		findings_add(&c->findings, FINDING_WARNING, vhdx_header_offset(c->headers.slot),
			     "the header's FileWriteGuid or DataWriteGuid is zero");
}

static struct err *check_all(struct checker *c)
{
	TRY(vhdx_headers_read(c->file, &c->findings, &c->headers));
	if (c->findings.fatal)
		return NULL;
	TRY(check_log(c));
	/* A log that cannot be replayed need not keep us from the rest, as it is in the file. */
	err_free(findings_take_error(&c->findings));
	TRY(vhdx_regions_read(c->io, c->headers.current.log_offset, c->headers.current.log_length,
			      &c->findings, &c->regions));
	if (c->findings.fatal)
		return NULL;
	TRY(vhdx_metadata_read(c->io, &c->regions.metadata, &c->findings, &c->metadata));
	if (c->findings.fatal)
		return NULL;
	check_file(c);
	TRY(check_locator(c));
	c->limits = (struct vhdx_bat_limits){
		.geometry = &c->metadata.geometry,
		.regions = &c->regions,
		.log_offset = c->headers.current.log_offset,
		.log_length = c->headers.current.log_length,
		.file_bytes = c->io->size_bytes,
	};
	if (c->metadata.geometry.bat_entry_count * VHDX_BAT_ENTRY_BYTES > c->regions.bat.length_bytes) {
		findings_add(&c->findings, FINDING_FATAL, c->regions.bat.file_offset,
			     "the BAT (%" PRIu32 " bytes) is too small for a disk of %" PRIu64 " bytes",
			     c->regions.bat.length_bytes, c->metadata.geometry.size_bytes);
		return NULL;
	}
	return check_bat(c);
}

struct err *vhdx_check_on(struct blk *file, vhdx_finding_fn fn, void *arg,
			  struct vhdx_check_result *ret_result)
{
	__attribute__((cleanup(checker_deinit))) struct checker c = {
		.findings = {.name = file->name, .fn = fn, .arg = arg},
		.file = file,
		.io = file,
	};

	TRY(check_all(&c));
	*ret_result = c.findings.counts;
	return NULL;
}

struct err *vhdx_check(const char *path, vhdx_finding_fn fn, void *arg, struct vhdx_check_result *ret_result)
{
	CLEANUP_BLK struct blk *file = NULL;

	TRY(blk_file_open(path, 0, 0, &file));
	return vhdx_check_on(file, fn, arg, ret_result);
}
