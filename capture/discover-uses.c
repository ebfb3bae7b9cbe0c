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

/* Spaces and the like are octal escapes. */
static void unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; to++) {
		if (*from == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' && from[2] <= '7' &&
		    from[3] >= '0' && from[3] <= '7') {
			*to = (from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0');
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

static bool has_option(const char *options, const char *option)
{
	CLEANUP_STRV struct strv list = {0};

	strv_split(&list, options, ",");
	return strv_has(&list, option);
}

/* Fields: id, parent, device, root, mount point, options, optional ones, "-", kind, source, super options. */
static void take_mount(const char *root, const char *line, struct machine *machine)
{
	CLEANUP_STRV struct strv fields = {0};
	CLEANUP_FREE char *device = NULL;
	CLEANUP_FREE char *use = NULL;
	size_t dash = 6;

	strv_split(&fields, line, " ");
	while (dash < fields.count && strcmp(fields.items[dash], "-"))
		dash++;
	if (dash + 3 >= fields.count)
		return;
	unescape(fields.items[4]);
	device = device_of_number(root, fields.items[2]);
	if (!device && *fields.items[dash + 2] == '/')
		device = device_of_path(root, fields.items[dash + 2]);
	if (!device)
		return;
	/* The super block's own option decides: a read-only bind mount of a writable one changes nothing. */
	use = xasprintf("%s%s", fields.items[4],
			has_option(fields.items[dash + 3], "ro") ? " (read-only)" : "");
	add_use(machine, device, use);
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
	for (size_t i = 0; i < lines.count; i++)
		take_mount(root, lines.items[i], machine);
	take_swaps(root, machine);
}
