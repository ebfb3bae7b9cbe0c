/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The sector bitmaps of a differencing file in memory ([MS-VHDX] 2.4): which
 * sectors of partially present blocks are in the file.
 *
 * Pages of 4 KiB, the unit of the log, are read on first use; of those that are
 * the same in the file a bounded number is kept.  The caller serialises all calls
 * (map_lock).
 */
#ifndef VHDX_BITMAP_H
#define VHDX_BITMAP_H

#include "p2v/base/blk.h"
#include "vhdx/bat.h"

#define VHDX_BITMAP_PAGE_BYTES VHDX_LOG_SECTOR_BYTES
#define VHDX_BITMAP_PAGE_SECTORS (VHDX_BITMAP_PAGE_BYTES * 8)
#define VHDX_BITMAP_BLOCK_PAGES (VHDX_BITMAP_BLOCK_BYTES / VHDX_BITMAP_PAGE_BYTES)

/* Who changes much should flush when there are more dirty pages than this (16 MiB). */
#define VHDX_BITMAP_MANY_DIRTY 4096u

struct vhdx_bitmap_page;

struct vhdx_bitmap {
	struct vhdx_bat *bat; /* where the sector bitmap blocks are */
	uint64_t page_count; /* of the whole disk, there or not */
	struct vhdx_bitmap_page **pages; /* NULL: not in memory */
	struct vhdx_bitmap_page **resident; /* those in memory, in no order */
	size_t resident_count, resident_capacity;
	size_t hand; /* among the resident: whose turn to leave it is */
	uint64_t *dirty; /* a bit for each page */
	uint64_t dirty_count;
	uint64_t preparing; /* 1 + the chunk whose bitmap is being made ready; 0: none */
};

struct err *vhdx_bitmap_init(struct vhdx_bitmap *bitmap, struct vhdx_bat *bat) ERR_MUST_CHECK;
void vhdx_bitmap_deinit(struct vhdx_bitmap *bitmap);

/* Sectors from `sector` on that are all in the file, or all not: at most max_count.  Sectors are counted from
 * the start of the disk. */
struct err *vhdx_bitmap_get(struct vhdx_bitmap *bitmap, struct blk *file, uint64_t sector, uint64_t max_count,
			    bool *ret_present, uint64_t *ret_count) ERR_MUST_CHECK;

/* Says of sectors that they are in the file, or are not; pages that change become dirty. */
struct err *vhdx_bitmap_set(struct vhdx_bitmap *bitmap, struct blk *file, uint64_t sector, uint64_t count,
			    bool present) ERR_MUST_CHECK;

/* Forgets all pages: the sector bitmap blocks are no more. */
void vhdx_bitmap_forget(struct vhdx_bitmap *bitmap);

/*
 * Writing out: a dirty page is taken (set clean), then written; it stays in memory
 * until vhdx_bitmap_settle() says that what was taken is in the file.
 */
uint64_t vhdx_bitmap_next_dirty(const struct vhdx_bitmap *bitmap, uint64_t page); /* page_count: none */
void vhdx_bitmap_set_dirty(struct vhdx_bitmap *bitmap, uint64_t page, bool dirty);
const void *vhdx_bitmap_page_data(const struct vhdx_bitmap *bitmap, uint64_t page);
uint64_t vhdx_bitmap_page_offset(const struct vhdx_bitmap *bitmap, uint64_t page);
void vhdx_bitmap_settle(struct vhdx_bitmap *bitmap);

#endif
