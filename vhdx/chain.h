/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Chains: a differencing file, its parent, the parent's parent, down to a file
 * that holds the whole disk.  Each has its parent open beneath it.
 */
#ifndef VHDX_CHAIN_H
#define VHDX_CHAIN_H

#include <sys/types.h>

#include "p2v/base/blk.h"
#include "vhdx/device.h"

/* Who is being opened for whom; lives on the stack. */
struct vhdx_chain_link {
	dev_t device;
	ino_t inode;
	const struct vhdx_chain_link *child; /* NULL: the first of the chain */
};

/*
 * Finds and opens the parent of a file whose metadata is read, by its locator.
 * flags are those that the child is opened with.  ERR_REFUSED: there is none, it
 * has changed since, or it cannot be used; the message names all places that were
 * looked at.
 */
struct err *vhdx_chain_open_parent(struct vhdx *child, unsigned flags, const struct vhdx_chain_link *children,
				   struct blk **ret_parent) ERR_MUST_CHECK;

/* Whether an open device can be the parent: its linkage, if it is a VHDX, and its sectors. */
struct err *vhdx_chain_check_parent(struct vhdx *child, struct blk *parent) ERR_MUST_CHECK;

#endif
