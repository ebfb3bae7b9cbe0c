/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A VHD file as it lies on disk: "Virtual Hard Disk Image Format Specification",
 * version 1.0; the names in quotes are its headings.  Everything is big-endian.
 *
 *	fixed	the disk, then the footer
 *	dynamic	a copy of the footer at 0, the dynamic header, the block
 *		allocation table (BAT), blocks, the footer
 *
 * A block is a bitmap of its sectors, padded to 512 bytes, then the sectors.
 */
#ifndef VHDX_VHD_FORMAT_H
#define VHDX_VHD_FORMAT_H

#include <stdbool.h>

#include "p2v/base/guid.h"
#include "p2v/base/le.h"
#include "vhdx/vhd.h"

#define VHD_SECTOR_BYTES 512u

/* "Hard Disk Footer Format" */
struct vhd_disk_footer {
	uint8_t cookie[8]; /* "conectix" */
	be32 features; /* bit 1 is always set */
	be32 version; /* 1.0 */
	be64 header_offset; /* of the dynamic header; VHD_NO_OFFSET in a fixed file */
	be32 timestamp; /* seconds since 2000-01-01 00:00 UTC */
	uint8_t creator[4];
	be32 creator_version;
	uint8_t creator_os[4];
	be64 original_bytes;
	be64 current_bytes; /* the size of the disk */
	be16 cylinders;
	uint8_t heads;
	uint8_t sectors;
	be32 type; /* enum vhd_type */
	be32 checksum; /* complement of the sum of all other bytes */
	struct guid id;
	uint8_t saved_state;
	uint8_t reserved[427];
};
_Static_assert(sizeof(struct vhd_disk_footer) == 512, "Hard Disk Footer Format");

/* Virtual Server wrote footers without their last byte. */
#define VHD_SHORT_FOOTER_BYTES 511u

#define VHD_COOKIE "conectix"
#define VHD_FEATURES 2u
#define VHD_VERSION 0x00010000u
#define VHD_NO_OFFSET UINT64_MAX
#define VHD_EPOCH_UNIX 946684800u /* 2000-01-01 */

/* "Dynamic Disk Header Format" */
struct vhd_disk_header {
	uint8_t cookie[8]; /* "cxsparse" */
	be64 data_offset; /* unused: VHD_NO_OFFSET */
	be64 bat_offset;
	be32 version;
	be32 bat_entries;
	be32 block_bytes;
	be32 checksum; /* as in the footer */
	uint8_t parent[728]; /* of differencing files: identifier, time, name, locators */
	uint8_t reserved[256];
};
_Static_assert(sizeof(struct vhd_disk_header) == 1024, "Dynamic Disk Header Format");

#define VHD_HEADER_COOKIE "cxsparse"
#define VHD_BAT_UNUSED UINT32_MAX /* else the block's offset in sectors */

/* What of a footer and a dynamic header matters. */
struct vhd_footer {
	enum vhd_type type;
	char creator[5];
	uint64_t header_offset;
	uint64_t size_bytes;
	struct guid id;
};

struct vhd_header {
	uint64_t bat_offset;
	uint32_t bat_entries;
	uint32_t block_bytes;
};

/* NULL if the structure is sound, else what is wrong with it, as in "the footer has …". */
const char *vhd_footer_decode(const struct vhd_disk_footer *disk, struct vhd_footer *ret_footer);
const char *vhd_header_decode(const struct vhd_disk_header *disk, struct vhd_header *ret_header);

/* Complete, with checksums; the footer also with geometry and time. */
void vhd_footer_encode(const struct vhd_footer *footer, uint64_t unix_time, struct vhd_disk_footer *ret_disk);
void vhd_header_encode(const struct vhd_header *header, struct vhd_disk_header *ret_disk);

/* True if the bytes begin like a footer. */
bool vhd_is_footer(const void *bytes);

/* Of the sector bitmap in front of each block. */
static inline uint32_t vhd_bitmap_bytes(uint32_t block_bytes)
{
	uint32_t bytes = block_bytes / VHD_SECTOR_BYTES / 8;

	return bytes < VHD_SECTOR_BYTES ? VHD_SECTOR_BYTES : bytes;
}

#endif
