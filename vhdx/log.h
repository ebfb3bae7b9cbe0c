/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The log as it is read: which entries count, and what they would write
 * ([MS-VHDX] 2.3).  log-write.h makes entries, replay.h applies them.
 */
#ifndef VHDX_LOG_H
#define VHDX_LOG_H

#include "p2v/base/blk.h"
#include "vhdx/findings.h"
#include "vhdx/format.h"
#include "vhdx/header.h"

/* Where the ring of log sectors is, and whose entries count. */
struct vhdx_log_ring {
	uint64_t file_offset;
	uint32_t length_bytes;
	struct guid guid;
};

/* A run of entries with consecutive numbers, and the part of it that is to be replayed. */
struct vhdx_log_sequence {
	uint32_t tail; /* offset in the ring of the first entry to replay */
	uint64_t entry_count; /* to replay */
	uint64_t first_number; /* sequence number of the entry at tail */
	uint64_t last_number;
	uint64_t flushed_file_offset; /* of the last entry */
	uint64_t last_file_offset;
	bool has_reserved; /* a reserved field of one of them is not zero */
};

/*
 * Finds the active sequence ([MS-VHDX] 2.3.2): of all valid ones, that with the
 * highest number.  ret_found tells whether there is one.  The error is one of
 * reading.
 */
struct err *vhdx_log_find(struct blk *file, const struct vhdx_log_ring *ring,
			  struct vhdx_log_sequence *ret_sequence, bool *ret_found) ERR_MUST_CHECK;

/*
 * For a log without a valid sequence: the run of whole entries that ends with the
 * highest number, though entries that it needs before them are missing.
 */
struct err *vhdx_log_salvage(struct blk *file, const struct vhdx_log_ring *ring,
			     struct vhdx_log_sequence *ret_sequence, bool *ret_found) ERR_MUST_CHECK;

/* What replay writes, in order: len_bytes at file_offset, zeros if data is NULL; offset and length are
 * multiples of VHDX_LOG_SECTOR_BYTES, and never within the log or the headers. */
typedef struct err *(*vhdx_log_fn)(void *arg, uint64_t file_offset, const uint8_t *data, uint64_t len_bytes);

/* Calls fn for everything that the sequence writes; its error ends the walk and is returned. */
struct err *vhdx_log_walk(struct blk *file, const struct vhdx_log_ring *ring,
			  const struct vhdx_log_sequence *sequence, vhdx_log_fn fn, void *arg) ERR_MUST_CHECK;

/*
 * Finds the sequence of a log that is not empty and judges it: none at all, or a
 * file shorter than it was, is fatal.
 */
struct err *vhdx_log_read(struct blk *file, const struct vhdx_headers *headers, struct findings *findings,
			  struct vhdx_log_sequence *ret_sequence) ERR_MUST_CHECK;

#endif
