/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A VHD in memory, shared by the parts of its implementation. */
#ifndef VHDX_VHD_DEVICE_H
#define VHDX_VHD_DEVICE_H

#include <pthread.h>

#include "vhdx/vhd-format.h"

/* What is known of a block's sector bitmap. */
enum vhd_bitmap_state {
	VHD_BITMAP_UNKNOWN, /* not looked at yet */
	VHD_BITMAP_FULL, /* every sector of the disk in it is present */
	VHD_BITMAP_PARTIAL, /* some read as zeros, whatever the file holds */
};

struct vhd {
	struct blk blk;
	struct blk *file;
	const struct log *log;
	struct vhd_footer footer;
	struct vhd_disk_footer disk_footer; /* as it is, or goes, to the file */

	/* Of a dynamic file alone. */
	struct vhd_header header;
	uint32_t block_count;
	uint64_t data_end; /* behind the last structure but the footer; new blocks go here */
	pthread_rwlock_t lock; /* for reading: bat and the file are used; for writing: they change */
	uint32_t *bat; /* block_count sector numbers, host order */
	uint8_t *bitmap_states; /* enum vhd_bitmap_state; any thread may set what it learnt */
	bool bat_is_dirty; /* blocks were allocated since the last flush … */
	uint32_t dirty_first, dirty_end; /* … and these entries changed */
};

/* The bytes of a block that the disk has; the last one may be short. */
static inline uint32_t vhd_block_bytes(const struct vhd *vhd, uint32_t block)
{
	uint64_t start = (uint64_t)block * vhd->header.block_bytes;
	uint64_t left = vhd->footer.size_bytes - start;

	return left < vhd->header.block_bytes ? left : vhd->header.block_bytes;
}

static inline uint64_t vhd_bitmap_offset(const struct vhd *vhd, uint32_t block)
{
	return (uint64_t)vhd->bat[block] * VHD_SECTOR_BYTES;
}

static inline uint64_t vhd_data_offset(const struct vhd *vhd, uint32_t block)
{
	return vhd_bitmap_offset(vhd, block) + vhd_bitmap_bytes(vhd->header.block_bytes);
}

/* The operations of the two types. */
extern const struct blk_ops vhd_fixed_ops;
extern const struct blk_ops vhd_dynamic_ops;

/* Reads the dynamic header and the BAT, and checks both; vhd->footer is set. */
struct err *vhd_dynamic_load(struct vhd *vhd) ERR_MUST_CHECK;

/* Writes all structures of an empty dynamic file; vhd->footer and ->disk_footer are set. */
struct err *vhd_dynamic_format(struct vhd *vhd, uint32_t block_bytes) ERR_MUST_CHECK;

/* Frees the struct and closes the file (NULL: it is the caller's). */
struct err *vhd_free(struct vhd *vhd) ERR_MUST_CHECK;

#endif
