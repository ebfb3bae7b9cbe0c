/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From a mount down to disks: mountinfo names a device's number, sysfs what the
 * device is a part of or stands on (proc(5); Documentation/ABI, sysfs-block).
 *
 * btrfs has numbers that are no device's, and may be on several devices: its
 * source names one of them, /sys/fs/btrfs all.
 */
#include "capture/mounted.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "capture/sysroot.h"
#include "p2v/base/mem.h"

/* No stack of volumes is deeper: a recording that goes round ends too. */
#define MAX_DEPTH 16u

/* A line of mountinfo. */
struct mount {
	const char *number; /* of the file system, which is its device's but for btrfs and the like */
	const char *point, *type, *source, *super_options; /* the fields' */
	char *device; /* number of the device; NULL for what is on none */
};

static void mount_deinit(struct mount *mount)
{
	free(mount->device);
}

char *mounted_device_number(const char *path)
{
	struct stat st;

	if (stat(path, &st) || !S_ISBLK(st.st_mode))
		return NULL;
	return xasprintf("%u:%u", major(st.st_rdev), minor(st.st_rdev));
}

static char *find_device(const char *root, const struct mount *mount)
{
	if (sysroot_has(root, "/sys/dev/block/%s", mount->number))
		return xstrdup(mount->number);
	return *mount->source == '/' ? sysroot_device_number(root, mount->source) : NULL;
}

/* Fields: id, parent, device, root, mount point, options, optional ones, "-", kind, source, super options.
 * They must outlive the mount. */
static bool read_mount(const char *root, const struct strv *fields, struct mount *ret_mount)
{
	size_t dash = 6;

	while (dash < fields->count && strcmp(fields->items[dash], "-"))
		dash++;
	if (dash + 3 >= fields->count)
		return false;
	sysroot_unescape(fields->items[4]);
	*ret_mount = (struct mount){
		.number = fields->items[2],
		.point = fields->items[4],
		.type = fields->items[dash + 1],
		.source = fields->items[dash + 2],
		.super_options = fields->items[dash + 3],
	};
	ret_mount->device = find_device(root, ret_mount);
	return ret_mount->device;
}

static bool is_written(const struct mount *mount)
{
	CLEANUP_STRV struct strv options = {0};

	strv_split(&options, mount->super_options, ",");
	return !strv_has(&options, "ro");
}

/* Where something else is mounted over it, the path leads there. */
static bool can_be_reached(const char *root, const struct mount *mount)
{
	CLEANUP_FREE char *number = NULL;
	struct stat st;

	if (*root)
		return true;
	if (stat(mount->point, &st))
		return false;
	number = xasprintf("%u:%u", major(st.st_dev), minor(st.st_dev));
	/* A subvolume of btrfs has a number of its own, which mountinfo does not know. */
	return !strcmp(number, mount->number) || !strcmp(mount->type, "btrfs");
}

static bool stands_on(const char *root, const char *number, const struct strv *disks, unsigned depth)
{
	CLEANUP_FREE char *parent = NULL;
	CLEANUP_STRV struct strv below = {0};

	if (strv_has(disks, number))
		return true;
	if (!depth)
		return false;
	if (sysroot_has(root, "/sys/dev/block/%s/partition", number)) {
		parent = sysroot_read(root, "/sys/dev/block/%s/../dev", number);
		return parent && stands_on(root, parent, disks, depth - 1);
	}
	{
		CLEANUP_FREE char *folder = xasprintf("/sys/dev/block/%s/slaves", number);

		sysroot_list(root, folder, &below);
	}
	for (size_t i = 0; i < below.count; i++) {
		CLEANUP_FREE char *next = sysroot_read(root, "/sys/class/block/%s/dev", below.items[i]);

		if (next && stands_on(root, next, disks, depth - 1))
			return true;
	}
	return false;
}

/* Whether any device is of the file system that `device` is of, and stands on one of the disks. */
static bool btrfs_stands_on(const char *root, const char *device, const struct strv *disks)
{
	CLEANUP_FREE char *name = sysroot_link(root, "/sys/dev/block/%s", device);
	CLEANUP_STRV struct strv systems = {0};

	sysroot_list(root, "/sys/fs/btrfs", &systems);
	for (size_t i = 0; name && i < systems.count; i++) {
		CLEANUP_FREE char *folder = xasprintf("/sys/fs/btrfs/%s/devices", systems.items[i]);
		CLEANUP_STRV struct strv members = {0};

		sysroot_list(root, folder, &members);
		for (size_t k = 0; strv_has(&members, name) && k < members.count; k++) {
			CLEANUP_FREE char *number =
				sysroot_read(root, "/sys/class/block/%s/dev", members.items[k]);

			if (number && stands_on(root, number, disks, MAX_DEPTH))
				return true;
		}
	}
	return stands_on(root, device, disks, MAX_DEPTH);
}

static bool is_wanted(const char *root, const struct mount *mount, const struct strv *disks)
{
	if (!is_written(mount) || !can_be_reached(root, mount))
		return false;
	return strcmp(mount->type, "btrfs") ? stands_on(root, mount->device, disks, MAX_DEPTH)
					    : btrfs_stands_on(root, mount->device, disks);
}

/* The last first, but for "/". */
static void add_in_reverse(const struct strv *points, struct strv *ret_points)
{
	for (size_t i = points->count; i--;)
		if (strcmp(points->items[i], "/"))
			strv_add(ret_points, points->items[i]);
	if (strv_has(points, "/"))
		strv_add(ret_points, "/");
}

void mounted_on(const char *sysroot, const struct strv *disks, struct strv *ret_points)
{
	CLEANUP_STRV struct strv lines = {0};
	CLEANUP_STRV struct strv points = {0};
	CLEANUP_STRV struct strv seen = {0}; /* devices: each has one file system */

	sysroot_lines(sysroot, &lines, "/proc/self/mountinfo");
	for (size_t i = 0; i < lines.count; i++) {
		CLEANUP(mount_deinit) struct mount mount = {0};
		CLEANUP_STRV struct strv fields = {0};

		strv_split(&fields, lines.items[i], " ");
		if (!read_mount(sysroot, &fields, &mount) || strv_has(&seen, mount.device) ||
		    !is_wanted(sysroot, &mount, disks))
			continue;
		strv_add(&seen, mount.device);
		strv_add(&points, mount.point);
	}
	add_in_reverse(&points, ret_points);
}

static bool is_below(const char *point, const char *folder)
{
	size_t bytes = strlen(folder);

	return !strncmp(point, folder, bytes) && (!point[bytes] || point[bytes] == '/');
}

void mounted_below(const char *sysroot, const char *folder, struct strv *ret_points)
{
	CLEANUP_STRV struct strv lines = {0};

	sysroot_lines(sysroot, &lines, "/proc/self/mountinfo");
	for (size_t i = lines.count; i--;) {
		CLEANUP_STRV struct strv fields = {0};

		strv_split(&fields, lines.items[i], " ");
		if (fields.count <= 4)
			continue;
		sysroot_unescape(fields.items[4]);
		if (is_below(fields.items[4], folder))
			strv_add(ret_points, fields.items[4]);
	}
}

bool mounted_stands_on(const char *sysroot, const char *device, const struct strv *disks)
{
	return stands_on(sysroot, device, disks, MAX_DEPTH);
}
