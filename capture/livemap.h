/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What of a disk the file systems that are mounted from it do not use, as they themselves say.
 *
 * On a disk the bitmaps of a mounted file system are old, so that the used map of usedmap.h takes all of it.
 * Its free space is known to the kernel.
 *
 * What counts, and makes it safe: tracking (track.h) has begun before.  A byte that is free at the moment
 * when its file system is asked, and used later, has been written in between or has no content yet (space
 * that was only reserved); so either the tracker tells of it, or it does not matter.  It does not matter,
 * either, that the answer is not of one moment.
 */
#ifndef CAPTURE_LIVEMAP_H
#define CAPTURE_LIVEMAP_H

#include "p2v/base/extents.h"
#include "p2v/base/log.h"

/*
 * Adds the free bytes of the disk, a device number ("8:0") of this machine.  Runs shorter than gap_bytes are
 * left out.  Never fails: a file system that cannot be asked, or of which it is not known where on the disk
 * it lies, has nothing free, and the log says why.
 */
void livemap_find_free(const char *disk, uint64_t gap_bytes, const struct log *log, struct extents *ret_free);

#endif
