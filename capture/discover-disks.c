/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whole disks, from /sys/block (Documentation/ABI/stable/sysfs-block).
 *
 * A disk that several paths lead to is in the list once: the hidden paths of an
 * NVMe multipath head are left out, and the SCSI disks below a dm-multipath
 * device are its `paths`.  RAID arrays, volumes and caches are no disks: see
 * discover-volumes.c.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "capture/discover-impl.h"
#include "p2v/base/mem.h"

#define SECTOR_BYTES 512 /* sysfs's unit, whatever the disk's own */

char *discover_device_path(const char *root, const char *kernel_name)
{
	CLEANUP_FREE char *mapper_name = sysroot_read(root, "/sys/class/block/%s/dm/name", kernel_name);
	char *path;

	if (mapper_name)
		return xasprintf("/dev/mapper/%s", mapper_name);
	path = xasprintf("/dev/%s", kernel_name);
	for (char *c = path; *c; c++)
		if (*c == '!')
			*c = '/';
	return path;
}

/* VPD page 0x80 (SPC-4, 7.8.15): four bytes of header, then the serial number. */
static char *scsi_serial(const char *root, const char *name)
{
	size_t bytes, start = 4;
	CLEANUP_FREE uint8_t *page = sysroot_read_bytes(root, &bytes, "/sys/block/%s/device/vpd_pg80", name);

	if (!page)
		return NULL;
	while (start < bytes && isspace(page[start]))
		start++;
	while (bytes > start && (isspace(page[bytes - 1]) || !page[bytes - 1]))
		bytes--;
	return bytes > start ? xstrndup((char *)page + start, bytes - start) : NULL;
}

static char *udev_value(const char *root, const char *name, const char *key)
{
	CLEANUP_FREE char *number = sysroot_read(root, "/sys/block/%s/dev", name);
	CLEANUP_FREE char *text = number ? sysroot_read(root, "/run/udev/data/b%s", number) : NULL;

	return text ? sysroot_value(text, key) : NULL;
}

/* The first of several places that tells; all but the one kept are freed. */
static char *first_of(char *a, char *b, char *c)
{
	char *kept = a ? a : b ? b : c;

	if (a != kept)
		free(a);
	if (b != kept)
		free(b);
	if (c != kept)
		free(c);
	return kept;
}

static char *find_model(const char *root, const char *name)
{
	CLEANUP_FREE char *vendor = sysroot_read(root, "/sys/block/%s/device/vendor", name);
	CLEANUP_FREE char *model = first_of(sysroot_read(root, "/sys/block/%s/device/model", name),
					    sysroot_read(root, "/sys/block/%s/device/name", name),
					    udev_value(root, name, "E:ID_MODEL"));

	/* "ATA" is who speaks, not who made it; PCI's numbers (virtio) say nothing to people. */
	if (!vendor || !model || !strcmp(vendor, "ATA") || !strncmp(vendor, "0x", 2) ||
	    str_starts_with(model, vendor))
		return_ptr(model);
	return xasprintf("%s %s", vendor, model);
}

static void describe(const char *root, const char *name, struct machine_disk *disk)
{
	disk->size_bytes = sysroot_number(root, "/sys/block/%s/size", name) * SECTOR_BYTES;
	disk->logical_sector_bytes = sysroot_number(root, "/sys/block/%s/queue/logical_block_size", name);
	disk->physical_sector_bytes = sysroot_number(root, "/sys/block/%s/queue/physical_block_size", name);
	if (!disk->logical_sector_bytes)
		disk->logical_sector_bytes = 512;
	if (disk->physical_sector_bytes < disk->logical_sector_bytes)
		disk->physical_sector_bytes = disk->logical_sector_bytes;
	disk->is_removable = sysroot_number(root, "/sys/block/%s/removable", name) == 1;
	disk->is_read_only = sysroot_number(root, "/sys/block/%s/ro", name) == 1;
}

static void identify(const char *root, const char *name, struct machine_disk *disk)
{
	disk->model = find_model(root, name);
	disk->serial = first_of(
		sysroot_read(root, "/sys/block/%s/device/serial", name),
		sysroot_read(root, "/sys/block/%s/serial", name),
		first_of(scsi_serial(root, name), udev_value(root, name, "E:ID_SERIAL_SHORT"), NULL));
	disk->wwn =
		first_of(sysroot_read(root, "/sys/block/%s/device/wwid", name),
			 sysroot_read(root, "/sys/block/%s/wwid", name), udev_value(root, name, "E:ID_WWN"));
	disk->transport = discover_transport(root, name);
}

/* Partitions that the kernel knows; their types come from the table. */
static void take_partitions(const char *root, const char *name, struct machine_disk *disk)
{
	CLEANUP_FREE char *folder = xasprintf("/sys/block/%s", name);
	CLEANUP_STRV struct strv entries = {0};

	sysroot_list(root, folder, &entries);
	for (size_t i = 0; i < entries.count; i++) {
		const char *entry = entries.items[i];
		unsigned number = sysroot_number(root, "%s/%s/partition", folder, entry);
		struct machine_partition *partition;

		if (!number)
			continue;
		partition = machine_disk_add_partition(disk);
		partition->number = number;
		partition->start_bytes = sysroot_number(root, "%s/%s/start", folder, entry) * SECTOR_BYTES;
		partition->size_bytes = sysroot_number(root, "%s/%s/size", folder, entry) * SECTOR_BYTES;
		partition->device = discover_device_path(root, entry);
	}
}

static const char *base_name(const char *device)
{
	return strrchr(device, '/') + 1;
}

static void take_recorded(const char *root, const char *name, struct machine_disk *disk)
{
	struct content content;

	discover_recorded_content(root, name, &content);
	disk->content = content.type;
	disk->label = content.label;
	disk->uuid = content.uuid;
	disk->table = udev_value(root, name, "E:ID_PART_TABLE_TYPE");
	for (size_t i = 0; i < disk->partition_count; i++) {
		struct machine_partition *partition = &disk->partitions[i];

		if (!partition->device)
			continue;
		discover_recorded_content(root, base_name(partition->device), &content);
		partition->content = content.type;
		partition->label = content.label;
		partition->uuid = content.uuid;
	}
}

/* What the device itself tells, else what udev wrote down; that it cannot be read is a fact about it. */
static void look_inside(const char *root, const char *name, struct machine_disk *disk)
{
	CLEANUP_FREE char *path = sysroot_path(root, "%s", disk->source);
	struct err *err;

	if (!disk->size_bytes)
		return;
	err = discover_content(path, disk);
	if (!err)
		return;
	disk->unreadable = xstrdup(err_message(err));
	err_free(err);
	take_recorded(root, name, disk);
}

static void add_disk(const char *root, const char *name, struct machine *machine)
{
	struct machine_disk *disk = machine_add_disk(machine);

	disk->source = discover_device_path(root, name);
	describe(root, name, disk);
	identify(root, name, disk);
	take_partitions(root, name, disk);
	look_inside(root, name, disk);
}

static bool is_multipath(const char *root, const char *name)
{
	CLEANUP_FREE char *uuid = sysroot_read(root, "/sys/block/%s/dm/uuid", name);

	return uuid && str_starts_with(uuid, "mpath-");
}

/* A partition of a multipath disk is a device-mapper device of its own: "part1-mpath-…". */
static void name_multipath_partitions(const char *root, const char *name, const struct strv *all,
				      struct machine_disk *disk)
{
	CLEANUP_FREE char *uuid = sysroot_read(root, "/sys/block/%s/dm/uuid", name);

	for (size_t i = 0; i < all->count; i++) {
		CLEANUP_FREE char *other = sysroot_read(root, "/sys/block/%s/dm/uuid", all->items[i]);
		unsigned number = other && str_starts_with(other, "part") ? atoi(other + 4) : 0;

		for (size_t k = 0; number && str_ends_with(other, uuid) && k < disk->partition_count; k++) {
			struct machine_partition *partition = &disk->partitions[k];

			if (partition->number != number)
				continue;
			free(partition->device);
			partition->device = discover_device_path(root, all->items[i]);
		}
	}
}

/* Sizes are the head's; what the disk is, one of its paths tells. */
static void add_multipath(const char *root, const char *name, const struct strv *all, struct machine *machine)
{
	struct machine_disk *disk = machine_add_disk(machine);
	CLEANUP_FREE char *folder = xasprintf("/sys/block/%s/slaves", name);
	CLEANUP_STRV struct strv paths = {0};

	sysroot_list(root, folder, &paths);
	disk->source = discover_device_path(root, name);
	describe(root, name, disk);
	if (paths.count) {
		identify(root, paths.items[0], disk);
		take_partitions(root, paths.items[0], disk);
	}
	for (size_t i = 0; i < paths.count; i++) {
		CLEANUP_FREE char *path = discover_device_path(root, paths.items[i]);

		strv_add(&disk->paths, path);
	}
	look_inside(root, paths.count ? paths.items[0] : name, disk);
	name_multipath_partitions(root, name, all, disk);
}

/* The controllers' own devices of an NVMe namespace: "nvme0c1n1" is a path of "nvme0n1". */
static void add_nvme_paths(const char *root, const char *name, const struct strv *all,
			   struct machine_disk *disk)
{
	unsigned subsystem, space, of_subsystem, controller, of_space;

	if (sscanf(name, "nvme%un%u", &subsystem, &space) != 2)
		return;
	for (size_t i = 0; i < all->count; i++)
		if (sysroot_number(root, "/sys/block/%s/hidden", all->items[i]) &&
		    sscanf(all->items[i], "nvme%uc%un%u", &of_subsystem, &controller, &of_space) == 3 &&
		    of_subsystem == subsystem && of_space == space)
			strv_add(&disk->paths, all->items[i]);
}

/* Device-mapper, md and bcache devices are volumes. */
static bool is_volume(const char *root, const char *name)
{
	return sysroot_has(root, "/sys/block/%s/dm", name) || sysroot_has(root, "/sys/block/%s/md", name) ||
	       str_starts_with(name, "md") || str_starts_with(name, "bcache");
}

/* A path of a disk that is in the list by another name. */
static bool is_path(const char *root, const char *name)
{
	CLEANUP_FREE char *folder = xasprintf("/sys/block/%s/holders", name);
	CLEANUP_STRV struct strv holders = {0};

	if (sysroot_number(root, "/sys/block/%s/hidden", name))
		return true;
	sysroot_list(root, folder, &holders);
	for (size_t i = 0; i < holders.count; i++)
		if (is_multipath(root, holders.items[i]))
			return true;
	return false;
}

void discover_disks(const char *root, struct machine *machine)
{
	CLEANUP_STRV struct strv names = {0};

	sysroot_list(root, "/sys/block", &names);
	for (size_t i = 0; i < names.count; i++) {
		const char *name = names.items[i];

		if (is_multipath(root, name)) {
			add_multipath(root, name, &names, machine);
		} else if (!is_volume(root, name) && !is_path(root, name) &&
			   sysroot_number(root, "/sys/block/%s/size", name)) {
			add_disk(root, name, machine);
			add_nvme_paths(root, name, &names, &machine->disks[machine->disk_count - 1]);
		}
	}
}
