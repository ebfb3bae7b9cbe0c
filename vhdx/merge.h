/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The steps of a merge. */
#ifndef VHDX_MERGE_H
#define VHDX_MERGE_H

#include "vhdx/device.h"
#include "vhdx/locator.h"

/* Writes the linkage into the parent locator, durably; the child's own content keeps its name. */
struct err *vhdx_set_linkage(struct vhdx *child, const struct vhdx_linkage *linkage) ERR_MUST_CHECK;

/* Takes all blocks out of a child, whose parent then shows through; the file becomes as short as it can.  It
 * is for the caller to know that the content stays the same. */
struct err *vhdx_empty_child(struct vhdx *child) ERR_MUST_CHECK;

#endif
