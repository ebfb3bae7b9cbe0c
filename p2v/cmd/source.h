/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The disks that a command is given, opened read-only: raw files, VHD, VHDX and
 * block devices by us, other formats through qemu-nbd.
 */
#ifndef P2V_CMD_SOURCE_H
#define P2V_CMD_SOURCE_H

#include "p2v/base/blk.h"
#include "p2v/guest/serve.h"
#include "vhdx/image.h"

struct source {
	char *path; /* absolute, as the user meant it */
	char *uri; /* what the nbdkit plugin opens: the path, or the NBD URI of qemu-nbd */
	enum image_format format;
	struct blk *blk;
	uint32_t sector_bytes; /* logical, of the disk that it is an image of */
	struct server *foreign; /* qemu-nbd, where it was needed */
	struct extents data; /* what may hold anything but zeros, once source_find_data() ran */
};

/* scratch_dir: for the socket of a foreign format; short, for sockets' names are. */
struct err *source_open(const char *path, const char *scratch_dir, const struct log *log,
			struct source *ret_source) ERR_MUST_CHECK;
struct err *source_find_data(struct source *source) ERR_MUST_CHECK;
void source_close(struct source *source);

#endif
