/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parts of discover_machine(), each of which fills its part of the machine. */
#ifndef CAPTURE_DISCOVER_IMPL_H
#define CAPTURE_DISCOVER_IMPL_H

#include "capture/discover.h"
#include "capture/sysroot.h"

void discover_disks(const char *root, struct machine *machine);
void discover_volumes(const char *root, struct machine *machine); /* after the disks */
void discover_uses(const char *root, struct machine *machine); /* after the volumes */
void discover_network(const char *root, struct machine *machine);
void discover_addresses(const char *root, struct machine *machine); /* after the interfaces */
void discover_hardware(const char *root, struct machine *machine);
void discover_cpu(const char *root, struct machine *machine);
void discover_os(const char *root, struct machine *machine);

/* "/dev/cciss/c0d0" for "cciss!c0d0", "/dev/mapper/vg-root" for "dm-0"; the caller frees it. */
char *discover_device_path(const char *root, const char *kernel_name);

/* How a disk is attached, by its name and its place among the devices; the caller frees it. */
char *discover_transport(const char *root, const char *kernel_name);

/*
 * Content and partitions by libblkid.  Adds partitions that the disk does not have yet (as the kernel does
 * not know them), and gives all of them their types.  An error names what cannot be read.
 */
struct err *discover_content(const char *path, struct machine_disk *disk) ERR_MUST_CHECK;

/* Content of something that has no partitions. */
struct content {
	char *type, *label, *uuid;
};
struct err *discover_probe(const char *path, uint64_t start_bytes, uint64_t size_bytes,
			   struct content *ret_content) ERR_MUST_CHECK;

/* The same as udev wrote it down, where the device itself cannot be read. */
void discover_recorded_content(const char *root, const char *kernel_name, struct content *ret_content);

#endif
