/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Opening: header, log, regions, metadata, parent, BAT, each found through the one before.
 *
 * Everything is read and judged with the log applied in memory; only when the
 * file has turned out to be one that we can write is the log applied in it.
 */
#include <inttypes.h>

#include "vhdx/chain.h"
#include "vhdx/device.h"

/* A map of this size is read at once, which costs milliseconds and finds a truncated file before work on
 * it begins: that of 1 TiB in blocks of 2 MiB. */
#define EAGER_MAP_BYTES (4 * VHDX_MIB)

static struct err *read_log(struct vhdx *vhdx, struct findings *findings)
{
	const struct vhdx_header *header = &vhdx->headers.current;
	struct vhdx_log_ring ring = {header->log_offset, header->log_length, header->log_guid};
	struct vhdx_log_sequence sequence = {0};

	vhdx->log_found.guid = header->log_guid;
	if (guid_is_zero(&header->log_guid))
		return NULL;
	TRY(vhdx_log_read(vhdx->file, &vhdx->headers, findings, &sequence));
	if (findings->fatal)
		return NULL;
	TRY(vhdx_replay_create(vhdx->file, &ring, &sequence, &vhdx->replayed));
	vhdx->io = vhdx->replayed;
	vhdx->log_found.replayed_entries = sequence.entry_count;
	log_info(vhdx->log, "%s: was not closed properly; %" PRIu64 " log entries are replayed",
		 vhdx->file->name, sequence.entry_count);
	return NULL;
}

static struct err *read_structures(struct vhdx *vhdx, struct findings *findings)
{
	const struct vhdx_header *header = &vhdx->headers.current;

	TRY(vhdx_headers_read(vhdx->file, findings, &vhdx->headers));
	if (findings->fatal)
		return NULL;
	TRY(read_log(vhdx, findings));
	if (findings->fatal)
		return NULL;
	TRY(vhdx_regions_read(vhdx->io, header->log_offset, header->log_length, findings, &vhdx->regions));
	if (findings->fatal)
		return NULL;
	TRY(vhdx_metadata_read(vhdx->io, &vhdx->regions.metadata, findings, &vhdx->metadata));
	if (findings->fatal)
		return NULL;
	if (vhdx->metadata.geometry.bat_entry_count * VHDX_BAT_ENTRY_BYTES > vhdx->regions.bat.length_bytes)
		findings_add(findings, FINDING_FATAL, vhdx->regions.bat.file_offset,
			     "the BAT (%" PRIu32 " bytes) is too small for a disk of %" PRIu64 " bytes",
			     vhdx->regions.bat.length_bytes, vhdx->metadata.geometry.size_bytes);
	return NULL;
}

/* What is fine with the file, but not for this purpose. */
static struct err *check_purpose(const struct vhdx *vhdx, unsigned flags)
{
	const char *name = vhdx->file->name;

	if (flags & VHDX_OPEN_INSPECT)
		return NULL;
	if (vhdx->metadata.is_incomplete && !(flags & VHDX_OPEN_INCOMPLETE))
		return err_advise(
			err_refused("%s: is incomplete: what was writing it has not finished", name),
			"wait until it has, or repeat what was interrupted");
	if (flags & VHDX_OPEN_WRITE && !vhdx->headers.current.log_length)
		return err_advise(
			err_refused("%s: has no log, without which it cannot be changed safely", name),
			"make a copy with 'p2v vhdx convert' and change that");
	return NULL;
}

/* [MS-VHDX] 2.3.3: a new FileWriteGuid, the log applied, then emptied. */
static struct err *apply_log(struct vhdx *vhdx)
{
	struct vhdx_header header = vhdx->headers.current;

	TRY(guid_make(&header.file_write_guid));
	TRY(vhdx_headers_update(vhdx->file, &vhdx->headers, &header));
	TRY(vhdx_replay_apply(vhdx->replayed));
	TRY(vhdx_log_empty(vhdx->file, &vhdx->commit.log, &vhdx->headers));
	vhdx->io = vhdx->file;
	return blk_close(take_ptr(vhdx->replayed));
}

/* Finds the parent of a differencing file, or takes the one that is given; *ret_found is set, if it must be
 * closed in case that opening fails. */
static struct err *choose_parent(struct vhdx *vhdx, const struct vhdx_opening *opening,
				 struct blk **ret_found)
{
	if (!vhdx->metadata.geometry.has_parent || opening->flags & VHDX_OPEN_INSPECT)
		return opening->parent ? err_refused("%s: has no parent, but is given one", vhdx->blk.name)
				       : NULL;
	if (opening->parent)
		return vhdx_chain_check_parent(vhdx, opening->parent);
	TRY(vhdx_chain_open_parent(vhdx, opening->flags, opening->children, ret_found));
	return vhdx_chain_check_parent(vhdx, *ret_found);
}

static struct err *open_checked(struct vhdx *vhdx, const struct vhdx_opening *opening)
{
	CLEANUP_FINDINGS struct findings findings = {.name = vhdx->file->name, .log = opening->log};
	bool writable = opening->flags & VHDX_OPEN_WRITE;
	CLEANUP_BLK struct blk *found = NULL;

	TRY(read_structures(vhdx, &findings));
	TRY(findings_take_error(&findings));
	TRY(check_purpose(vhdx, opening->flags));
	TRY(choose_parent(vhdx, opening, &found));
	TRY(vhdx_device_start(vhdx, writable ? BLK_FAST_ZERO : BLK_READ_ONLY, 0));
	if (!(opening->flags & VHDX_OPEN_INSPECT) &&
	    vhdx->metadata.geometry.bat_entry_count * VHDX_BAT_ENTRY_BYTES <= EAGER_MAP_BYTES)
		TRY(vhdx_bat_load_all(&vhdx->bat, vhdx->io));
	if (writable && vhdx->replayed)
		TRY(apply_log(vhdx));
	vhdx->parent = found ? take_ptr(found) : opening->parent;
	return NULL;
}

struct err *vhdx_open_device(struct blk *file, const struct vhdx_opening *opening, struct blk **ret_blk)
{
	CLEANUP_VHDX_DEVICE struct vhdx *vhdx = NULL;

	if (opening->flags & VHDX_OPEN_WRITE && opening->flags & VHDX_OPEN_INSPECT)
		return err_failed("%s: cannot be opened for writing only to look into it", file->name);
	if (opening->flags & VHDX_OPEN_WRITE && file->flags & BLK_READ_ONLY)
		return err_refused("%s: is read-only", file->name);
	TRY(vhdx_device_create(file, opening->log, &vhdx));
	TRY(open_checked(vhdx, opening));
	*ret_blk = &take_ptr(vhdx)->blk;
	return NULL;
}

struct err *vhdx_open_on(struct blk *file, unsigned flags, const struct log *log, struct blk **ret_blk)
{
	return vhdx_open_device(file, &(struct vhdx_opening){.flags = flags, .log = log}, ret_blk);
}

struct err *vhdx_open_over(struct blk *file, struct blk *parent, unsigned flags, const struct log *log,
			   struct blk **ret_blk)
{
	return vhdx_open_device(file, &(struct vhdx_opening){.flags = flags, .log = log, .parent = parent},
				ret_blk);
}

struct err *vhdx_open(const char *path, unsigned flags, const struct log *log, struct blk **ret_blk)
{
	CLEANUP_BLK struct blk *file = NULL;

	TRY(blk_file_open(path, BLK_FILE_DIRECT | (flags & VHDX_OPEN_WRITE ? BLK_FILE_WRITE : 0), 0, &file));
	TRY(vhdx_open_on(file, flags, log, ret_blk));
	(void)take_ptr(file);
	return NULL;
}
