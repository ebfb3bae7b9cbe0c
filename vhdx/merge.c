/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Merging a child into its parent.  The child reads the same at every moment, so
 * that whatever interrupts it, nothing is lost, and it can be done again:
 *	1. The child's locator gets, as parent_linkage2, the DataWriteGuid that the
 *	   parent is going to have ([MS-VHDX] 2.6.2.6.3, note 12).
 *	2. The parent gets that DataWriteGuid, then what the child holds, which the
 *	   child goes on to show from itself.  All of it is made durable.
 *	3. The child's locator names the new DataWriteGuid alone.
 *	4. The child is emptied; now the parent shows through.
 *
 * Other children of the same parent are of no use from step 2 on: their content
 * went with the parent as it was.
 */
#include "vhdx/merge.h"

#include <inttypes.h>

#include "vhdx/child.h"
#include "vhdx/pieces.h"

#define BUFFER_BYTES VHDX_MIB

struct merge {
	struct vhdx *child;
	struct blk *parent;
	const struct vhdx_merge_options *options;
};

static struct err *copy_bytes(struct merge *merge, uint8_t *buffer, uint64_t file_offset, uint64_t offset,
			      uint64_t len_bytes)
{
	while (len_bytes) {
		uint64_t bytes = len_bytes < BUFFER_BYTES ? len_bytes : BUFFER_BYTES;

		TRY(blk_pread(merge->child->file, buffer, bytes, file_offset));
		TRY(blk_is_zero(buffer, bytes) ? blk_zero(merge->parent, bytes, offset, BLK_MAY_TRIM)
					       : blk_pwrite(merge->parent, buffer, bytes, offset, 0));
		file_offset += bytes;
		offset += bytes;
		len_bytes -= bytes;
	}
	return NULL;
}

/* The sectors of a partially present block that are in the child. */
static struct err *copy_sectors(struct merge *merge, uint8_t *buffer, uint64_t file_offset, uint64_t offset,
				uint64_t len_bytes)
{
	while (len_bytes) {
		uint64_t bytes;
		bool present;

		TRY(vhdx_sector_run(merge->child, offset, len_bytes, &present, &bytes));
		if (present)
			TRY(copy_bytes(merge, buffer, file_offset, offset, bytes));
		file_offset += bytes;
		offset += bytes;
		len_bytes -= bytes;
	}
	return NULL;
}

/* A piece is whole blocks of both files, but for the end of the disk. */
static struct err *merge_piece(void *arg, void *buffer, uint64_t offset, size_t len_bytes)
{
	struct merge *merge = arg;
	const struct vhdx_geometry *geometry = &merge->child->metadata.geometry;
	uint64_t end = offset + len_bytes;

	while (offset < end) {
		uint64_t first = offset >> geometry->block_shift, bytes;
		struct vhdx_run run;

		TRY(vhdx_lookup(merge->child, first, ((end - 1) >> geometry->block_shift) - first + 1, &run));
		bytes = run.count << geometry->block_shift;
		if (bytes > end - offset)
			bytes = end - offset;
		if (run.state == VHDX_BLOCK_PARTIALLY_PRESENT)
			TRY(copy_sectors(merge, buffer, run.file_offset, offset, bytes));
		else if (run.state == VHDX_BLOCK_FULLY_PRESENT)
			TRY(copy_bytes(merge, buffer, run.file_offset, offset, bytes));
		else if (run.state == VHDX_BLOCK_ZERO)
			TRY(blk_zero(merge->parent, bytes, offset, BLK_MAY_TRIM));
		else if (run.state != VHDX_BLOCK_NOT_PRESENT)
			TRY(blk_discard(merge->parent, bytes, offset));
		progress_add(merge->options->progress, bytes);
		offset += bytes;
	}
	return NULL;
}

static struct err *copy_content(struct merge *merge)
{
	struct extent disk = {0, merge->child->blk.size_bytes};
	uint32_t piece_bytes = merge->child->metadata.geometry.block_bytes;

	if (merge->parent->preferred_bytes > piece_bytes)
		piece_bytes = merge->parent->preferred_bytes;
	TRY(pieces_run(&(struct piece_job){
		.set = &(struct extents){&disk, 1, 1},
		.piece_bytes = piece_bytes,
		.buffer_bytes = BUFFER_BYTES,
		.threads = merge->options->threads,
		.run = merge_piece,
		.arg = merge,
	}));
	return vhdx_finish(merge->parent);
}

static struct err *check(struct blk *blk)
{
	struct vhdx *child = vhdx_of(blk), *parent;

	if (!child || !child->metadata.geometry.has_parent)
		return err_advise(
			err_refused("%s: is no differencing file: there is nothing to merge it into",
				    blk->name),
			"name the file that was made over another");
	parent = child->parent ? vhdx_of(child->parent) : NULL;
	if (blk->flags & BLK_READ_ONLY || !parent || child->parent->flags & BLK_READ_ONLY)
		return err_failed("%s: cannot be merged: it and its parent must be open for writing",
				  blk->name);
	if (child->metadata.is_incomplete || parent->metadata.is_incomplete)
		return err_advise(
			err_refused("%s: cannot be merged: it, or its parent, is incomplete", blk->name),
			"wait until what is writing them has finished");
	if (child->blk.size_bytes != parent->blk.size_bytes)
		return err_advise(err_refused("%s: cannot be merged: it is a disk of %" PRIu64
					      " bytes, its parent %s of %" PRIu64,
					      blk->name, child->blk.size_bytes, parent->blk.name,
					      parent->blk.size_bytes),
				  "make a disk of its own of it with 'p2v vhdx convert'");
	return NULL;
}

struct err *vhdx_merge(struct blk *blk, const struct vhdx_merge_options *options)
{
	static const struct vhdx_merge_options none;
	struct merge merge = {.options = options ? options : &none};
	struct vhdx_linkage linkage;
	struct vhdx *parent;

	TRY(check(blk));
	merge.child = vhdx_of(blk);
	merge.parent = merge.child->parent;
	parent = vhdx_of(merge.parent);
	TRY(blk_flush(blk));
	linkage.ids[0] = parent->headers.current.data_write_guid;
	TRY(guid_make(&linkage.ids[1]));
	TRY(vhdx_set_linkage(merge.child, &linkage));
	TRY(vhdx_begin_changes_as(parent, &linkage.ids[1]));
	TRY(copy_content(&merge));
	linkage.ids[0] = linkage.ids[1];
	linkage.ids[1] = (struct guid){0};
	TRY(vhdx_set_linkage(merge.child, &linkage));
	TRY(vhdx_empty_child(merge.child));
	return vhdx_finish(blk);
}

struct blk *vhdx_parent(struct blk *blk)
{
	struct vhdx *vhdx = vhdx_of(blk);

	return vhdx ? vhdx->parent : NULL;
}
