/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From the label of a physical volume to the text of its metadata.  What is
 * read is bounded by the device, and every checksum must be right.
 */
#include "capture/lvm-area.h"

#include <stdlib.h>
#include <string.h>

#include "capture/checksum.h"
#include "capture/usedmap-impl.h"
#include "p2v/base/le.h"

#define SECTOR_BYTES 512u
#define LABEL_SECTORS 4 /* the label is in one of the first four */
#define CRC_START 0xf597a6cfu /* lib/misc/crc.h: INITIAL_CRC */
#define AREA_HEADER_BYTES 512
#define MAX_TEXT_BYTES (16u << 20) /* of thousands of volumes; the usual area has 1 MiB in all */

struct lvm_label {
	char id[8];
	le64 sector;
	le32 crc, offset;
	char type[8];
};
_Static_assert(sizeof(struct lvm_label) == 32, "struct label_header");
#define LABEL_CRC_START 20 /* of what it covers, which ends with the sector */

struct lvm_location {
	le64 offset, bytes;
};

struct lvm_area_header {
	le32 crc;
	char magic[16];
	le32 version;
	le64 start, bytes;
	struct {
		le64 offset, bytes;
		le32 crc, flags;
	} text[4];
} __attribute__((packed));
_Static_assert(offsetof(struct lvm_area_header, text) == 40, "struct mda_header");
#define AREA_MAGIC " LVM2 x[5A%r0N*>"

static bool is_label(const uint8_t *sector)
{
	return !memcmp(sector, "LABELONE", 8) && !memcmp(sector + 24, "LVM2 001", 8);
}

bool lvm_has_label(const uint8_t *start, uint64_t size_bytes)
{
	for (unsigned i = 0; i < LABEL_SECTORS; i++)
		if (size_bytes >= LABEL_SECTORS * SECTOR_BYTES && is_label(start + i * SECTOR_BYTES))
			return true;
	return false;
}

/* The metadata is in a ring behind the area's header, so a text may go on at the ring's start. */
static struct err *read_text(struct blk *blk, const struct lvm_area_header *header, char **ret_text,
			     size_t *ret_bytes)
{
	uint64_t start = le64_get(header->start), area_bytes = le64_get(header->bytes);
	uint64_t offset = le64_get(header->text[0].offset), bytes = le64_get(header->text[0].bytes);
	CLEANUP_FREE uint8_t *text = NULL;
	uint64_t first;

	if (!offset || le32_get(header->text[0].flags))
		return usedmap_doubt("its LVM metadata is on another disk");
	if (offset < AREA_HEADER_BYTES || offset >= area_bytes || !bytes || bytes > MAX_TEXT_BYTES ||
	    bytes > area_bytes - AREA_HEADER_BYTES)
		return usedmap_doubt("its LVM metadata makes no sense");
	text = malloc(bytes);
	if (!text)
		return err_nomem();
	first = bytes < area_bytes - offset ? bytes : area_bytes - offset;
	TRY(blk_pread(blk, text, first, start + offset));
	if (first < bytes)
		TRY(blk_pread(blk, text + first, bytes - first, start + AREA_HEADER_BYTES));
	if (checksum_crc32(CRC_START, text, bytes) != le32_get(header->text[0].crc))
		return usedmap_doubt("the checksum of its LVM metadata is wrong");
	*ret_text = (char *)take_ptr(text);
	*ret_bytes = bytes;
	return NULL;
}

static struct err *read_area(struct blk *blk, uint64_t offset, char **ret_text, size_t *ret_bytes)
{
	CLEANUP_FREE uint8_t *raw = NULL;
	struct lvm_area_header header;

	TRY(usedmap_read(blk, offset, AREA_HEADER_BYTES, &raw));
	memcpy(&header, raw, sizeof header);
	if (memcmp(header.magic, AREA_MAGIC, sizeof header.magic) || le32_get(header.version) != 1 ||
	    le64_get(header.start) != offset || le64_get(header.bytes) > blk->size_bytes - offset ||
	    checksum_crc32(CRC_START, raw + 4, AREA_HEADER_BYTES - 4) != le32_get(header.crc))
		return usedmap_doubt("its LVM metadata area makes no sense");
	return read_text(blk, &header, ret_text, ret_bytes);
}

/* Behind the label: the volume's id and size, data areas, metadata areas, each list ended by zeros. */
static struct err *find_area(struct blk *blk, char ret_id[LVM_ID_BYTES], uint64_t *ret_offset)
{
	CLEANUP_FREE uint8_t *start = NULL;
	struct lvm_location location;
	unsigned lists = 0;
	uint32_t at;
	struct lvm_label label;

	TRY(usedmap_read(blk, 0, LABEL_SECTORS * SECTOR_BYTES, &start));
	for (at = 0; !is_label(start + at); at += SECTOR_BYTES)
		if (at == (LABEL_SECTORS - 1) * SECTOR_BYTES)
			return usedmap_doubt("its LVM label is gone");
	memcpy(&label, start + at, sizeof label);
	if (checksum_crc32(CRC_START, start + at + LABEL_CRC_START, SECTOR_BYTES - LABEL_CRC_START) !=
		    le32_get(label.crc) ||
	    le64_get(label.sector) != at / SECTOR_BYTES || le32_get(label.offset) != sizeof label)
		return usedmap_doubt("its LVM label makes no sense");
	memcpy(ret_id, start + at + sizeof label, LVM_ID_BYTES);
	for (uint32_t in = sizeof label + LVM_ID_BYTES + 8; in + sizeof location <= SECTOR_BYTES;
	     in += sizeof location) {
		memcpy(&location, start + at + in, sizeof location);
		if (lists == 1 && le64_get(location.offset)) {
			*ret_offset = le64_get(location.offset);
			return NULL;
		}
		if (!le64_get(location.offset) && ++lists == 2)
			break;
	}
	return usedmap_doubt("its LVM metadata is on another disk");
}

struct err *lvm_read_text(struct blk *blk, char ret_id[LVM_ID_BYTES], char **ret_text, size_t *ret_bytes)
{
	uint64_t offset = 0;

	TRY(find_area(blk, ret_id, &offset));
	return read_area(blk, offset, ret_text, ret_bytes);
}
