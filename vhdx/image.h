/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Disk images by what they contain, not by what they are called.
 */
#ifndef VHDX_IMAGE_H
#define VHDX_IMAGE_H

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

/* Looks at the content.  ERR_REFUSED: a folder, an empty file, not readable. */
struct err *image_probe(const char *path, enum image_format *ret_format) ERR_MUST_CHECK;

/*
 * Opens an image or block device read-only by content, or an NBD URI ("nbd://", "nbd+unix://").
 * Foreign formats are ERR_REFUSED.  ret_format may be NULL.
 */
struct err *image_open(const char *path_or_uri, const struct log *log, enum image_format *ret_format,
		       struct blk **ret_blk) ERR_MUST_CHECK;

#endif
