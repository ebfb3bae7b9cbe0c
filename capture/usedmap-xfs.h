/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAPTURE_USEDMAP_XFS_H
#define CAPTURE_USEDMAP_XFS_H

#include "p2v/base/blk.h"

/*
 * NULL if the log, [start, start + bytes) of blk, ends in an unmount record, so that there is nothing to
 * replay; a doubt otherwise.  Source: the kernel's fs/xfs/libxfs/xfs_log_format.h and xfs_log_recover.c.
 */
struct err *xfs_log_check_clean(struct blk *blk, uint64_t start, uint64_t bytes) ERR_MUST_CHECK;

#endif
