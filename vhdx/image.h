/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Disk images by what they contain, not by what they are called.
 */
#ifndef VHDX_IMAGE_H
#define VHDX_IMAGE_H

#include <stdbool.h>

#include "p2v/base/blk.h"
#include "p2v/base/log.h"

enum image_format {
	IMAGE_RAW, /* also block devices */
	IMAGE_VHD,
	IMAGE_VHDX,
	/* Recognised, not opened here: qemu-nbd reads them. */
	IMAGE_QCOW2,
	IMAGE_VMDK,
	IMAGE_VDI,
};

const char *image_format_name(enum image_format format); /* "raw", "vhd", "vhdx", "qcow2", … */

/* True for "nbd://…", "nbd+unix://…" and the like. */
bool image_is_uri(const char *path_or_uri);

/* Looks at the content; a block device and an NBD export are always raw.  ERR_REFUSED: a folder, an
 * empty file, not readable, a kind of file that is no disk or that nothing of ours can read. */
struct err *image_probe(const char *path_or_uri, enum image_format *ret_format) ERR_MUST_CHECK;

/*
 * Opens an image or block device read-only by content, or an NBD URI ("nbd://", "nbd+unix://").
 * Foreign formats are ERR_REFUSED.  ret_format may be NULL.
 */
struct err *image_open(const char *path_or_uri, const struct log *log, enum image_format *ret_format,
		       struct blk **ret_blk) ERR_MUST_CHECK;

#define IMAGE_OPEN_WRITE (1u << 0)
#define IMAGE_OPEN_INCOMPLETE (1u << 1) /* VHDX: accept the incomplete marker */

/* The same with a choice; flags 0 is image_open(). */
struct err *image_open_with(const char *path_or_uri, unsigned flags, const struct log *log,
			    enum image_format *ret_format, struct blk **ret_blk) ERR_MUST_CHECK;

/* Zeros mean the default, but for the size. */
struct image_create_options {
	enum image_format format; /* raw, VHD or VHDX */
	bool fixed; /* all space is there from the start */
	uint64_t size_bytes; /* rounded up to what the format can have */
	uint32_t block_bytes; /* VHD and VHDX */
	uint32_t logical_sector_bytes; /* VHDX: 512 or 4096 */
};

/* Makes a new image; path must not exist, and does not exist after a failure. */
struct err *image_create(const char *path, const struct image_create_options *options, const struct log *log,
			 struct blk **ret_blk) ERR_MUST_CHECK;

/* Makes a new image, and all that was written to it, whole and durable; it stays open. */
struct err *image_finish(struct blk *image, enum image_format format) ERR_MUST_CHECK;

#endif
