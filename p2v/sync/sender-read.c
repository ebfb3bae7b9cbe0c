/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A disk that fails here and there: what cannot be read in one go is read sector
 * by sector, each twice, so that no more is given up than is lost.
 */
#include <errno.h>
#include <string.h>

#include "p2v/sync/sender-impl.h"

#define TRIES 2

/* The device itself is gone: no sector of it will ever come. */
static bool is_gone(const struct err *err)
{
	return err_errno(err) == ENODEV || err_errno(err) == ENXIO || err_errno(err) == ENOMEDIUM;
}

static struct err *read_sector(struct blk *blk, uint8_t *buf, size_t len_bytes, uint64_t offset)
{
	struct err *err = NULL;

	for (unsigned i = 0; i < TRIES; i++) {
		err_free(err);
		err = blk_pread(blk, buf, len_bytes, offset);
		if (!err || is_gone(err))
			break;
	}
	return err;
}

struct err *read_with_patience(struct blk *blk, void *buf, size_t len_bytes, uint64_t offset,
			       struct extents *ret_unreadable)
{
	struct err *err = blk_pread(blk, buf, len_bytes, offset);
	uint8_t *at = buf;

	for (size_t sector; err && len_bytes; at += sector, offset += sector, len_bytes -= sector) {
		struct err *lost;

		if (is_gone(err))
			return err_advise(err, "the disk has vanished: see that it is connected, and run the "
					       "same command again");
		sector = blk->logical_sector_bytes - offset % blk->logical_sector_bytes;
		if (sector > len_bytes)
			sector = len_bytes;
		lost = read_sector(blk, at, sector, offset);
		if (!lost)
			continue;
		memset(at, 0, sector);
		extents_add(ret_unreadable, offset, offset + sector);
		err_free(err);
		err = lost;
	}
	err_free(err);
	return NULL;
}
