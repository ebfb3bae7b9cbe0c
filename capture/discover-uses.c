/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the running system does with its devices: mounts (proc(5), mountinfo)
 * and swap.  A use is the mount point, with " (read-only)" behind it where that
 * is so, or "swap".
 */
#include <stdlib.h>
#include <string.h>

#include "capture/discover-impl.h"
#include "p2v/base/mem.h"

static struct strv *find_uses(struct machine *machine, const char *device)
{
	for (size_t i = 0; i < machine->disk_count; i++) {
		struct machine_disk *disk = &machine->disks[i];

		if (!strcmp(disk->source, device))
			return &disk->uses;
		for (size_t k = 0; k < disk->partition_count; k++)
			if (disk->partitions[k].device && !strcmp(disk->partitions[k].device, device))
				return &disk->partitions[k].uses;
	}
	for (size_t i = 0; i < machine->volume_count; i++)
		if (!strcmp(machine->volumes[i].device, device))
			return &machine->volumes[i].uses;
	return NULL;
}

static void add_use(struct machine *machine, const char *device, const char *use)
{
	struct strv *uses = find_uses(machine, device);

	if (uses && !strv_has(uses, use))
		strv_add(uses, use);
}

/* "8:1" to "/dev/sda1"; NULL for what is no block device (btrfs has numbers of its own). */
static char *device_of_number(const char *root, const char *number)
{
	CLEANUP_FREE char *name = sysroot_link(root, "/sys/dev/block/%s", number);

	return name ? discover_device_path(root, name) : NULL;
}

/* "/dev/dm-0", "/dev/disk/by-uuid/…" and the like as discover_device_path() says it. */
static char *device_of_path(const char *root, const char *path)
{
	CLEANUP_FREE char *real = sysroot_real(root, "%s", path);
	const char *inside = real && str_starts_with(real, root) ? real + strlen(root) : path;

	if (str_starts_with(inside, "/dev/dm-"))
		return discover_device_path(root, inside + strlen("/dev/"));
	return xstrdup(str_starts_with(path, "/dev/mapper/") ? path : inside);
}

static bool has_option(const char *options, const char *option)
{
	CLEANUP_STRV struct strv list = {0};

	strv_split(&list, options, ",");
	return strv_has(&list, option);
}

/* The value of name= among the options; NULL if it is not there. */
static char *option_value(const char *options, const char *name)
{
	CLEANUP_STRV struct strv list = {0};
	size_t name_bytes = strlen(name);

	strv_split(&list, options, ",");
	for (size_t i = 0; i < list.count; i++)
		if (!strncmp(list.items[i], name, name_bytes) && list.items[i][name_bytes] == '=')
			return xstrdup(list.items[i] + name_bytes + 1);
	return NULL;
}

/* Fields: id, parent, device, root, mount point, options, optional ones, "-", kind, source, super options. */
struct mount {
	char *device; /* NULL for what is on none */
	char *top; /* of the file system, or of its subvolume; as mountinfo escapes it */
	const char *root, *point, *super_options; /* the fields' */
};

static void mount_deinit(struct mount *mount)
{
	free(mount->device);
	free(mount->top);
}

/* The fields must outlive the mount. */
static void read_mount(const char *root, const struct strv *fields, struct mount *ret_mount)
{
	size_t dash = 6;

	while (dash < fields->count && strcmp(fields->items[dash], "-"))
		dash++;
	if (dash + 3 >= fields->count)
		return;
	sysroot_unescape(fields->items[4]);
	ret_mount->root = fields->items[3];
	ret_mount->point = fields->items[4];
	ret_mount->super_options = fields->items[dash + 3];
	ret_mount->device = device_of_number(root, fields->items[2]);
	if (!ret_mount->device && *fields->items[dash + 2] == '/')
		ret_mount->device = device_of_path(root, fields->items[dash + 2]);
	ret_mount->top = option_value(ret_mount->super_options, "subvol");
	if (!ret_mount->top)
		ret_mount->top = xstrdup("/");
}

/* The super block's own option decides: a read-only bind mount of a writable one changes nothing. */
static void add_mount(struct machine *machine, const struct mount *mount)
{
	CLEANUP_FREE char *use =
		xasprintf("%s%s", mount->point, has_option(mount->super_options, "ro") ? " (read-only)" : "");

	add_use(machine, mount->device, use);
}

/*
 * Bind mounts show a file system, or a part of it, once more: they are no further use of the device.  So of
 * the mounts of one file system (or subvolume of btrfs) the first counts that shows all of it; where none
 * does, as in a container, the first.  "/" always counts: it may be a folder of what is mounted elsewhere.
 */
static void take_mounts(const char *root, const struct strv *lines, struct machine *machine)
{
	CLEANUP_STRV struct strv seen = {0};

	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < lines->count; i++) {
			CLEANUP(mount_deinit) struct mount mount = {0};
			CLEANUP_STRV struct strv fields = {0};
			CLEANUP_FREE char *what = NULL;

			strv_split(&fields, lines->items[i], " ");
			read_mount(root, &fields, &mount);
			if (!mount.device || !!strcmp(mount.root, mount.top) != pass)
				continue;
			what = xasprintf("%s %s", mount.device, mount.top);
			if (strv_has(&seen, what) && strcmp(mount.point, "/"))
				continue;
			strv_add(&seen, what);
			add_mount(machine, &mount);
		}
}

static void take_swaps(const char *root, struct machine *machine)
{
	CLEANUP_STRV struct strv lines = {0};

	sysroot_lines(root, &lines, "/proc/swaps");
	for (size_t i = 1; i < lines.count; i++) {
		CLEANUP_STRV struct strv fields = {0};
		CLEANUP_FREE char *device = NULL;

		strv_split(&fields, lines.items[i], " \t");
		if (fields.count < 2 || strcmp(fields.items[1], "partition"))
			continue;
		device = device_of_path(root, fields.items[0]);
		add_use(machine, device, "swap");
	}
}

void discover_uses(const char *root, struct machine *machine)
{
	CLEANUP_STRV struct strv lines = {0};

	sysroot_lines(root, &lines, "/proc/self/mountinfo");
	take_mounts(root, &lines, machine);
	take_swaps(root, machine);
}
