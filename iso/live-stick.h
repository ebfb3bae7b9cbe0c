/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Saving a file on a USB stick: mounted for that moment alone, and never a disk of the machine's. */
#ifndef ISO_LIVE_STICK_H
#define ISO_LIVE_STICK_H

#include "p2v/base/machine.h"

struct live_stick {
	char *device; /* "/dev/sdb1" */
	char *content; /* "vfat", "ext4", … */
	char *label; /* "SanDisk Ultra, 14.9 GiB, BACKUP" */
};

struct live_sticks {
	struct live_stick *items;
	size_t count, capacity;
};

/* File systems on removable and USB disks that are neither mounted nor among `chosen`. */
void live_sticks_find(const struct machine *machine, const struct strv *chosen,
		      struct live_sticks *ret_sticks);
void live_sticks_deinit(struct live_sticks *sticks);
#define CLEANUP_LIVE_STICKS CLEANUP(live_sticks_deinit)

/* Copies the file to the top of the stick's file system, below folder `mount_dir`, which is made. */
struct err *live_stick_save(const struct live_stick *stick, const char *mount_dir, const char *path)
	ERR_MUST_CHECK;

#endif
