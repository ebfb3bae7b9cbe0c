/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Writing to the log ([MS-VHDX] 2.3): a set of 4 KiB pages of the file that are
 * to change together, or not at all.
 */
#ifndef VHDX_LOG_WRITE_H
#define VHDX_LOG_WRITE_H

#include "vhdx/log.h"

/* What one entry can hold in the smallest log: half of 1 MiB, one sector of it header and descriptors. */
#define VHDX_LOG_MAX_PAGES 126u

struct vhdx_log_page {
	uint64_t file_offset; /* a multiple of VHDX_LOG_SECTOR_BYTES */
	const uint8_t *data; /* VHDX_LOG_SECTOR_BYTES */
};

/* The ring as it is written; guid zero: the log is empty. */
struct vhdx_log_writer {
	struct vhdx_log_ring ring;
	uint32_t head; /* where the next entry goes */
	uint64_t number; /* of the last entry */
};

/* Builds an entry of VHDX_LOG_ENTRY_BYTES(count) at ret_entry; its tail is itself. */
#define VHDX_LOG_ENTRY_BYTES(count) (((count) + 1) * (size_t)VHDX_LOG_SECTOR_BYTES)
void vhdx_log_entry_encode(const struct vhdx_log_writer *writer, const struct vhdx_log_page *pages,
			   size_t count, uint64_t file_bytes, uint8_t *ret_entry);

/*
 * Writes an entry of 1 … VHDX_LOG_MAX_PAGES pages, makes it durable, and, if the
 * log was empty, makes it count by a header update.  Everything that was written
 * in place for earlier entries must be durable before: they no longer count; and
 * so must a length of the file of file_bytes, which the entry vouches for.
 */
struct err *vhdx_log_append(struct blk *file, struct vhdx_log_writer *writer, struct vhdx_headers *headers,
			    uint64_t file_bytes, const struct vhdx_log_page *pages, size_t count)
	ERR_MUST_CHECK;

/* Empties the log, in both headers; makes durable what was written in place. */
struct err *vhdx_log_empty(struct blk *file, struct vhdx_log_writer *writer, struct vhdx_headers *headers)
	ERR_MUST_CHECK;

#endif
