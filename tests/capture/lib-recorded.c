/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/capture/lib-recorded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "p2v/base/cleanup.h"
#include "p2v/base/mem.h"
#include "p2v/base/remove-tree.h"
#include "p2v/base/strv.h"

struct recorded_machine *recorded_create(void)
{
	struct recorded_machine *recording = xcalloc(1, sizeof *recording);
	char folder[] = "/tmp/p2v-test-recording.XXXXXX";

	assert_non_null(mkdtemp(folder));
	recording->root = xstrdup(folder);
	recording->mounts = xstrdup("");
	recording->swaps = xstrdup("Filename\tType\tSize\tUsed\tPriority\n");
	record(recording, "/sys/block/", NULL);
	record(recording, "/sys/class/net/", NULL);
	return recording;
}

void recorded_destroy(struct recorded_machine *recording)
{
	remove_tree(recording->root);
	free(recording->root);
	free(recording->mounts);
	free(recording->swaps);
	free(recording);
}

static void make_parents(const struct recorded_machine *recording, const char *path)
{
	for (const char *slash = path; (slash = strchr(slash + 1, '/'));) {
		CLEANUP_FREE char *folder = xasprintf("%s%.*s", recording->root, (int)(slash - path), path);

		(void)!mkdir(folder, 0755);
	}
}

void record(struct recorded_machine *recording, const char *path, const char *content)
{
	CLEANUP_FREE char *host = xasprintf("%s%s", recording->root, path);
	FILE *file;

	make_parents(recording, path);
	if (str_ends_with(path, "/"))
		return;
	if (str_starts_with(content, "->")) {
		assert_int_equal(symlink(content + 2, host), 0);
		return;
	}
	file = fopen(host, "w");
	assert_non_null(file);
	fprintf(file, "%s\n", content);
	fclose(file);
}

static void record_at(struct recorded_machine *recording, const char *content, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void record_at(struct recorded_machine *recording, const char *content, const char *format, ...)
{
	CLEANUP_FREE char *path = NULL;
	va_list args;

	va_start(args, format);
	path = xvasprintf(format, args);
	va_end(args);
	record(recording, path, content);
}

static void record_number(struct recorded_machine *recording, uint64_t number, const char *folder,
			  const char *name)
{
	CLEANUP_FREE char *text = xasprintf("%llu", (unsigned long long)number);

	record_at(recording, text, "%s/%s", folder, name);
}

/* The links by name and number, as sysfs has them. */
static void link_device(struct recorded_machine *recording, const char *place, const char *name,
			const char *number)
{
	CLEANUP_FREE char *target = xasprintf("->../../devices/%s", place);

	record_at(recording, target, "/sys/class/block/%s", name);
	record_at(recording, target, "/sys/dev/block/%s", number);
	record_at(recording, number, "/sys/devices/%s/dev", place);
}

static void record_content(struct recorded_machine *recording, const char *number, const char *content)
{
	CLEANUP_FREE char *text = xasprintf("E:ID_FS_TYPE=%s\nE:ID_FS_UUID=uuid-%s", content, number);

	if (content)
		record_at(recording, text, "/run/udev/data/b%s", number);
}

static char *place_of(const struct recorded_disk *disk)
{
	return disk->place ? xasprintf("%s/block/%s", disk->place, disk->name)
			   : xasprintf("virtual/block/%s", disk->name);
}

void record_disk(struct recorded_machine *recording, const struct recorded_disk *disk)
{
	CLEANUP_FREE char *place = place_of(disk);
	CLEANUP_FREE char *folder = xasprintf("/sys/devices/%s", place);
	CLEANUP_FREE char *target = xasprintf("->../devices/%s", place);

	record_number(recording, disk->mib * 2048, folder, "size");
	record_number(recording, !!(disk->flags & RECORDED_REMOVABLE), folder, "removable");
	record_number(recording, !!(disk->flags & RECORDED_READ_ONLY), folder, "ro");
	record_number(recording, !!(disk->flags & RECORDED_HIDDEN), folder, "hidden");
	record_number(recording, disk->sector_bytes ? disk->sector_bytes : 512, folder,
		      "queue/logical_block_size");
	record_at(recording, target, "/sys/block/%s", disk->name);
	link_device(recording, place, disk->name, disk->number);
	if (!disk->place)
		return;
	record_at(recording, "->../..", "%s/device", folder);
	if (disk->model)
		record_at(recording, disk->model, "/sys/devices/%s/model", disk->place);
	if (disk->serial)
		record_at(recording, disk->serial, "/sys/devices/%s/serial", disk->place);
}

void record_part(struct recorded_machine *recording, const struct recorded_part *part)
{
	CLEANUP_FREE char *link = xasprintf("%s/sys/block/%s", recording->root, part->disk);
	CLEANUP_FREE char *real = realpath(link, NULL);
	CLEANUP_FREE char *place = NULL;
	CLEANUP_FREE char *folder = NULL;

	assert_non_null(real);
	place = xasprintf("%s/%s", strstr(real, "/sys/devices/") + strlen("/sys/devices/"), part->name);
	folder = xasprintf("/sys/devices/%s", place);
	record_number(recording, part->number, folder, "partition");
	record_number(recording, part->start_mib * 2048, folder, "start");
	record_number(recording, part->mib * 2048, folder, "size");
	link_device(recording, place, part->name, part->device_number);
	record_content(recording, part->device_number, part->content);
}

void record_volume(struct recorded_machine *recording, const struct recorded_volume *volume)
{
	struct recorded_disk disk = {
		.name = volume->name, .number = volume->device_number, .mib = volume->mib};
	CLEANUP_FREE char *folder = xasprintf("/sys/devices/virtual/block/%s", volume->name);
	CLEANUP_STRV struct strv on = {0};

	record_disk(recording, &disk);
	if (volume->dm_name)
		record_at(recording, volume->dm_name, "%s/dm/name", folder);
	if (volume->dm_uuid)
		record_at(recording, volume->dm_uuid, "%s/dm/uuid", folder);
	if (volume->md_level)
		record_at(recording, volume->md_level, "%s/md/level", folder);
	strv_split(&on, volume->on, " ");
	for (size_t i = 0; i < on.count; i++) {
		record_at(recording, NULL, "%s/slaves/%s/", folder, on.items[i]);
		record_at(recording, NULL, "/sys/class/block/%s/holders/%s/", on.items[i], volume->name);
	}
	record_content(recording, volume->device_number, volume->content);
}

static void append(char **text, char *more)
{
	char *both = xasprintf("%s%s", *text, more);

	free(*text);
	free(more);
	*text = both;
}

static void add_mount(struct recorded_machine *recording, char *line)
{
	append(&recording->mounts, line);
	record(recording, "/proc/self/mountinfo", recording->mounts);
}

void record_mount(struct recorded_machine *recording, const char *number, const char *source,
		  const char *folder, const char *options)
{
	add_mount(recording, xasprintf("22 1 %s / %s %s,relatime shared:1 - ext4 %s %s\n", number, folder,
				       options, source, options));
}

void record_part_mount(struct recorded_machine *recording, const char *number, const char *source,
		       const char *root, const char *folder, const char *subvol)
{
	add_mount(recording, xasprintf("30 22 %s %s %s rw,relatime - %s %s rw%s%s\n", number, root, folder,
				       subvol ? "btrfs" : "ext4", source, subvol ? ",subvol=" : "",
				       subvol ? subvol : ""));
}

void record_swap(struct recorded_machine *recording, const char *device)
{
	append(&recording->swaps,
	       xasprintf("%s                               partition\t8388604\t0\t-2\n", device));
	record(recording, "/proc/swaps", recording->swaps);
}

void record_nic(struct recorded_machine *recording, const char *name, const char *mac, const char *device,
		const char *driver, const char *type)
{
	CLEANUP_FREE char *device_link = device ? xasprintf("->../../../devices/%s", device) : NULL;
	CLEANUP_FREE char *driver_link = driver ? xasprintf("->../../bus/pci/drivers/%s", driver) : NULL;
	CLEANUP_FREE char *uevent = type ? xasprintf("DEVTYPE=%s\nINTERFACE=%s", type, name) : NULL;

	record_at(recording, mac, "/sys/class/net/%s/address", name);
	if (uevent)
		record_at(recording, uevent, "/sys/class/net/%s/uevent", name);
	if (!device)
		return;
	record_at(recording, NULL, "/sys/devices/%s/", device);
	record_at(recording, driver_link, "/sys/devices/%s/driver", device);
	record_at(recording, device_link, "/sys/class/net/%s/device", name);
}
