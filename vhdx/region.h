/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The region table: where the BAT and the metadata are ([MS-VHDX] 2.2.3). */
#ifndef VHDX_REGION_H
#define VHDX_REGION_H

#include "p2v/base/blk.h"
#include "vhdx/findings.h"
#include "vhdx/format.h"

struct vhdx_region {
	struct guid guid;
	uint64_t file_offset;
	uint32_t length_bytes;
	bool required;
};

struct vhdx_regions {
	struct vhdx_region *items; /* as in the table, unknown ones too */
	size_t count;
	struct vhdx_region bat;
	struct vhdx_region metadata;
};

void vhdx_regions_deinit(struct vhdx_regions *regions);

/* "BAT", "metadata"; NULL: unknown to us. */
const char *vhdx_region_name(const struct guid *guid);

/* Fills one table of VHDX_REGION_TABLE_BYTES, checksum included. */
void vhdx_region_table_encode(const struct vhdx_region *items, size_t count, uint8_t *ret_table);

/* Signature, checksum and number of entries are right. */
bool vhdx_region_table_is_valid(const uint8_t *table);

/*
 * Reads and judges both tables: alignment, overlap with one another and with the
 * log ([log_offset, log_offset + log_length)), the end of the file, regions that
 * are required but unknown.  ret_regions, zero-initialised, is filled as far as
 * the tables can be read; without a fatal finding bat and metadata are usable.
 */
struct err *vhdx_regions_read(struct blk *file, uint64_t log_offset, uint32_t log_length,
			      struct findings *findings, struct vhdx_regions *ret_regions) ERR_MUST_CHECK;

#endif
