/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The inside of an appliance, shared by the files that start it, look at its disks, and find the system. */
#ifndef P2V_GUEST_APPLIANCE_IMPL_H
#define P2V_GUEST_APPLIANCE_IMPL_H

#include <guestfs.h>

#include "p2v/base/guardian.h"
#include "p2v/base/strv.h"
#include "p2v/guest/appliance.h"

/* A partition, a whole disk, a logical volume or an array, as the appliance sees it. */
struct block_device {
	char *device; /* "/dev/sda1", "/dev/vg/lv"; the disk's letter is its place among ours */
	char *node; /* what the appliance's kernel calls it: it names disks as they happen to answer */
	int disk; /* -1: on several */
	unsigned partition;
	uint64_t start_bytes;
	uint64_t size_bytes;
	bool is_logical_volume;
	char *below; /* of a stacked device: what the appliance's kernel calls the first one it lies on */
	char *content; /* libblkid's TYPE */
	char *uuid;
	char *label;
	char *partuuid;
	char *partlabel;
	char *part_type; /* "0x83" or a GUID */
	char *table; /* of a whole disk: "gpt", "dos" */
};

struct appliance_disk {
	uint64_t size_bytes;
	uint32_t logical_sector_bytes;
	uint32_t physical_sector_bytes;
};

/* Messages of libguestfs and of the appliance's console, for the log and for errors. */
struct appliance_console {
	const struct log *log;
	char last[512]; /* the last line that is not empty */
};

struct appliance {
	guestfs_h *g;
	struct appliance_console console;
	struct guardian *guardian;
	const struct log *log;
	char *scratch_dir;
	const char *accelerator;
	bool read_only;
	bool saw_damage;
	struct appliance_disk *disks;
	size_t disk_count;
	struct block_device *devices; /* ordered by disk and partition, what is on several disks last */
	size_t device_count;
	struct guest *guest;
	size_t boot_disk;
};

/* The appliance's own words for what went wrong in the last call. */
struct err *appliance_error(struct appliance *appliance, const char *what, ...)
	__attribute__((format(printf, 2, 3))) ERR_MUST_CHECK;

/*
 * Runs a script in the appliance itself (never the guest's programs), with the guest at /sysroot, and gives
 * its standard output.  One call in place of many: each costs a process or more, and those are slow where
 * the processor is emulated.  At most some 3 MiB of output.
 */
struct err *appliance_shell(struct appliance *appliance, const char *script, char **ret_output)
	ERR_MUST_CHECK;

/* Adds a word to a script so that the shell takes it as it is. */
void appliance_quote(struct text *script, const char *word);

/* Starts a hypervisor for the options; sets g, guardian and accelerator. */
struct err *appliance_launch(struct appliance *appliance, const struct appliance_options *options)
	ERR_MUST_CHECK;

/* Fills in disks and devices. */
struct err *appliance_scan_disks(struct appliance *appliance) ERR_MUST_CHECK;
void block_device_deinit(struct block_device *device);

/* The mounted system as a guest; it uses the appliance's handle. */
struct guest *appliance_guest_create(struct appliance *appliance);

#endif
