/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/base/strv.h"
#include "p2v/guest/appliance-os.h"

void found_os_deinit(struct found_os *found)
{
	free(found->subvolume);
	*found = (struct found_os){0};
}

struct found_list {
	struct found_os *items;
	size_t count;
	size_t capacity;
	struct strv damaged; /* "device: the kernel's words": not mountable */
};

static void found_list_deinit(struct found_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		found_os_deinit(&list->items[i]);
	free(list->items);
	strv_deinit(&list->damaged);
}

/* "linux INDEX [SUBVOLUME]", "windows INDEX", "damaged INDEX MESSAGE" */
static const char look_functions[] =
	"m=/tmp/p2v-look; mkdir -p $m\n"
	"root() { [ -d $1/usr -a -d $1/etc ] && { [ -e $1/etc/fstab ] || [ -L $1/etc/os-release ] ||\n"
	"  [ -e $1/etc/os-release ]; } && { [ -e $1/bin ] || [ -L $1/bin ] || [ -e $1/usr/bin ]; }; }\n"
	"look() { e=$(mount -t $2 -o $3 $4 $m 2>&1) || { echo damaged $1 $e; return; }\n"
	"  if root $m; then echo linux $1\n"
	"  elif [ $2 = btrfs ]; then for s in $m/@ $m/root $m/@rootfs; do root $s && echo linux $1 ${s##*/}; "
	"done\n"
	"  fi; for s in $m/[Ww][Ii][Nn][Dd][Oo][Ww][Ss]/[Ss]ystem32/config; do\n"
	"    [ ! -e $s ] || echo windows $1; done; umount $m; }\n";

/* With replay, journals are replayed first: on the copy, or on an overlay; never on the source. */
static struct err *look_at_devices(struct appliance *appliance, bool replay, char **ret_output)
{
	CLEANUP_TEXT struct text script = {0};

	text_addf(&script, "%s", look_functions);
	for (size_t i = 0; i < appliance->device_count; i++) {
		const struct block_device *device = &appliance->devices[i];
		const struct fs_kind *kind = fs_kind_find(device->content);

		if (kind && kind->look_options)
			text_addf(&script, "look %zu %s %s '%s'\n", i,
				  strcmp(kind->content, "ntfs") == 0 ? "ntfs3" : kind->content,
				  replay ? kind->replay_options : kind->look_options, device->node);
	}
	text_addf(&script, ":\n");
	return appliance_shell(appliance, script.data, ret_output);
}

static void read_found_line(const struct appliance *appliance, const char *line, struct found_list *list)
{
	CLEANUP_STRV struct strv words = {0};
	struct found_os *found;
	size_t device;

	strv_split(&words, line, " ");
	if (words.count < 2)
		return;
	device = strtoul(words.items[1], NULL, 10);
	if (device >= appliance->device_count)
		return;
	if (strcmp(words.items[0], "damaged") == 0) {
		const char *message = strstr(line, words.items[1]) + strlen(words.items[1]);

		strv_addf(&list->damaged, "%s:%s", appliance->devices[device].device, message);
		return;
	}
	array_grow(list->items, list->count, list->capacity);
	found = &list->items[list->count++];
	*found = (struct found_os){
		.device = device,
		.subvolume = words.count > 2 ? xstrdup(words.items[2]) : NULL,
		.is_windows = strcmp(words.items[0], "windows") == 0,
	};
}

static struct err *find_systems(struct appliance *appliance, bool replay, struct found_list *ret_list)
{
	CLEANUP_FREE char *output = NULL;
	CLEANUP_STRV struct strv lines = {0};

	TRY(look_at_devices(appliance, replay, &output));
	strv_split(&lines, output, "\n");
	for (size_t i = 0; i < lines.count; i++)
		read_found_line(appliance, lines.items[i], ret_list);
	return NULL;
}

static const struct block_device *find_content(const struct appliance *appliance, const char *content)
{
	for (size_t i = 0; i < appliance->device_count; i++) {
		const struct block_device *device = &appliance->devices[i];

		if (device->content && strcmp(device->content, content) == 0)
			return device;
	}
	return NULL;
}

/* "/dev/sda1 (ext4), /dev/sda5 (swap)"; where nothing is known, "/dev/sda (gpt, nothing known in it)". */
static void describe_contents(const struct appliance *appliance, struct text *contents)
{
	for (size_t i = 0; i < appliance->device_count; i++) {
		const struct block_device *device = &appliance->devices[i];

		if (device->content)
			text_addf(contents, "%s%s (%s)", contents->bytes ? ", " : "", device->device,
				  device->content);
	}
	for (size_t i = 0; i < appliance->device_count && !contents->bytes; i++) {
		const struct block_device *device = &appliance->devices[i];

		if (device->table && !device->partition)
			text_addf(contents, "%s (partition table %s, nothing known in it)", device->device,
				  device->table);
	}
}

static const char *advice_where_nothing_is(const struct appliance *appliance)
{
	const struct block_device *only = appliance->device_count == 1 ? &appliance->devices[0] : NULL;

	if (find_content(appliance, "iso9660"))
		return "an image of a CD or DVD is no disk of a machine: name the disk that a system was "
		       "installed on";
	if (only && only->content)
		return "it has no partition table: if it is one partition of a disk, name the image of the "
		       "whole disk";
	return "name all disks of the machine, the one it boots from included";
}

/* Why there is nothing to convert. */
static struct err *nothing_found(const struct appliance *appliance, const struct found_list *list)
{
	const struct block_device *luks = find_content(appliance, "crypto_LUKS");
	const struct block_device *bitlocker = find_content(appliance, "BitLocker");
	CLEANUP_TEXT struct text contents = {0};

	if (list->damaged.count)
		return err_advise(err_refused("no operating system found, and a file system is damaged: %s",
					      list->damaged.items[0]),
				  "check it on the source (fsck, xfs_repair), or copy the disk again");
	if (luks)
		return err_advise(
			err_refused("the system is encrypted: LUKS on %s, and there is no key for it",
				    luks->device),
			"p2v does not open encrypted disks yet: convert a decrypted copy");
	if (bitlocker)
		return err_advise(err_refused("the system is encrypted: BitLocker on %s", bitlocker->device),
				  "decrypt the disk in Windows first (manage-bde -off)");
	describe_contents(appliance, &contents);
	return err_advise(err_refused("no operating system found on %s",
				      contents.bytes ? contents.data : "the disks: they hold nothing known"),
			  "%s", advice_where_nothing_is(appliance));
}

static struct err *choose_system(const struct appliance *appliance, struct found_list *list,
				 struct found_os *ret_found)
{
	CLEANUP_TEXT struct text places = {0};

	if (list->count == 0)
		return nothing_found(appliance, list);
	for (size_t i = 0; i < list->count; i++) {
		const struct found_os *found = &list->items[i];

		text_addf(&places, "%s%s on %s%s%s", i ? ", " : "", found->is_windows ? "Windows" : "Linux",
			  appliance->devices[found->device].device, found->subvolume ? " in " : "",
			  found->subvolume ? found->subvolume : "");
	}
	if (list->count > 1)
		return err_advise(
			err_refused("more than one operating system: %s", places.data),
			"p2v converts a machine with one system: remove the other from a copy of the disk");
	if (list->items[0].is_windows)
		return err_advise(err_refused("%s: p2v does not convert Windows yet", places.data),
				  "use it for Linux, or wait for a later release");
	*ret_found = list->items[0];
	list->items[0].subvolume = NULL;
	return NULL;
}

static bool has_file_system(const struct appliance *appliance)
{
	for (size_t i = 0; i < appliance->device_count; i++) {
		const struct fs_kind *kind = fs_kind_find(appliance->devices[i].content);

		if (kind && kind->replay_options)
			return true;
	}
	return false;
}

struct err *appliance_find_os(struct appliance *appliance, struct found_os *ret_found)
{
	CLEANUP(found_list_deinit) struct found_list list = {0};

	TRY(find_systems(appliance, false, &list));
	/* All of a system may still be in a journal alone. */
	if (list.count == 0 && has_file_system(appliance)) {
		found_list_deinit(&list);
		list = (struct found_list){0};
		log_info(appliance->log, "no system found: replaying journals, and looking again");
		TRY(find_systems(appliance, true, &list));
	}
	for (size_t i = 0; i < list.damaged.count; i++)
		log_warning(appliance->log, "cannot be mounted: %s", list.damaged.items[i]);
	appliance->saw_damage |= !list.count && list.damaged.count;
	return choose_system(appliance, &list, ret_found);
}
