/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A VHDX file as it lies on disk: [MS-VHDX] "Virtual Hard Disk v2 (VHDX) File
 * Format"; the numbers in brackets are its sections.  Everything is
 * little-endian.
 *
 *	offset   length
 *	0        64 KiB    file type identifier [2.2.1], written once
 *	64 KiB   4 KiB     header 1 [2.2.2]  \ only the current one counts: the
 *	128 KiB  4 KiB     header 2           / valid one with the higher sequence
 *	192 KiB  64 KiB    region table 1 [2.2.3]  \ the same content
 *	256 KiB  64 KiB    region table 2           /
 *	1 MiB …            in any order, MiB-aligned, without overlap: the log
 *	                   [2.3], the BAT [2.5], the metadata region [2.6], payload
 *	                   blocks and (differencing files) sector bitmap blocks [2.4]
 *
 * Headers say where the log is, the region table where BAT and metadata are,
 * the BAT where the blocks are.  What was in the making when the power failed
 * is in the log.
 */
#ifndef VHDX_FORMAT_H
#define VHDX_FORMAT_H

#include <stddef.h>

#include "p2v/base/guid.h"
#include "p2v/base/le.h"

#define VHDX_KIB 1024u
#define VHDX_MIB (1024u * 1024u)
#define VHDX_TIB (1024ull * 1024 * 1024 * 1024)

#define VHDX_MAX_DISK_BYTES (64 * VHDX_TIB) /* [2.6.2.2] */
/* No file is as long: 64 TiB of blocks, a 4096th of that in bitmaps, 2047 regions of 4 GiB at most. */
#define VHDX_MAX_FILE_BYTES (128 * VHDX_TIB)
#define VHDX_MIN_BLOCK_BYTES (1 * VHDX_MIB) /* [2.6.2.1] */
#define VHDX_MAX_BLOCK_BYTES (256 * VHDX_MIB)

/* Signatures, as the integers that their characters are. */
#define VHDX_FILE_SIGNATURE 0x656c696678646876ull /* "vhdxfile" */
#define VHDX_HEADER_SIGNATURE 0x64616568u /* "head" */
#define VHDX_REGION_SIGNATURE 0x69676572u /* "regi" */
#define VHDX_METADATA_SIGNATURE 0x617461646174656dull /* "metadata" */
#define VHDX_LOG_ENTRY_SIGNATURE 0x65676f6cu /* "loge" */
#define VHDX_LOG_ZERO_SIGNATURE 0x6f72657au /* "zero" */
#define VHDX_LOG_DATA_SIGNATURE 0x63736564u /* "desc" */
#define VHDX_LOG_SECTOR_SIGNATURE 0x61746164u /* "data" */

/* Every structure that has a checksum has it here: CRC-32C over all of it with these 4 bytes zero. */
#define VHDX_CHECKSUM_OFFSET 4

/* [2.2.1] At 0.  Nothing but the signature matters to a reader. */
#define VHDX_FILE_IDENTIFIER_OFFSET 0
#define VHDX_CREATOR_UNITS 256
struct vhdx_disk_file_identifier {
	le64 signature; /* VHDX_FILE_SIGNATURE */
	le16 creator[VHDX_CREATOR_UNITS]; /* UTF-16, the program that made it; may lack a NUL */
};
_Static_assert(sizeof(struct vhdx_disk_file_identifier) == 520, "[2.2.1]");

/* [2.2.2] Two slots, each rewritten whole. */
#define VHDX_HEADER_1_OFFSET (64 * VHDX_KIB)
#define VHDX_HEADER_2_OFFSET (128 * VHDX_KIB)
#define VHDX_HEADER_BYTES 4096
#define VHDX_VERSION 1
#define VHDX_LOG_VERSION 0
struct vhdx_disk_header {
	le32 signature; /* VHDX_HEADER_SIGNATURE */
	le32 checksum;
	le64 sequence_number; /* the higher one is current */
	struct guid file_write_guid; /* changes before the first write after each open */
	struct guid data_write_guid; /* changes before the first change that a guest can see */
	struct guid log_guid; /* zero: the log is empty; else only entries with this GUID count */
	le16 log_version; /* VHDX_LOG_VERSION; another with a log to replay: refuse */
	le16 version; /* VHDX_VERSION */
	le32 log_length; /* a multiple of 1 MiB */
	le64 log_offset; /* a multiple of 1 MiB, at least 1 MiB */
	uint8_t reserved[4016];
};
_Static_assert(sizeof(struct vhdx_disk_header) == VHDX_HEADER_BYTES, "[2.2.2]");

/* [2.2.3] Two copies, at most 2047 entries each. */
#define VHDX_REGION_TABLE_1_OFFSET (192 * VHDX_KIB)
#define VHDX_REGION_TABLE_2_OFFSET (256 * VHDX_KIB)
#define VHDX_REGION_TABLE_BYTES (64 * VHDX_KIB)
#define VHDX_REGION_MAX_ENTRIES 2047
struct vhdx_disk_region_header {
	le32 signature; /* VHDX_REGION_SIGNATURE */
	le32 checksum; /* over 64 KiB */
	le32 entry_count;
	le32 reserved;
};
_Static_assert(sizeof(struct vhdx_disk_region_header) == 16, "[2.2.3.1]");

#define VHDX_REGION_REQUIRED (1u << 0) /* who does not know the region must not open the file */
struct vhdx_disk_region_entry {
	struct guid guid; /* unique in the table */
	le64 file_offset; /* a multiple of 1 MiB, at least 1 MiB */
	le32 length; /* a multiple of 1 MiB */
	le32 flags;
};
_Static_assert(sizeof(struct vhdx_disk_region_entry) == 32, "[2.2.3.2]");

/* 2dc27766-f623-4200-9d64-115e9bfd4a08 and 8b7ca206-4790-4b9a-b8fe-575f050f886e */
#define VHDX_REGION_BAT GUID_INIT(0x2dc27766, 0xf623, 0x4200, 0x9d, 0x64, 0x11, 0x5e, 0x9b, 0xfd, 0x4a, 0x08)
#define VHDX_REGION_METADATA \
	GUID_INIT(0x8b7ca206, 0x4790, 0x4b9a, 0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e)

/*
 * [2.3] The log is a ring of 4 KiB sectors.  An entry is a header, its
 * descriptors (both padded to 4 KiB together), then one data sector for each
 * data descriptor; it may wrap around the end of the ring.
 */
#define VHDX_LOG_SECTOR_BYTES 4096
struct vhdx_disk_log_entry_header {
	le32 signature; /* VHDX_LOG_ENTRY_SIGNATURE */
	le32 checksum; /* over the whole entry */
	le32 entry_length; /* a multiple of 4 KiB */
	le32 tail; /* offset in the log of the oldest entry still needed; may be this one */
	le64 sequence_number; /* more than 0; one more than the entry before */
	le32 descriptor_count; /* may be 0 */
	le32 reserved;
	struct guid log_guid; /* the header's when the entry was written */
	le64 flushed_file_offset; /* the file was durably this long; shorter now: truncated */
	le64 last_file_offset; /* all structures end before this: replay extends the file to it */
};
_Static_assert(sizeof(struct vhdx_disk_log_entry_header) == 64, "[2.3.1.1]");

struct vhdx_disk_log_zero_descriptor {
	le32 signature; /* VHDX_LOG_ZERO_SIGNATURE */
	le32 reserved;
	le64 zero_length; /* bytes, a multiple of 4 KiB */
	le64 file_offset; /* where, a multiple of 4 KiB */
	le64 sequence_number; /* the entry's */
};
_Static_assert(sizeof(struct vhdx_disk_log_zero_descriptor) == 32, "[2.3.1.2]");

struct vhdx_disk_log_data_descriptor {
	le32 signature; /* VHDX_LOG_DATA_SIGNATURE */
	uint8_t trailing_bytes[4]; /* the last 4 bytes of the sector to restore */
	uint8_t leading_bytes[8]; /* the first 8 */
	le64 file_offset; /* where, a multiple of 4 KiB */
	le64 sequence_number; /* the entry's */
};
_Static_assert(sizeof(struct vhdx_disk_log_data_descriptor) == 32, "[2.3.1.3]");

#define VHDX_LOG_LEADING_BYTES 8
#define VHDX_LOG_MIDDLE_BYTES 4084
#define VHDX_LOG_TRAILING_BYTES 4
struct vhdx_disk_log_data_sector {
	le32 signature; /* VHDX_LOG_SECTOR_SIGNATURE */
	le32 sequence_high; /* of the entry's sequence number */
	uint8_t data[VHDX_LOG_MIDDLE_BYTES]; /* bytes 8 … 4091 of the sector to restore */
	le32 sequence_low;
};
_Static_assert(sizeof(struct vhdx_disk_log_data_sector) == VHDX_LOG_SECTOR_BYTES, "[2.3.1.4]");

/*
 * [2.5] A BAT entry is a le64: bits 0–2 the state, 3–19 reserved, 20–63 the
 * file offset in MiB.  As blocks are MiB-aligned, entry & OFFSET_MASK is the
 * offset in bytes.  After each chunk_ratio payload entries comes one for the
 * sector bitmap block of that chunk, also where no such block can exist.
 */
#define VHDX_BAT_ENTRY_BYTES 8
#define VHDX_BAT_STATE_MASK 0x7ull
#define VHDX_BAT_RESERVED_MASK 0xffff8ull
#define VHDX_BAT_OFFSET_MASK (~0xfffffull)
#define VHDX_SECTORS_PER_BITMAP_BLOCK (1ull << 23) /* [2.4.2] 1 MiB of bits */
#define VHDX_BITMAP_BLOCK_BYTES VHDX_MIB
#define VHDX_BITMAP_NOT_PRESENT 0 /* [2.5.1.2] */
#define VHDX_BITMAP_PRESENT 6

/* [2.6.1] The metadata region begins with a table of 64 KiB; items lie anywhere behind it. */
#define VHDX_METADATA_TABLE_BYTES (64 * VHDX_KIB)
#define VHDX_METADATA_MAX_ENTRIES 2047
#define VHDX_METADATA_MAX_USER_ENTRIES 1024
#define VHDX_METADATA_MAX_ITEM_BYTES VHDX_MIB
struct vhdx_disk_metadata_header {
	le64 signature; /* VHDX_METADATA_SIGNATURE */
	le16 reserved;
	le16 entry_count;
	le32 reserved2[5];
};
_Static_assert(sizeof(struct vhdx_disk_metadata_header) == 32, "[2.6.1.1]");

#define VHDX_METADATA_IS_USER (1u << 0) /* not of the system: names are another space */
#define VHDX_METADATA_IS_VIRTUAL_DISK (1u << 1) /* of the disk, not of the file */
#define VHDX_METADATA_IS_REQUIRED (1u << 2) /* who does not know the item must not open the file */
struct vhdx_disk_metadata_entry {
	struct guid item_id;
	le32 offset; /* from the start of the region, at least 64 KiB; 0 if the length is 0 */
	le32 length;
	le32 flags;
	le32 reserved;
};
_Static_assert(sizeof(struct vhdx_disk_metadata_entry) == 32, "[2.6.1.2]");

/* [2.6.2] Items of the system.  Sector sizes are one le32 each, the disk's size one le64, the
 * disk's id (SCSI vital product data page 83) one GUID. */
#define VHDX_ITEM_FILE_PARAMETERS /* caa16737-fa36-4d43-b3b6-33f0aa44e76b */ \
	GUID_INIT(0xcaa16737, 0xfa36, 0x4d43, 0xb3, 0xb6, 0x33, 0xf0, 0xaa, 0x44, 0xe7, 0x6b)
#define VHDX_ITEM_DISK_SIZE /* 2fa54224-cd1b-4876-b211-5dbed83bf4b8 */ \
	GUID_INIT(0x2fa54224, 0xcd1b, 0x4876, 0xb2, 0x11, 0x5d, 0xbe, 0xd8, 0x3b, 0xf4, 0xb8)
#define VHDX_ITEM_DISK_ID /* beca12ab-b2e6-4523-93ef-c309e000c746 */ \
	GUID_INIT(0xbeca12ab, 0xb2e6, 0x4523, 0x93, 0xef, 0xc3, 0x09, 0xe0, 0x00, 0xc7, 0x46)
#define VHDX_ITEM_LOGICAL_SECTOR /* 8141bf1d-a96f-4709-ba47-f233a8faab5f */ \
	GUID_INIT(0x8141bf1d, 0xa96f, 0x4709, 0xba, 0x47, 0xf2, 0x33, 0xa8, 0xfa, 0xab, 0x5f)
#define VHDX_ITEM_PHYSICAL_SECTOR /* cda348c7-445d-4471-9cc9-e9885251c556 */ \
	GUID_INIT(0xcda348c7, 0x445d, 0x4471, 0x9c, 0xc9, 0xe9, 0x88, 0x52, 0x51, 0xc5, 0x56)
#define VHDX_ITEM_PARENT_LOCATOR /* a8d35f2d-b30b-454d-abf7-d3d84834ab0c */ \
	GUID_INIT(0xa8d35f2d, 0xb30b, 0x454d, 0xab, 0xf7, 0xd3, 0xd8, 0x48, 0x34, 0xab, 0x0c)
/* Not in [MS-VHDX]; Microsoft's own code refuses to open a file that has it. */
#define VHDX_ITEM_INCOMPLETE /* 71cc85f0-1b69-4e28-9558-c3bf83ae75d3 */ \
	GUID_INIT(0x71cc85f0, 0x1b69, 0x4e28, 0x95, 0x58, 0xc3, 0xbf, 0x83, 0xae, 0x75, 0xd3)

#define VHDX_FILE_LEAVE_ALLOCATED (1u << 0) /* a fixed file */
#define VHDX_FILE_HAS_PARENT (1u << 1) /* a differencing file */
struct vhdx_disk_file_parameters {
	le32 block_size; /* a power of two, 1 … 256 MiB */
	le32 flags;
};
_Static_assert(sizeof(struct vhdx_disk_file_parameters) == 8, "[2.6.2.1]");

/* [2.6.2.6] The parent locator item: this header, key_value_count entries, then their strings. */
#define VHDX_LOCATOR_TYPE /* b04aefb7-d19e-4a81-b789-25b8e9445913 */ \
	GUID_INIT(0xb04aefb7, 0xd19e, 0x4a81, 0xb7, 0x89, 0x25, 0xb8, 0xe9, 0x44, 0x59, 0x13)
struct vhdx_disk_locator_header {
	struct guid locator_type; /* VHDX_LOCATOR_TYPE */
	le16 reserved;
	le16 key_value_count;
};
_Static_assert(sizeof(struct vhdx_disk_locator_header) == 20, "[2.6.2.6.1]");

struct vhdx_disk_locator_entry {
	le32 key_offset; /* from the start of the item; UTF-16, no NUL */
	le32 value_offset;
	le16 key_length; /* bytes */
	le16 value_length;
};
_Static_assert(sizeof(struct vhdx_disk_locator_entry) == 12, "[2.6.2.6.2]");

/* CRC-32C of a structure, its checksum field taken as zero; bytes is at least 8. */
uint32_t vhdx_checksum(const void *structure, size_t bytes);

/* Sets the checksum field; tells whether it is right. */
void vhdx_checksum_set(void *structure, size_t bytes);
bool vhdx_checksum_is_right(const void *structure, size_t bytes);

#endif
