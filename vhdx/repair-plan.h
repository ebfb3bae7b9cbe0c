/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A repair while it is planned, as the parts of it see it.  Nobody outside vhdx/repair*.c includes this. */
#ifndef VHDX_REPAIR_PLAN_H
#define VHDX_REPAIR_PLAN_H

#include "vhdx/header.h"
#include "vhdx/metadata.h"
#include "vhdx/region.h"
#include "vhdx/repair.h"

/* Blocks that get a place of their own, behind the old end of the file. */
struct repair_copy {
	uint64_t from, to;
	uint64_t len_bytes;
};

struct repair_steps {
	struct vhdx_repair_step *items;
	size_t count, capacity;
};

struct vhdx_repair {
	struct blk *file; /* as it is; not ours */
	struct blk *io; /* an overlay: as it will be, but for the copies */
	unsigned flags;
	bool needed;
	bool has_log_place; /* else a new place is found for the log */
	uint64_t data_end; /* the file's end, where it was longer once; else 0 */
	struct vhdx_headers headers;
	struct vhdx_regions regions;
	struct vhdx_metadata metadata;
	struct repair_steps steps, left;
	struct vhdx_loss *losses;
	size_t loss_count, loss_capacity;
	struct repair_copy *copies;
	size_t copy_count, copy_capacity;
};

/* Notes what is done at an offset of the file. */
struct err *repair_note(struct vhdx_repair *r, uint64_t file_offset, const char *format, ...)
	__attribute__((format(printf, 3, 4))) ERR_MUST_CHECK;
struct err *repair_steps_add(struct repair_steps *steps, uint64_t file_offset, const char *text)
	ERR_MUST_CHECK;

/* Notes a part of the disk that is lost or in doubt; text is static.  Neighbours become one. */
struct err *repair_lose(struct vhdx_repair *r, uint64_t offset, uint64_t len_bytes, enum vhdx_loss_kind kind,
			const char *text) ERR_MUST_CHECK;

struct err *repair_add_copy(struct vhdx_repair *r, const struct repair_copy *copy) ERR_MUST_CHECK;

/* "cannot be repaired: …", ERR_REFUSED. */
struct err *repair_refuse(const struct vhdx_repair *r, const char *format, ...)
	__attribute__((format(printf, 2, 3))) ERR_MUST_CHECK;

/* The parts, in the order in which they are called; each leaves r->io such that the next can read it. */
struct err *repair_identifier(struct vhdx_repair *r) ERR_MUST_CHECK;
struct err *repair_headers(struct vhdx_repair *r) ERR_MUST_CHECK; /* which one counts, and where the log is */
struct err *repair_log(struct vhdx_repair *r) ERR_MUST_CHECK;
struct err *repair_regions(struct vhdx_repair *r) ERR_MUST_CHECK; /* BAT may stay unknown: length 0 */
struct err *repair_metadata(struct vhdx_repair *r) ERR_MUST_CHECK;
struct err *repair_bat_region(struct vhdx_repair *r) ERR_MUST_CHECK; /* finds it, if need be */
struct err *repair_bat(struct vhdx_repair *r)
	ERR_MUST_CHECK; /* entries; the file's length; the log's place */
struct err *repair_write_headers(struct vhdx_repair *r) ERR_MUST_CHECK;

/* Writes both region tables from r->regions. */
struct err *repair_write_regions(struct vhdx_repair *r) ERR_MUST_CHECK;

/*
 * Guesses by what else is in the file, for metadata that is lost; 0 if there is no
 * telling.  repair_guess_block_bytes() goes by the BAT, the others by a GPT on
 * the disk, for which the block size must be known.
 */
struct err *repair_guess_block_bytes(struct vhdx_repair *r, uint32_t *ret_bytes) ERR_MUST_CHECK;
struct err *repair_guess_sector_bytes(struct vhdx_repair *r, uint32_t *ret_bytes) ERR_MUST_CHECK;
struct err *repair_guess_size_bytes(struct vhdx_repair *r, uint64_t *ret_bytes) ERR_MUST_CHECK;

#endif
