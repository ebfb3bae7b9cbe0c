/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Copying between files without moving the data: the file system, or its server, does it. */
#ifndef P2V_BASE_CLONE_H
#define P2V_BASE_CLONE_H

#include <stdint.h>

enum clone_way {
	CLONE_NONE, /* the data would go through this machine's memory: that is better done by reading */
	CLONE_SHARE, /* the files share the space until one changes (FICLONERANGE) */
	CLONE_SERVER, /* the server copies (copy_file_range over NFS, SMB, Ceph) */
};

/* Finds out without changing anything. */
enum clone_way clone_find_way(int from_fd, int to_fd);

/* Returns how much of the start was done; offsets and length should be multiples of the file system's block.
 */
uint64_t clone_range(enum clone_way way, int from_fd, uint64_t from_offset, int to_fd, uint64_t to_offset,
		     uint64_t len_bytes);

#endif
