/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the running system has built on its disks: md, device-mapper, bcache.
 * Multipath devices and their partitions are disks: see discover-disks.c.
 */
#include <string.h>

#include "capture/discover-impl.h"
#include "p2v/base/err.h"
#include "p2v/base/mem.h"

#define SECTOR_BYTES 512

/* The prefixes that the tools give to dm/uuid. */
static const struct {
	const char *prefix, *kind;
} mapper_kinds[] = {
	{"LVM-", "lvm"}, {"CRYPT-", "crypt"}, {"DMRAID-", "dmraid"}, {"VDO-", "vdo"}, {"stratis-", "stratis"},
};

/* NULL for what is no volume. */
static char *find_kind(const char *root, const char *name)
{
	CLEANUP_FREE char *level = sysroot_read(root, "/sys/block/%s/md/level", name);
	CLEANUP_FREE char *uuid = sysroot_read(root, "/sys/block/%s/dm/uuid", name);

	if (level)
		return xasprintf("md %s", level);
	if (str_starts_with(name, "bcache"))
		return xstrdup("bcache");
	if (!sysroot_has(root, "/sys/block/%s/dm", name))
		return NULL;
	if (uuid && (str_starts_with(uuid, "mpath-") || strstr(uuid, "-mpath-")))
		return NULL;
	for (size_t i = 0; uuid && i < sizeof mapper_kinds / sizeof *mapper_kinds; i++)
		if (str_starts_with(uuid, mapper_kinds[i].prefix))
			return xstrdup(mapper_kinds[i].kind);
	return xstrdup("dm");
}

static void find_content(const char *root, const char *name, struct machine_volume *volume)
{
	CLEANUP_FREE char *path = sysroot_path(root, "%s", volume->device);
	struct content content = {0};
	struct err *err = discover_probe(path, 0, 0, &content);

	if (err)
		discover_recorded_content(root, name, &content);
	err_free(err);
	volume->content = content.type;
	volume->label = content.label;
	volume->uuid = content.uuid;
}

static struct machine_volume *add_volume(const char *root, const char *name, const char *kind,
					 struct machine *machine)
{
	struct machine_volume *volume = machine_add_volume(machine);

	volume->device = discover_device_path(root, name);
	volume->kind = xstrdup(kind);
	volume->size_bytes = sysroot_number(root, "/sys/class/block/%s/size", name) * SECTOR_BYTES;
	find_content(root, name, volume);
	return volume;
}

/* Arrays of firmware RAID carry a partition table of their own. */
static void add_partitions(const char *root, const char *name, const char *on, struct machine *machine)
{
	CLEANUP_FREE char *folder = xasprintf("/sys/block/%s", name);
	CLEANUP_STRV struct strv entries = {0};

	sysroot_list(root, folder, &entries);
	for (size_t i = 0; i < entries.count; i++)
		if (sysroot_number(root, "%s/%s/partition", folder, entries.items[i]))
			strv_add(&add_volume(root, entries.items[i], "partition", machine)->on, on);
}

void discover_volumes(const char *root, struct machine *machine)
{
	CLEANUP_STRV struct strv names = {0};

	sysroot_list(root, "/sys/block", &names);
	for (size_t i = 0; i < names.count; i++) {
		const char *name = names.items[i];
		CLEANUP_FREE char *kind = find_kind(root, name);
		CLEANUP_FREE char *folder = xasprintf("/sys/block/%s/slaves", name);
		CLEANUP_FREE char *device = discover_device_path(root, name);
		CLEANUP_STRV struct strv below = {0};
		struct machine_volume *volume;

		if (!kind || !sysroot_number(root, "/sys/block/%s/size", name))
			continue;
		volume = add_volume(root, name, kind, machine);
		sysroot_list(root, folder, &below);
		for (size_t k = 0; k < below.count; k++) {
			CLEANUP_FREE char *lower = discover_device_path(root, below.items[k]);

			strv_add(&volume->on, lower);
		}
		add_partitions(root, name, device, machine);
	}
}
