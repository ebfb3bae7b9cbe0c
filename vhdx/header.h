/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The file type identifier and the two headers ([MS-VHDX] 2.2.1, 2.2.2). */
#ifndef VHDX_HEADER_H
#define VHDX_HEADER_H

#include "p2v/base/blk.h"
#include "vhdx/findings.h"
#include "vhdx/format.h"

struct vhdx_header {
	uint64_t sequence_number;
	struct guid file_write_guid;
	struct guid data_write_guid;
	struct guid log_guid;
	uint16_t log_version;
	uint16_t version;
	uint32_t log_length; /* bytes; 0: there is no log at all */
	uint64_t log_offset;
};

struct vhdx_headers {
	struct vhdx_header current;
	unsigned slot; /* 0 or 1: where the current one is */
	bool other_is_valid;
};

uint64_t vhdx_header_offset(unsigned slot);

void vhdx_header_encode(const struct vhdx_header *header, struct vhdx_disk_header *ret_disk);

/* False if the signature or the checksum is wrong. */
bool vhdx_header_decode(const struct vhdx_disk_header *disk, struct vhdx_header *ret_header);

/*
 * Reads the identifier and both headers and judges them; ret_headers is set if
 * nothing fatal was found.  The error is one of reading.
 */
struct err *vhdx_headers_read(struct blk *file, struct findings *findings, struct vhdx_headers *ret_headers)
	ERR_MUST_CHECK;

/*
 * Makes `header` the current one (its sequence number is set here): written to the
 * slot that is not current, then flushed ([MS-VHDX] 2.2.2.1).  All that was
 * written before is durable too when this returns.
 */
struct err *vhdx_headers_update(struct blk *file, struct vhdx_headers *headers,
				const struct vhdx_header *header) ERR_MUST_CHECK;

/* The creator as UTF-8; the caller frees it. */
struct err *vhdx_creator_read(struct blk *file, char **ret_creator) ERR_MUST_CHECK;

#endif
