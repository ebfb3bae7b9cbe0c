/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How a virtual disk is cut into blocks, and where in the BAT each block's
 * entry is ([MS-VHDX] 2.4, 2.5).  Plain arithmetic: no I/O, no allocation.
 */
#ifndef VHDX_GEOMETRY_H
#define VHDX_GEOMETRY_H

#include <stdbool.h>
#include <stdint.h>

struct vhdx_geometry {
	uint64_t size_bytes; /* of the virtual disk */
	uint32_t block_bytes;
	uint32_t block_shift; /* log2 of block_bytes */
	uint32_t logical_sector_bytes;
	uint32_t physical_sector_bytes;
	bool has_parent;
	uint32_t chunk_shift; /* log2 of the chunk ratio: payload blocks for each sector bitmap block */
	uint64_t block_count; /* payload blocks; the last one may reach behind the disk's end */
	uint64_t bat_entry_count;
};

enum vhdx_geometry_status {
	VHDX_GEOMETRY_OK,
	VHDX_GEOMETRY_SIZE_ZERO,
	VHDX_GEOMETRY_SIZE_TOO_LARGE,
	VHDX_GEOMETRY_SIZE_UNALIGNED,
	VHDX_GEOMETRY_BLOCK,
	VHDX_GEOMETRY_LOGICAL_SECTOR,
	VHDX_GEOMETRY_PHYSICAL_SECTOR,
};

/* Fills in what follows from the five inputs already set in geometry (the two shifts and counts). */
enum vhdx_geometry_status vhdx_geometry_derive(struct vhdx_geometry *geometry);
const char *vhdx_geometry_status_text(enum vhdx_geometry_status status);

/* Index in the BAT of a payload block's entry. */
uint64_t vhdx_geometry_bat_index(const struct vhdx_geometry *geometry, uint64_t block);

/* Index in the BAT of the entry of a chunk's sector bitmap block. */
uint64_t vhdx_geometry_bitmap_index(const struct vhdx_geometry *geometry, uint64_t chunk);

/* The other way round; false if that entry is a sector bitmap's. */
bool vhdx_geometry_block_at(const struct vhdx_geometry *geometry, uint64_t bat_index, uint64_t *ret_block);

/* Payload entries that the BAT has.  A differencing file's last chunk is whole, so that its bitmap's entry
 * has its place: some entries may be of blocks behind the disk's end ([MS-VHDX] 2.5). */
uint64_t vhdx_geometry_payload_entries(const struct vhdx_geometry *geometry);

/* Bytes of a payload block that are on the disk: block_bytes, less for the last one. */
uint64_t vhdx_geometry_used_bytes(const struct vhdx_geometry *geometry, uint64_t block);

#endif
