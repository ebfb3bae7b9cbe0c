/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where LVM2 keeps its metadata on a physical volume (lvm2: lib/format_text/layout.h, lib/label/label.h). */
#ifndef CAPTURE_LVM_AREA_H
#define CAPTURE_LVM_AREA_H

#include <stdbool.h>

#include "p2v/base/blk.h"

#define LVM_ID_BYTES 32

/* True if one of the first four sectors is a label; start has at least these. */
bool lvm_has_label(const uint8_t *start, uint64_t size_bytes);

/*
 * The physical volume's id, and the text of its first metadata area, which the caller frees (it is not
 * NUL-terminated).  A doubt (usedmap-impl.h) where a checksum is wrong or the metadata is elsewhere.
 */
struct err *lvm_read_text(struct blk *blk, char ret_id[LVM_ID_BYTES], char **ret_text, size_t *ret_bytes)
	ERR_MUST_CHECK;

#endif
