/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where a file lies in an ISO 9660 image (ECMA-119), by its path in the primary directory tree. */
#ifndef ISO_ISO9660_H
#define ISO_ISO9660_H

#include <stdbool.h>
#include <stdint.h>

#include "p2v/base/blk.h"

#define ISO9660_APPLICATION_BYTES 128

/* The primary volume descriptor's application identifier (8.4.20), without the blanks behind it.  ERR_REFUSED
 * if the image is no ISO 9660. */
struct err *iso9660_read_application(struct blk *blk, char ret_text[ISO9660_APPLICATION_BYTES + 1])
	ERR_MUST_CHECK;

/*
 * path: names as they are stored, separated by '/': "BOOT/CONFIG.IMG;1".  ERR_REFUSED if there is no such
 * file, or the tree is damaged.  Both results are in bytes; the file lies within the image.
 */
struct err *iso9660_find(struct blk *blk, const char *path, uint64_t *ret_offset, uint64_t *ret_bytes)
	ERR_MUST_CHECK;

#endif
