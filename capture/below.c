/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The kernel is asked, not what volume managers have written on disks: sysfs for
 * partitions and RAID, the device mapper for its tables as they are in force.
 *
 * A table of an encrypted volume has the key in it, so its memory is wiped.
 */
#include "capture/below.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/dm-ioctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

#include "capture/sysroot.h"
#include "p2v/base/mem.h"

#define SECTOR_BYTES 512u
#define DM_CONTROL "/dev/mapper/control"
#define MAX_TABLE_BYTES (1u << 20) /* thousands of targets */
#define MAX_SECTOR (INT64_MAX / SECTOR_BYTES)
/* No stack of volumes is deeper. */
#define MAX_DEPTH 16u

struct descent {
	const char *sysroot, *disk;
	struct extents *ret_on_disk;
};

static void descend(const struct descent *descent, const char *device, const struct extents *bytes,
		    unsigned depth);

/* What of [start, end) is in the set, as `device` has it from `at` on. */
static void descend_run(const struct descent *descent, const struct below_run *run,
			const struct extents *bytes, unsigned depth)
{
	CLEANUP_EXTENTS struct extents below = {0};

	for (size_t i = extents_find(bytes, run->start);
	     i < bytes->count && bytes->ranges[i].start < run->end; i++) {
		const struct extent *range = &bytes->ranges[i];
		uint64_t start = range->start > run->start ? range->start : run->start;
		uint64_t end = range->end < run->end ? range->end : run->end;

		extents_add(&below, run->at + (start - run->start), run->at + (end - run->start));
	}
	if (below.count)
		descend(descent, run->device, &below, depth);
}

static void descend_partition(const struct descent *descent, const char *device, const struct extents *bytes,
			      unsigned depth)
{
	CLEANUP_FREE char *parent = sysroot_read(descent->sysroot, "/sys/dev/block/%s/../dev", device);
	uint64_t sectors = sysroot_number(descent->sysroot, "/sys/dev/block/%s/size", device);
	uint64_t first = sysroot_number(descent->sysroot, "/sys/dev/block/%s/start", device);
	struct below_run run = {0, sectors * SECTOR_BYTES, "", first * SECTOR_BYTES};

	if (!parent || strlen(parent) >= sizeof run.device)
		return;
	snprintf(run.device, sizeof run.device, "%s", parent);
	descend_run(descent, &run, bytes, depth);
}

/* Each member has all of it, from its own offset on. */
static void descend_mirror(const struct descent *descent, const char *device, const struct extents *bytes,
			   unsigned depth)
{
	CLEANUP_FREE char *folder = xasprintf("/sys/dev/block/%s/md", device);
	CLEANUP_FREE char *level = sysroot_read(descent->sysroot, "%s/level", folder);
	CLEANUP_STRV struct strv names = {0};
	uint64_t sectors = sysroot_number(descent->sysroot, "/sys/dev/block/%s/size", device);

	if (!level || strcmp(level, "raid1"))
		return;
	sysroot_list(descent->sysroot, folder, &names);
	for (size_t i = 0; i < names.count; i++) {
		CLEANUP_FREE char *offset =
			sysroot_read(descent->sysroot, "%s/%s/offset", folder, names.items[i]);
		CLEANUP_FREE char *member =
			sysroot_read(descent->sysroot, "%s/%s/block/dev", folder, names.items[i]);
		struct below_run run = {0, sectors * SECTOR_BYTES};

		if (strncmp(names.items[i], "dev-", 4) || !offset || !member ||
		    strlen(member) >= sizeof run.device)
			continue;
		snprintf(run.device, sizeof run.device, "%s", member);
		run.at = strtoull(offset, NULL, 10) * SECTOR_BYTES;
		descend_run(descent, &run, bytes, depth);
	}
}

bool below_read_target(uint64_t start_sector, uint64_t sectors, const char *kind, const char *parameters,
		       struct below_run *ret_run)
{
	/* linear: DEVICE OFFSET.  crypt: CIPHER KEY IV_OFFSET DEVICE OFFSET [OPTIONS]. */
	const char *format = !strcmp(kind, "linear")  ? "%23s %" SCNu64
			     : !strcmp(kind, "crypt") ? "%*s %*s %*s %23s %" SCNu64
						      : NULL;
	unsigned major_number, minor_number;
	uint64_t offset;
	char end;

	if (!format || sscanf(parameters, format, ret_run->device, &offset) != 2 ||
	    sscanf(ret_run->device, "%u:%u%c", &major_number, &minor_number, &end) != 2 ||
	    start_sector > MAX_SECTOR || sectors > MAX_SECTOR - start_sector || offset > MAX_SECTOR - sectors)
		return false;
	ret_run->start = start_sector * SECTOR_BYTES;
	ret_run->end = (start_sector + sectors) * SECTOR_BYTES;
	ret_run->at = offset * SECTOR_BYTES;
	return true;
}

/* All targets in one buffer of `bytes`; false if they cannot be had, or are not what they should be. */
static bool descend_table(const struct descent *descent, const struct dm_ioctl *table, size_t bytes,
			  const struct extents *set, unsigned depth)
{
	size_t at = table->data_start;

	for (uint32_t i = 0; i < table->target_count; i++) {
		const struct dm_target_spec *target = (const void *)((const char *)table + at);
		const char *parameters = (const char *)(target + 1);
		struct below_run run;

		if (at > bytes || bytes - at <= sizeof *target || at % _Alignof(struct dm_target_spec) ||
		    strnlen(target->target_type, sizeof target->target_type) == sizeof target->target_type ||
		    strnlen(parameters, bytes - at - sizeof *target) == bytes - at - sizeof *target)
			return false;
		if (below_read_target(target->sector_start, target->length, target->target_type, parameters,
				      &run))
			descend_run(descent, &run, set, depth);
		/* From the table's start on (DM_TABLE_STATUS). */
		at = table->data_start + target->next;
	}
	return true;
}

/* Of this machine: recordings have no tables. */
static void descend_volume(const struct descent *descent, const char *device, const struct extents *bytes,
			   unsigned depth)
{
	CLEANUP_FD int control = open(DM_CONTROL, O_RDWR | O_CLOEXEC);
	struct dm_ioctl *table;
	unsigned major_number, minor_number;

	if (control < 0 || *descent->sysroot || sscanf(device, "%u:%u", &major_number, &minor_number) != 2)
		return;
	table = calloc(1, MAX_TABLE_BYTES);
	if (!table)
		return;
	*table = (struct dm_ioctl){
		.version = {DM_VERSION_MAJOR, 0, 0},
		.data_size = MAX_TABLE_BYTES,
		.data_start = sizeof *table,
		.flags = DM_STATUS_TABLE_FLAG | DM_SECURE_DATA_FLAG,
		.dev = (uint64_t)(minor_number & 0xff) | (uint64_t)major_number << 8 |
		       (uint64_t)(minor_number & ~0xffu) << 12,
	};
	if (!ioctl(control, DM_TABLE_STATUS, table) && !(table->flags & DM_BUFFER_FULL_FLAG) &&
	    table->data_start < MAX_TABLE_BYTES)
		descend_table(descent, table, MAX_TABLE_BYTES, bytes, depth);
	explicit_bzero(table, MAX_TABLE_BYTES);
	free(table);
}

static void descend(const struct descent *descent, const char *device, const struct extents *bytes,
		    unsigned depth)
{
	if (!strcmp(device, descent->disk)) {
		extents_unite(descent->ret_on_disk, bytes);
		return;
	}
	if (!depth)
		return;
	if (sysroot_has(descent->sysroot, "/sys/dev/block/%s/partition", device))
		descend_partition(descent, device, bytes, depth - 1);
	else if (sysroot_has(descent->sysroot, "/sys/dev/block/%s/md", device))
		descend_mirror(descent, device, bytes, depth - 1);
	else if (sysroot_has(descent->sysroot, "/sys/dev/block/%s/dm", device))
		descend_volume(descent, device, bytes, depth - 1);
}

void below_translate(const char *sysroot, const char *device, const struct extents *on_device,
		     const char *disk, struct extents *ret_on_disk)
{
	const struct descent descent = {sysroot, disk, ret_on_disk};

	descend(&descent, device, on_device, MAX_DEPTH);
}
