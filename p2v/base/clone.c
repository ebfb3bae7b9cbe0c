/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A failure is not told apart from what is not possible: reading and writing
 * instead works in the one case, and names the error in the other.
 */
#include "p2v/base/clone.h"

#include <errno.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef SMB2_SUPER_MAGIC
#define SMB2_SUPER_MAGIC 0xFE534D42
#endif
#ifndef CEPH_SUPER_MAGIC
#define CEPH_SUPER_MAGIC 0x00c36400
#endif

/* A range that is not aligned is refused with EINVAL, after all that would be said of any range. */
static bool can_share(int from_fd, int to_fd)
{
	struct file_clone_range range = {
		.src_fd = from_fd, .src_offset = 1, .src_length = 1, .dest_offset = 1};

	return ioctl(to_fd, FICLONERANGE, &range) && errno == EINVAL;
}

/* Elsewhere copy_file_range() is a copy through the page cache. */
static bool is_on_server(int fd)
{
	static const unsigned long types[] = {NFS_SUPER_MAGIC, SMB2_SUPER_MAGIC, CEPH_SUPER_MAGIC};
	struct statfs fs;

	if (fstatfs(fd, &fs))
		return false;
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if ((uint32_t)fs.f_type == types[i])
			return true;
	return false;
}

enum clone_way clone_find_way(int from_fd, int to_fd)
{
	struct stat from, to;

	if (fstat(from_fd, &from) || fstat(to_fd, &to) || from.st_dev != to.st_dev ||
	    !S_ISREG(from.st_mode) || !S_ISREG(to.st_mode))
		return CLONE_NONE;
	if (can_share(from_fd, to_fd))
		return CLONE_SHARE;
	return is_on_server(to_fd) ? CLONE_SERVER : CLONE_NONE;
}

static uint64_t copy_on_server(int from_fd, uint64_t from_offset, int to_fd, uint64_t to_offset,
			       uint64_t len_bytes)
{
	off64_t from = from_offset, to = to_offset;
	uint64_t done = 0;

	while (done < len_bytes) {
		ssize_t bytes = copy_file_range(from_fd, &from, to_fd, &to, len_bytes - done, 0);

		if (bytes < 0 && errno == EINTR)
			continue;
		if (bytes <= 0)
			break;
		done += bytes;
	}
	return done;
}

uint64_t clone_range(enum clone_way way, int from_fd, uint64_t from_offset, int to_fd, uint64_t to_offset,
		     uint64_t len_bytes)
{
	struct file_clone_range range = {from_fd, from_offset, len_bytes, to_offset};

	switch (way) {
	case CLONE_SHARE:
		/* Length 0 would mean all of the file. */
		return len_bytes && !ioctl(to_fd, FICLONERANGE, &range) ? len_bytes : 0;
	case CLONE_SERVER:
		return copy_on_server(from_fd, from_offset, to_fd, to_offset, len_bytes);
	default:
		return 0;
	}
}
