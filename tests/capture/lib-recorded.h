/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Recordings of machines: folders that look like the root of one, as far as discovery reads it. */
#ifndef TESTS_CAPTURE_LIB_RECORDED_H
#define TESTS_CAPTURE_LIB_RECORDED_H

#include <stdint.h>

struct recorded_machine {
	char *root;
	char *mounts, *swaps; /* so far */
};

struct recorded_disk {
	const char *name; /* the kernel's */
	const char *number; /* "8:0" */
	const char *place; /* below /sys/devices: what it is attached to; NULL: virtual */
	uint64_t mib;
	const char *model, *serial;
	unsigned sector_bytes; /* 0: 512 */
	enum { RECORDED_REMOVABLE = 1, RECORDED_READ_ONLY = 2, RECORDED_HIDDEN = 4 } flags;
};

struct recorded_part {
	const char *disk;
	unsigned number;
	const char *name, *device_number, *content;
	uint64_t start_mib, mib;
};

/* A stacked device; its kind by dm_uuid or md_level. */
struct recorded_volume {
	const char *name, *device_number;
	const char *dm_name, *dm_uuid, *md_level;
	const char *on; /* kernel names, with spaces */
	const char *content;
	uint64_t mib;
};

struct recorded_machine *recorded_create(void);
void recorded_destroy(struct recorded_machine *recording);

/* content "->x" is a symbolic link, path "…/" a folder. */
void record(struct recorded_machine *recording, const char *path, const char *content);
void record_disk(struct recorded_machine *recording, const struct recorded_disk *disk);
void record_part(struct recorded_machine *recording, const struct recorded_part *part);
void record_volume(struct recorded_machine *recording, const struct recorded_volume *volume);
void record_mount(struct recorded_machine *recording, const char *number, const char *source,
		  const char *folder, const char *options);
/* A folder of a file system is mounted; subvol is btrfs's option, NULL for ext4. */
void record_part_mount(struct recorded_machine *recording, const char *number, const char *source,
		       const char *root, const char *folder, const char *subvol);
void record_swap(struct recorded_machine *recording, const char *device);
/* device: the folder below /sys/devices; NULL for what is no hardware, whose uevent says DEVTYPE. */
void record_nic(struct recorded_machine *recording, const char *name, const char *mac, const char *device,
		const char *driver, const char *type);

#endif
