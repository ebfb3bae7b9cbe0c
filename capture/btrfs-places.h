/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where what btrfs has allocated lies on a device: its chunks have logical addresses, and copies. */
#ifndef CAPTURE_BTRFS_PLACES_H
#define CAPTURE_BTRFS_PLACES_H

#include <stdbool.h>
#include <stddef.h>

#include "p2v/base/extents.h"

/* Features with which all of that holds: mixed_backref to raid1c34, simple_quota; not zoned, extent_tree_v2
 * and raid_stripe_tree. */
#define BTRFS_INCOMPAT_KNOWN 0x10fffull

/* [logical, logical + bytes) lies in one run on the device. */
struct btrfs_place {
	uint64_t physical, logical, bytes;
};

/* Adds where the logical bytes lie; the places get the device's order, in which adding is cheap.  False: two
 * of them overlap on the device, and what was added means nothing. */
bool btrfs_places_translate(struct btrfs_place *places, size_t count, const struct extents *logical,
			    struct extents *ret_on_device);

/* Adds what is never in a chunk, of a file system that has device_bytes of size_bytes: room for boot loaders,
 * superblocks, what is behind it. */
void btrfs_places_add_reserved(uint64_t device_bytes, uint64_t size_bytes, struct extents *ret_on_device);

#endif
