/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Fuzz inputs as images.
 *
 * The smallest VHDX has 4 MiB, almost all of it zeros, so an input is a
 * description of what is not zero; a whole VHDX takes a few hundred bytes:
 *
 *	1 byte    flags: FUZZ_FIX_CHECKSUMS, the rest is the target's
 *	le32      length of the file, in sectors of 512 bytes
 *	pieces:   le32 place in the file, in units of 8 bytes; le16 length in bytes;
 *	          the bytes.  Length 0 ends them.
 *	the rest  is the target's: operations to carry out
 *
 * Every input means something: what lies behind the end of the file is dropped,
 * what is missing at the end of the input is not there.
 */
#ifndef TESTS_FUZZ_LIB_FUZZ_IMAGE_H
#define TESTS_FUZZ_LIB_FUZZ_IMAGE_H

#include <stdbool.h>
#include <stdio.h>

#include "p2v/base/blk.h"

/* Sets the checksums of headers, region tables and log entries (VHDX), footers and header (VHD) as their
 * content asks, so that mutations reach what lies behind them. */
#define FUZZ_FIX_CHECKSUMS (1u << 0)
#define FUZZ_TARGET_FLAG(n) (2u << (n)) /* n: 0 … 6 */

#define FUZZ_MAX_FILE_BYTES (64ull << 20)
#define FUZZ_MAX_DISK_BYTES (512ull << 20)

/* The part of an input that is not consumed yet. */
struct fuzz_rest {
	const uint8_t *at;
	size_t left;
};

/* The next byte or integer; zeros once nothing is left. */
uint8_t fuzz_take_u8(struct fuzz_rest *rest);
uint32_t fuzz_take_u32(struct fuzz_rest *rest);

/* One piece; false at the end of the pieces.  The bytes are the input's. */
struct fuzz_piece {
	uint64_t file_offset;
	const uint8_t *bytes;
	size_t len_bytes;
};
bool fuzz_take_piece(struct fuzz_rest *rest, struct fuzz_piece *ret_piece);

#define FUZZ_HEAD_BYTES 5 /* in front of the pieces */

/* Makes the file in memory; the caller closes it. */
struct blk *fuzz_image_decode(struct fuzz_rest *rest, unsigned *ret_flags);
/* The same as a disk, whose checksums are left as they are. */
struct blk *fuzz_disk_decode(struct fuzz_rest *rest, unsigned *ret_flags);

/* Writes an input that describes the first limit_bytes of a file, without operations.  False if writing
 * fails, which errno explains. */
bool fuzz_image_encode(struct blk *file, uint64_t limit_bytes, unsigned flags, FILE *to);

/* The same device, not owned: closing the view leaves it open.  flags: BLK_READ_ONLY. */
struct blk *fuzz_view(struct blk *blk, unsigned flags);

/* What was changed through a view; the view's own. */
const struct extents *fuzz_view_changed(struct blk *view);

/* Ends the process as a crash if the condition does not hold, after naming it. */
#define FUZZ_ASSERT(condition, ...)            \
	do {                                   \
		if (!(condition))              \
			fuzz_die(__VA_ARGS__); \
	} while (0)
void fuzz_die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
