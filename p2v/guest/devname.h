/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names of block devices as Linux configuration files write them, taken apart. */
#ifndef P2V_GUEST_DEVNAME_H
#define P2V_GUEST_DEVNAME_H

#include <stdbool.h>

#include "p2v/base/cleanup.h"

enum devname_kind {
	DEVNAME_NONE, /* no block device: "proc", "server:/export", "none" */
	DEVNAME_UUID, /* UUID=, by-uuid; value is the UUID */
	DEVNAME_LABEL,
	DEVNAME_PARTUUID,
	DEVNAME_PARTLABEL,
	DEVNAME_LOGICAL_VOLUME, /* value "/dev/vg/lv" */
	DEVNAME_KERNEL, /* named by driver and order: value is the disk ("sda", "cciss/c0d0") */
	DEVNAME_HARDWARE, /* named by slot, serial number or path: value is the disk ("disk/by-id/…") */
	DEVNAME_OTHER, /* anything else: md, dm, crypt, /dev/cdrom; value is the name itself */
};

struct devname {
	enum devname_kind kind;
	char *value;
	unsigned partition; /* of the two kinds that name a disk; 0: the whole disk */
};

/* Understands fstab's tags (with or without quotes) and everything below /dev. */
void devname_parse(const char *name, struct devname *ret_name);
void devname_deinit(struct devname *name);
#define CLEANUP_DEVNAME CLEANUP(devname_deinit)

#endif
