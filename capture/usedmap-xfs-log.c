/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Is an XFS log clean?
 *
 * The log is a ring of 512-byte blocks, and every block begins with the number
 * of the cycle in which it was written (a record's header has its magic number
 * there, and the cycle next to it).  So the head, where the next record goes, is
 * where the cycle falls by one.  The log is clean if the record that ends at
 * the head holds nothing but an unmount.
 *
 * Stricter than recovery in the kernel: around the head, in the window in which
 * records may be written out of order, every block must belong to the cycle that
 * its side of the head has.  A log that is torn there is not clean here.
 */
#include <string.h>

#include "capture/usedmap-impl.h"
#include "capture/usedmap-xfs.h"

#define BLOCK_BYTES 512u
#define RECORD_MAGIC 0xfeedbabeu
#define CYCLE_BYTES_PER_HEADER \
	(32u << 10) /* each further 32 KiB of a record need a header block of their own */
#define MAX_RECORD_BYTES (256u << 10)
#define WINDOW_BLOCKS (8u * MAX_RECORD_BYTES / BLOCK_BYTES) /* eight records may be on their way at once */
#define OPERATION_UNMOUNT 0x20

struct record_header {
	be32 magic, cycle, version, len_bytes;
	be64 lsn, tail_lsn;
	le32 crc;
	be32 previous_block, operation_count;
	be32 cycle_data[64];
	be32 format;
	uint8_t uuid[16];
	be32 size_bytes;
};
_Static_assert(offsetof(struct record_header, size_bytes) == 320, "xlog_rec_header.h_size");

struct operation_header {
	be32 transaction, len_bytes;
	uint8_t client, flags;
	be16 reserved;
};
_Static_assert(sizeof(struct operation_header) == 12, "xlog_op_header");

struct xfs_log {
	struct blk *blk;
	uint64_t start; /* bytes */
	uint64_t blocks;
};

static struct err *read_block(const struct xfs_log *log, uint64_t block, uint8_t data[BLOCK_BYTES])
{
	return blk_pread(log->blk, data, BLOCK_BYTES, log->start + block * BLOCK_BYTES);
}

static uint32_t cycle_of(const uint8_t block[BLOCK_BYTES])
{
	be32 words[2];

	memcpy(words, block, sizeof words);
	return be32_get(words[0]) == RECORD_MAGIC ? be32_get(words[1]) : be32_get(words[0]);
}

static struct err *read_cycle(const struct xfs_log *log, uint64_t block, uint32_t *ret_cycle)
{
	uint8_t data[BLOCK_BYTES];

	TRY(read_block(log, block, data));
	*ret_cycle = cycle_of(data);
	return NULL;
}

/* The first block that is not of the first block's cycle; log->blocks if all are. */
static struct err *find_head(const struct xfs_log *log, uint32_t first_cycle, uint64_t *ret_head)
{
	uint64_t low = 0, high = log->blocks;

	while (high - low > 1) {
		uint64_t middle = low + (high - low) / 2;
		uint32_t cycle;

		TRY(read_cycle(log, middle, &cycle));
		if (cycle == first_cycle)
			low = middle;
		else
			high = middle;
	}
	*ret_head = high;
	return NULL;
}

/* All blocks of [from, to) must be of the cycle, within the window. */
static struct err *check_cycles(const struct xfs_log *log, uint64_t from, uint64_t to, uint32_t cycle)
{
	CLEANUP_FREE uint8_t *data = NULL;

	TRY(usedmap_read(log->blk, log->start + from * BLOCK_BYTES, (to - from) * BLOCK_BYTES, &data));
	for (uint64_t i = 0; i < to - from; i++)
		if (cycle_of(data + i * BLOCK_BYTES) != cycle)
			return usedmap_doubt("its log is torn");
	return NULL;
}

static struct err *check_window(const struct xfs_log *log, uint64_t head, uint32_t cycle)
{
	uint64_t from = head > WINDOW_BLOCKS ? head - WINDOW_BLOCKS : 0;
	uint64_t to = log->blocks - head > WINDOW_BLOCKS ? head + WINDOW_BLOCKS : log->blocks;

	TRY(check_cycles(log, from, head, cycle));
	return check_cycles(log, head, to, cycle - 1);
}

/* The record that begins at block, which must end at the head and be an unmount. */
static struct err *check_record(const struct xfs_log *log, uint64_t block, const uint8_t *data, uint64_t head)
{
	struct record_header header;
	struct operation_header operation;
	uint8_t first[BLOCK_BYTES];
	uint64_t header_blocks = 1, len_blocks;

	memcpy(&header, data, sizeof header);
	if (be32_get(header.version) & 2 && be32_get(header.size_bytes) > CYCLE_BYTES_PER_HEADER)
		header_blocks =
			(be32_get(header.size_bytes) + CYCLE_BYTES_PER_HEADER - 1) / CYCLE_BYTES_PER_HEADER;
	len_blocks = (be32_get(header.len_bytes) + BLOCK_BYTES - 1) / BLOCK_BYTES;
	if (be64_get(header.lsn) != ((uint64_t)be32_get(header.cycle) << 32 | block) ||
	    header_blocks > MAX_RECORD_BYTES / CYCLE_BYTES_PER_HEADER || !len_blocks ||
	    block + header_blocks + len_blocks != head)
		return usedmap_doubt("its log does not end in a whole record");
	TRY(read_block(log, block + header_blocks, first));
	memcpy(&operation, first, sizeof operation);
	if (be32_get(header.operation_count) != 1 || !(operation.flags & OPERATION_UNMOUNT))
		return usedmap_doubt("its log is not empty: it was not unmounted");
	return NULL;
}

/* Looks back from the head for the header of the last record. */
static struct err *check_last_record(const struct xfs_log *log, uint64_t head)
{
	for (uint64_t block = head; block-- && head - block <= WINDOW_BLOCKS;) {
		uint8_t data[BLOCK_BYTES];
		be32 magic;

		TRY(read_block(log, block, data));
		memcpy(&magic, data, sizeof magic);
		if (be32_get(magic) == RECORD_MAGIC)
			return check_record(log, block, data, head);
	}
	return usedmap_doubt("its log has no record where it ends");
}

struct err *xfs_log_check_clean(struct blk *blk, uint64_t start, uint64_t bytes)
{
	struct xfs_log log = {.blk = blk, .start = start, .blocks = bytes / BLOCK_BYTES};
	uint32_t first_cycle;
	uint64_t head;

	TRY(read_cycle(&log, 0, &first_cycle));
	TRY(find_head(&log, first_cycle, &head));
	TRY(check_window(&log, head, first_cycle));
	return check_last_record(&log, head);
}
