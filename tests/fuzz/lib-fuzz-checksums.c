// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Log entries are looked for where the pieces of the input lie, which costs less
 * than a walk over a log that may be as large as the file.
 */
#include "tests/fuzz/lib-fuzz-checksums.h"

#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "vhdx/format.h"
#include "vhdx/vhd-format.h"

#define MAX_ENTRY_BYTES (1u << 20)

static bool read_at(struct blk *file, void *buf, size_t bytes, uint64_t offset)
{
	struct err *err;

	if (offset > file->size_bytes || bytes > file->size_bytes - offset)
		return false;
	err = blk_pread(file, buf, bytes, offset);
	err_free(err);
	return !err;
}

static void write_at(struct blk *file, const void *buf, size_t bytes, uint64_t offset)
{
	err_free(blk_pwrite(file, buf, bytes, offset, 0));
}

static void fix_structure(struct blk *file, uint64_t offset, size_t bytes, uint32_t signature)
{
	CLEANUP_FREE uint8_t *buf = xmalloc(bytes);
	le32 found;

	if (!read_at(file, buf, bytes, offset))
		return;
	memcpy(&found, buf, sizeof found);
	if (le32_get(found) != signature)
		return;
	vhdx_checksum_set(buf, bytes);
	write_at(file, buf + VHDX_CHECKSUM_OFFSET, sizeof(le32), offset + VHDX_CHECKSUM_OFFSET);
}

struct ring {
	uint64_t offset, length_bytes;
};

static bool find_ring(struct blk *file, struct ring *ret_ring)
{
	static const uint64_t places[] = {VHDX_HEADER_1_OFFSET, VHDX_HEADER_2_OFFSET};
	uint64_t newest = 0;

	for (size_t i = 0; i < 2; i++) {
		struct vhdx_disk_header header;

		if (!read_at(file, &header, sizeof header, places[i]) ||
		    le32_get(header.signature) != VHDX_HEADER_SIGNATURE ||
		    le64_get(header.sequence_number) < newest)
			continue;
		newest = le64_get(header.sequence_number);
		*ret_ring = (struct ring){le64_get(header.log_offset), le32_get(header.log_length)};
	}
	return newest && ret_ring->length_bytes && ret_ring->offset < file->size_bytes &&
	       ret_ring->length_bytes <= file->size_bytes - ret_ring->offset;
}

/* The entry at an offset of the file within the ring; it may wrap. */
static void fix_log_entry(struct blk *file, const struct ring *ring, uint64_t offset)
{
	struct vhdx_disk_log_entry_header header;
	uint64_t bytes, first = ring->offset + ring->length_bytes - offset;
	CLEANUP_FREE uint8_t *buf = NULL;

	if (!read_at(file, &header, sizeof header, offset) ||
	    le32_get(header.signature) != VHDX_LOG_ENTRY_SIGNATURE)
		return;
	bytes = le32_get(header.entry_length);
	if (bytes < sizeof header || bytes > ring->length_bytes || bytes > MAX_ENTRY_BYTES)
		return;
	if (first > bytes)
		first = bytes;
	buf = xmalloc(bytes);
	if (!read_at(file, buf, first, offset) || !read_at(file, buf + first, bytes - first, ring->offset))
		return;
	vhdx_checksum_set(buf, bytes);
	write_at(file, buf + VHDX_CHECKSUM_OFFSET, sizeof(le32), offset + VHDX_CHECKSUM_OFFSET);
}

static void fix_log(struct blk *file, struct fuzz_rest pieces)
{
	struct fuzz_piece piece;
	struct ring ring;

	if (!find_ring(file, &ring))
		return;
	while (fuzz_take_piece(&pieces, &piece)) {
		uint64_t end = piece.file_offset + piece.len_bytes;
		uint64_t at = (piece.file_offset + VHDX_LOG_SECTOR_BYTES - 1) / VHDX_LOG_SECTOR_BYTES *
			      VHDX_LOG_SECTOR_BYTES;

		for (; at < end; at += VHDX_LOG_SECTOR_BYTES)
			if (at >= ring.offset && at < ring.offset + ring.length_bytes)
				fix_log_entry(file, &ring, at);
	}
}

/* "Checksum" of the VHD specification: the complement of the sum of all other bytes. */
static void fix_vhd(struct blk *file, uint64_t offset, size_t bytes, size_t field, const char *cookie)
{
	uint8_t buf[sizeof(struct vhd_disk_header)];
	uint32_t sum = 0;
	be32 checksum;

	if (!read_at(file, buf, bytes, offset) || memcmp(buf, cookie, strlen(cookie)))
		return;
	memset(buf + field, 0, sizeof checksum);
	for (size_t i = 0; i < bytes; i++)
		sum += buf[i];
	checksum = be32_make(~sum);
	write_at(file, &checksum, sizeof checksum, offset + field);
}

static void fix_vhd_footer(struct blk *file, uint64_t offset)
{
	struct vhd_disk_footer footer;

	fix_vhd(file, offset, sizeof footer, offsetof(struct vhd_disk_footer, checksum), VHD_COOKIE);
	if (read_at(file, &footer, sizeof footer, offset) && vhd_is_footer(&footer))
		fix_vhd(file, be64_get(footer.header_offset), sizeof(struct vhd_disk_header),
			offsetof(struct vhd_disk_header, checksum), VHD_HEADER_COOKIE);
}

void fuzz_fix_checksums(struct blk *file, struct fuzz_rest pieces)
{
	fix_structure(file, VHDX_HEADER_1_OFFSET, VHDX_HEADER_BYTES, VHDX_HEADER_SIGNATURE);
	fix_structure(file, VHDX_HEADER_2_OFFSET, VHDX_HEADER_BYTES, VHDX_HEADER_SIGNATURE);
	fix_structure(file, VHDX_REGION_TABLE_1_OFFSET, VHDX_REGION_TABLE_BYTES, VHDX_REGION_SIGNATURE);
	fix_structure(file, VHDX_REGION_TABLE_2_OFFSET, VHDX_REGION_TABLE_BYTES, VHDX_REGION_SIGNATURE);
	fix_log(file, pieces);
	fix_vhd_footer(file, 0);
	if (file->size_bytes >= sizeof(struct vhd_disk_footer))
		fix_vhd_footer(file, file->size_bytes - sizeof(struct vhd_disk_footer));
}
