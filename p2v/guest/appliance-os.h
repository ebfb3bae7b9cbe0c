/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Finding the operating system on the disks of an appliance, and mounting it. */
#ifndef P2V_GUEST_APPLIANCE_OS_H
#define P2V_GUEST_APPLIANCE_OS_H

#include "p2v/guest/appliance-impl.h"

/* How a file system is mounted: to look (NULL: never), and for good (NULL: never). */
struct fs_kind {
	const char *content; /* libblkid's TYPE */
	const char *look_options;
	const char *replay_options; /* to look, after its journal was replayed */
	const char *options;
};

/* NULL if it is no file system that p2v mounts. */
const struct fs_kind *fs_kind_find(const char *content);

/* An operating system that was found. */
struct found_os {
	size_t device; /* index in the appliance's devices */
	char *subvolume; /* of btrfs; NULL: the default one */
	bool is_windows;
};
void found_os_deinit(struct found_os *found);

/*
 * The one system on the disks.  Every file system that can hold one is mounted for a moment, read-only and
 * (if that suffices) without replaying its journal, and looked at; all in one call.  ERR_REFUSED with the
 * reason: none, several, encrypted, damaged, Windows.
 */
struct err *appliance_find_os(struct appliance *appliance, struct found_os *ret_found) ERR_MUST_CHECK;

/* Mounts a device on an existing folder of the guest; what the kernel says of its journal is logged.
 * ERR_REFUSED if it cannot be mounted.  options: further ones, "" for none. */
struct err *appliance_mount(struct appliance *appliance, const struct block_device *device,
			    const char *options, const char *path) ERR_MUST_CHECK;

/*
 * With the root mounted and volumes and disk names known: mounts from fstab what the system is made of
 * (/boot, /usr, /var …; data volumes need no change and are left alone), and an EFI system partition that
 * fstab does not mention.
 */
struct err *appliance_mount_fstab(struct appliance *appliance, const struct inspection *inspection)
	ERR_MUST_CHECK;

#endif
