/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The block allocation table in memory ([MS-VHDX] 2.5).
 *
 * It is an array as large as the table (512 MiB at most), of which memory is
 * used only where it was touched: pages of 4 KiB, the unit of the log, are read
 * on first use and never dropped.  The caller serialises all calls.
 */
#ifndef VHDX_BAT_H
#define VHDX_BAT_H

#include "p2v/base/blk.h"
#include "vhdx/format.h"
#include "vhdx/geometry.h"
#include "vhdx/region.h"
#include "vhdx/vhdx.h"

#define VHDX_BAT_PAGE_BYTES VHDX_LOG_SECTOR_BYTES
#define VHDX_BAT_PAGE_ENTRIES (VHDX_BAT_PAGE_BYTES / VHDX_BAT_ENTRY_BYTES)

/* What entries are judged by; all of it is the caller's. */
struct vhdx_bat_limits {
	const struct vhdx_geometry *geometry;
	const struct vhdx_regions *regions;
	uint64_t log_offset;
	uint64_t log_length;
	uint64_t file_bytes; /* length of the file when it was opened */
};

struct vhdx_bat {
	struct vhdx_bat_limits limits;
	uint64_t file_offset; /* of the BAT region */
	uint64_t page_count;
	le64 *entries; /* page_count whole pages */
	uint64_t *loaded; /* a bit for each page */
	uint64_t *dirty;
	uint64_t dirty_count;
};

#define VHDX_BAT_NEW (1u << 0) /* a table of zeros, not yet in the file */

struct err *vhdx_bat_init(struct vhdx_bat *bat, const struct vhdx_bat_limits *limits, unsigned flags)
	ERR_MUST_CHECK;
void vhdx_bat_deinit(struct vhdx_bat *bat);

/* What is wrong with an entry. */
enum vhdx_entry_status {
	VHDX_ENTRY_OK,
	VHDX_ENTRY_RESERVED_STATE,
	VHDX_ENTRY_NEEDS_PARENT, /* partially present, or a sector bitmap, in a file without parent */
	VHDX_ENTRY_IN_HEADER,
	VHDX_ENTRY_IN_REGION,
	VHDX_ENTRY_IN_LOG,
	VHDX_ENTRY_PAST_END,
};

/* Judges one entry by its place in the table; a block that can be read safely is OK. */
enum vhdx_entry_status vhdx_entry_check(const struct vhdx_bat_limits *limits, uint64_t bat_index,
					uint64_t entry);
const char *vhdx_entry_status_text(enum vhdx_entry_status status);

/* True if the state means that the entry's offset is that of space in the file. */
bool vhdx_state_has_space(enum vhdx_block_state state);

/*
 * The place that a payload entry keeps though its block is undefined or unmapped, 0 if there is none.  Others
 * may use it for the block again, or show what is there ([MS-VHDX] 2.5.1.1), so it must be nobody else's.
 */
uint64_t vhdx_entry_anchor(uint64_t entry);
/* Judges it; VHDX_ENTRY_OK if there is none. */
enum vhdx_entry_status vhdx_anchor_check(const struct vhdx_bat_limits *limits, uint64_t block,
					 uint64_t entry);

/* Blocks with one state, following one another in the file if they have space there. */
struct vhdx_run {
	uint64_t count;
	enum vhdx_block_state state;
	uint64_t file_offset; /* 0 without space */
};

/*
 * The run that starts with a payload block, at most max_count blocks.  Reads what
 * is missing through `file`, and fails on an entry that is not VHDX_ENTRY_OK.
 */
struct err *vhdx_bat_get(struct vhdx_bat *bat, struct blk *file, uint64_t block, uint64_t max_count,
			 struct vhdx_run *ret_run) ERR_MUST_CHECK;

/* The anchor of a block whose entry vhdx_bat_get() has seen. */
uint64_t vhdx_bat_get_anchor(const struct vhdx_bat *bat, uint64_t block);

/* Reads and judges the whole table. */
struct err *vhdx_bat_load_all(struct vhdx_bat *bat, struct blk *file) ERR_MUST_CHECK;

/* Sets a block whose entry vhdx_bat_get() has seen; its page becomes dirty. */
void vhdx_bat_set(struct vhdx_bat *bat, uint64_t block, enum vhdx_block_state state, uint64_t file_offset);

/* The sector bitmap block of a chunk in a differencing file: its place, 0 if it has none.  Set: after get. */
struct err *vhdx_bat_get_bitmap(struct vhdx_bat *bat, struct blk *file, uint64_t chunk, uint64_t *ret_offset)
	ERR_MUST_CHECK;
void vhdx_bat_set_bitmap(struct vhdx_bat *bat, uint64_t chunk, uint64_t file_offset);

/* True if the block has space in the file and its entry has not changed since its page was last taken to be
 * written. */
bool vhdx_bat_is_settled(const struct vhdx_bat *bat, uint64_t block);

/* The first dirty page from `page` on; page_count if there is none. */
uint64_t vhdx_bat_next_dirty(const struct vhdx_bat *bat, uint64_t page);
void vhdx_bat_set_dirty(struct vhdx_bat *bat, uint64_t page, bool dirty);
const le64 *vhdx_bat_page(const struct vhdx_bat *bat, uint64_t page);

#endif
