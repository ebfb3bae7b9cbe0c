/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * VHD files (the format before VHDX) as block devices: fixed and dynamic ones
 * read and written, differencing ones refused for now.
 *
 * Source: "Virtual Hard Disk Image Format Specification", version 1.0 (Microsoft,
 * 2006).  The size of the disk is the footer's "current size"; its cylinders,
 * heads and sectors, which cannot express most sizes, do not matter.
 *
 * What survives a power cut: everything before the last flush that returned.  A
 * new block appears in the block allocation table at the next flush, when its
 * content is durable.
 */
#ifndef VHDX_VHD_H
#define VHDX_VHD_H

#include <stdbool.h>

#include "p2v/base/blk.h"
#include "p2v/base/guid.h"
#include "p2v/base/log.h"

/* Hyper-V's limit; the format's own is little higher. */
#define VHD_MAX_DISK_BYTES (2040ull << 30)
#define VHD_DEFAULT_BLOCK_BYTES (2u << 20)
#define VHD_MIN_BLOCK_BYTES (512u << 10)
#define VHD_MAX_BLOCK_BYTES (256u << 20)

#define VHD_CREATE_FIXED (1u << 0) /* all space is there from the start */

/* Zeros mean the default, but for the size. */
struct vhd_create_options {
	uint64_t size_bytes; /* a multiple of 512, at most VHD_MAX_DISK_BYTES */
	uint32_t block_bytes; /* of a dynamic file: a power of two, VHD_MIN_… to VHD_MAX_BLOCK_BYTES */
	unsigned flags; /* VHD_CREATE_FIXED */
};

/*
 * Makes a new VHD; path must not exist, and does not exist after a failure.
 * ERR_REFUSED: options that VHD does not allow.
 */
struct err *vhd_create(const char *path, const struct vhd_create_options *options, const struct log *log,
		       struct blk **ret_blk) ERR_MUST_CHECK;

/* The same in an open, writable, empty (size_bytes 0) device that can be resized.  It belongs to the
 * result if the call succeeds, else still to the caller. */
struct err *vhd_create_on(struct blk *file, const struct vhd_create_options *options, const struct log *log,
			  struct blk **ret_blk) ERR_MUST_CHECK;

#define VHD_OPEN_WRITE (1u << 0) /* else read-only */
/* Only to look into: vhd_get_info() works on differencing files too; reading one stays ERR_REFUSED. */
#define VHD_OPEN_INSPECT (1u << 1)

/*
 * Opens a VHD and checks all its structures.  One good copy of the footer is
 * enough; that is a log_warning.  ERR_REFUSED: not a VHD, damaged, differencing.
 */
struct err *vhd_open(const char *path, unsigned flags, const struct log *log, struct blk **ret_blk)
	ERR_MUST_CHECK;

/* The same on an open device (writable for VHD_OPEN_WRITE), which belongs to the result if the call
 * succeeds, else still to the caller. */
struct err *vhd_open_on(struct blk *file, unsigned flags, const struct log *log, struct blk **ret_blk)
	ERR_MUST_CHECK;

/* The numbers are those on disk. */
enum vhd_type { VHD_FIXED = 2, VHD_DYNAMIC = 3, VHD_DIFFERENCING = 4 };

const char *vhd_type_name(enum vhd_type type); /* "fixed", "dynamic", "differencing" */

struct vhd_info {
	enum vhd_type type;
	char creator[5]; /* who made it: "win ", "d2v ", "qemu", … */
	uint64_t size_bytes;
	uint64_t file_bytes;
	uint32_t block_bytes; /* 0 for a fixed file */
	uint64_t block_count;
	uint64_t allocated_blocks;
	struct guid id;
};

void vhd_get_info(struct blk *vhd, struct vhd_info *ret_info);

#endif
