/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A tar archive of small files, in memory: POSIX.1-1988 ustar, which every tar reads. */
#ifndef ISO_LIVE_TAR_H
#define ISO_LIVE_TAR_H

#include "p2v/base/strv.h"

/* Adds a file at the end of the archive.  The name is relative, of at most 100 bytes. */
void live_tar_add(struct text *archive, const char *name, const void *data, size_t bytes);

/* What stands behind the last file. */
void live_tar_end(struct text *archive);

#endif
