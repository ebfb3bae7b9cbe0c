/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How file systems that are mounted are asked: one file a kind, one table of them (livemap.c). */
#ifndef CAPTURE_LIVEMAP_IMPL_H
#define CAPTURE_LIVEMAP_IMPL_H

#include "p2v/base/err.h"
#include "p2v/base/extents.h"

/* Told for each device ("8:1") of a file system: its size, and bytes of it (those that are free). */
typedef void (*livemap_tell_fn)(void *arg, const char *device, uint64_t size_bytes,
				const struct extents *bytes);

struct livemap_kind {
	const char *name;
	long magic; /* statfs(2) */
	/* Asks the file system that the descriptor is of.  An error is a doubt; what was told counts. */
	struct err *(*ask)(int fd, livemap_tell_fn tell, void *arg);
};

extern const struct livemap_kind livemap_ext, livemap_xfs, livemap_btrfs;

/* Where addresses of btrfs's own, as FS_IOC_FIEMAP gives them, lie on its devices, as far as they are not
 * striped over several. */
struct err *livemap_btrfs_translate(int fd, const struct extents *logical, livemap_tell_fn tell, void *arg)
	ERR_MUST_CHECK;

#endif
