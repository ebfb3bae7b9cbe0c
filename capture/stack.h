/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What stands on a disk, through all volumes between, and what of it is in use. */
#ifndef CAPTURE_STACK_H
#define CAPTURE_STACK_H

#include <stdbool.h>

#include "capture/usedmap.h"
#include "p2v/base/extents.h"
#include "p2v/base/machine.h"

/* Free runs below this are not worth a seek, nor a request of their own. */
#define STACK_GAP_BYTES (64u << 10)

/* True if the device (disk, path, partition, volume) is the disk, or stands on it, also in part. */
bool stack_is_on(const struct machine *machine, const struct machine_disk *disk, const char *device);

/* Adds every use of the disk, its partitions and the volumes on it. */
void stack_uses(const struct machine *machine, const struct machine_disk *disk, struct strv *ret_uses);

/* Adds the bytes of the disk that change while it is read: mounted for writing, or swapped to. */
void stack_in_use(const struct machine *machine, const struct machine_disk *disk, struct extents *ret_set);

/* The used map of the disk, which blk reads: what changes meanwhile counts as used.  disk NULL: nothing is
 * known of what uses it. */
void stack_take_used(const struct machine *machine, const struct machine_disk *disk, struct blk *blk,
		     struct usedmap *ret_map);

#endif
