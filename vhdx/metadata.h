/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The metadata region: what the disk is, in a table of named items ([MS-VHDX] 2.6). */
#ifndef VHDX_METADATA_H
#define VHDX_METADATA_H

#include "p2v/base/blk.h"
#include "vhdx/findings.h"
#include "vhdx/format.h"
#include "vhdx/geometry.h"
#include "vhdx/region.h"

struct vhdx_item {
	struct guid guid;
	uint32_t offset; /* in the region; 0 if empty */
	uint32_t length_bytes;
	uint32_t flags; /* VHDX_METADATA_IS_* */
};

struct vhdx_metadata {
	struct vhdx_item *items; /* as in the table, unknown ones too */
	size_t count;
	struct vhdx_geometry geometry;
	struct guid disk_id;
	bool is_fixed;
	bool is_incomplete;
	uint32_t reserved_parameters; /* bits of the file parameters that must be 0 */
	uint8_t *new_locator; /* of a new differencing file: the parent locator as it lies on disk */
	uint32_t new_locator_bytes;
};

void vhdx_metadata_deinit(struct vhdx_metadata *metadata);

/* "file parameters", …; NULL: unknown to us. */
const char *vhdx_item_name(const struct vhdx_item *item);

/* The item of the system with this GUID; NULL if there is none. */
const struct vhdx_item *vhdx_metadata_find(const struct vhdx_metadata *metadata, const struct guid *guid);

/*
 * Reads and judges the table and every known item.  ret_metadata, zero-initialised,
 * gets the items as far as they can be read; without a fatal finding all of it is
 * set.  An incomplete file and one with a parent are no findings.
 */
struct err *vhdx_metadata_read(struct blk *file, const struct vhdx_region *region, struct findings *findings,
			       struct vhdx_metadata *ret_metadata) ERR_MUST_CHECK;

/*
 * Takes the value of one item that lies within its region into ret_metadata.
 * ret_basic: it is one that every file has, of the right length; else nothing is
 * taken.
 */
struct err *vhdx_metadata_take(struct blk *file, const struct vhdx_region *region,
			       const struct vhdx_item *item, struct vhdx_metadata *ret_metadata,
			       bool *ret_basic) ERR_MUST_CHECK;

/* The item that every file has whose GUID is this, but for 4 of its 16 bytes at most: its GUID, flags and
 * length go into *item.  False if there is none. */
bool vhdx_metadata_nearest(struct vhdx_item *item);

/* A new file's metadata; geometry is derived already. */
#define VHDX_METADATA_NEW_BYTES (VHDX_METADATA_TABLE_BYTES + 4096) /* without a parent locator */
size_t vhdx_metadata_new_bytes(const struct vhdx_metadata *metadata);
/* Fills the start of the metadata region, vhdx_metadata_new_bytes() of it. */
void vhdx_metadata_encode(const struct vhdx_metadata *metadata, uint8_t *ret_bytes);

/* Takes the incomplete marker out of a table of VHDX_METADATA_TABLE_BYTES. */
void vhdx_metadata_table_complete(uint8_t *table);

/* Adds it to one that has none; false: the table is full. */
bool vhdx_metadata_table_mark(uint8_t *table);

#endif
