/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which volume a name in the guest's configuration meant.
 *
 * Tags and LVM names say it themselves.  A kernel name ("sdb1") says only the
 * partition; which of our disks was "sdb" is found by elimination.  The root
 * file system was found, so the name that fstab has for it is certain.  Any other
 * disk must have all the partitions that fstab names on it, with the content that
 * fstab says, and no two kernel names are the same disk.  What stays ambiguous is
 * not certain, and is not answered.
 */
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/guest/devname.h"
#include "p2v/guest/fstab.h"
#include "p2v/guest/inspect-impl.h"

bool inspect_name_is_fragile(const char *name)
{
	CLEANUP_DEVNAME struct devname parsed;

	devname_parse(name, &parsed);
	return parsed.kind == DEVNAME_KERNEL || parsed.kind == DEVNAME_HARDWARE;
}

/* Members of an array or a volume group carry the UUID of the whole. */
static bool is_member(const struct guest_volume *volume)
{
	return volume->content && str_ends_with(volume->content, "_member");
}

/* The one volume with that text at `offset` of its struct; NULL if there is none, or several. */
static const struct guest_volume *find_by_text(const struct inspection *inspection, size_t offset,
					       const char *text)
{
	const struct guest_volume *found = NULL;

	for (size_t i = 0; i < inspection->volume_count; i++) {
		const struct guest_volume *volume = &inspection->volumes[i];
		const char *own = *(char *const *)((const char *)volume + offset);

		if (!own || strcasecmp(own, text) != 0 || is_member(volume))
			continue;
		if (found)
			return NULL;
		found = volume;
	}
	return found;
}

static const struct guest_volume *find_partition(const struct inspection *inspection, int disk,
						 unsigned partition)
{
	for (size_t i = 0; i < inspection->volume_count; i++) {
		const struct guest_volume *volume = &inspection->volumes[i];

		if (volume->disk == disk && volume->partition == partition && !volume->is_logical_volume)
			return volume;
	}
	return NULL;
}

static int count_disks(const struct inspection *inspection)
{
	int count = 0;

	for (size_t i = 0; i < inspection->volume_count; i++) {
		if (inspection->volumes[i].disk >= count)
			count = inspection->volumes[i].disk + 1;
	}
	return count;
}

static bool has_kernel_name(const struct inspection *inspection, int disk)
{
	for (size_t i = 0; i < inspection->disk_name_count; i++) {
		const struct guest_disk_name *name = &inspection->disk_names[i];

		if (name->disk == disk && !str_starts_with(name->name, "disk/") &&
		    !str_starts_with(name->name, "mapper/"))
			return true;
	}
	return false;
}

/* The disk of a name; -1 if that is not certain. */
static int find_disk(const struct inspection *inspection, const struct devname *name)
{
	for (size_t i = 0; i < inspection->disk_name_count; i++) {
		if (strcmp(inspection->disk_names[i].name, name->value) == 0)
			return inspection->disk_names[i].disk;
	}
	/* A name that fstab does not mention: of the only disk, unless that has another name. */
	if (count_disks(inspection) != 1)
		return -1;
	return name->kind == DEVNAME_KERNEL && has_kernel_name(inspection, 0) ? -1 : 0;
}

static const struct guest_volume *find_other(const struct inspection *inspection, const char *device)
{
	if (str_starts_with(device, "/dev/md") || str_starts_with(device, "/dev/disk/by-id/md-"))
		return inspect_find_array(inspection, device);
	return find_by_text(inspection, offsetof(struct guest_volume, device), device);
}

const struct guest_volume *inspect_find_volume(const struct inspection *inspection, const char *name)
{
	CLEANUP_DEVNAME struct devname parsed;
	int disk;

	devname_parse(name, &parsed);
	switch (parsed.kind) {
	case DEVNAME_UUID:
		return find_by_text(inspection, offsetof(struct guest_volume, uuid), parsed.value);
	case DEVNAME_LABEL:
		return find_by_text(inspection, offsetof(struct guest_volume, label), parsed.value);
	case DEVNAME_PARTUUID:
		return find_by_text(inspection, offsetof(struct guest_volume, partuuid), parsed.value);
	case DEVNAME_PARTLABEL:
		return find_by_text(inspection, offsetof(struct guest_volume, partlabel), parsed.value);
	case DEVNAME_LOGICAL_VOLUME:
		return find_by_text(inspection, offsetof(struct guest_volume, device), parsed.value);
	case DEVNAME_KERNEL:
	case DEVNAME_HARDWARE:
		disk = find_disk(inspection, &parsed);
		return disk >= 0 ? find_partition(inspection, disk, parsed.partition) : NULL;
	case DEVNAME_OTHER:
		return find_other(inspection, parsed.value);
	case DEVNAME_NONE:
		break;
	}
	return NULL;
}

/*
 * Elimination.
 */

/* A disk name and the disks that it may mean. */
struct candidate {
	char *name;
	bool is_kernel_name;
	bool is_certain; /* the root's: what else fstab has on it may be long gone */
	bool *may_be; /* one a disk */
};

struct candidates {
	struct candidate *items;
	size_t count;
	size_t capacity;
	int disk_count;
};

static void candidates_deinit(struct candidates *candidates)
{
	for (size_t i = 0; i < candidates->count; i++) {
		free(candidates->items[i].name);
		free(candidates->items[i].may_be);
	}
	free(candidates->items);
}

static struct candidate *find_candidate(struct candidates *candidates, const struct devname *name)
{
	struct candidate *item;

	for (size_t i = 0; i < candidates->count; i++) {
		if (strcmp(candidates->items[i].name, name->value) == 0)
			return &candidates->items[i];
	}
	array_grow(candidates->items, candidates->count, candidates->capacity);
	item = &candidates->items[candidates->count++];
	*item = (struct candidate){
		.name = xstrdup(name->value),
		.is_kernel_name = name->kind == DEVNAME_KERNEL,
		.may_be = xcalloc((size_t)candidates->disk_count, sizeof(bool)),
	};
	for (int disk = 0; disk < candidates->disk_count; disk++)
		item->may_be[disk] = true;
	return item;
}

/* Whether a volume can be what fstab mounts with that type. */
static bool content_fits(const char *content, const char *type)
{
	static const char *const same[][2] = {
		{"msdos", "vfat"}, {"ntfs-3g", "ntfs"}, {"ntfs3", "ntfs"}, {"fuseblk", "ntfs"},
		{"ext2", "ext4"},  {"ext3", "ext4"},	{"ext3", "ext2"},  {"ext4", "ext3"},
		{"ext4", "ext2"},  {"ext2", "ext3"},
	};

	if (!content)
		return false;
	if (strcmp(type, "auto") == 0 || strcmp(type, content) == 0)
		return true;
	for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
		if (strcmp(type, same[i][0]) == 0 && strcmp(content, same[i][1]) == 0)
			return true;
	}
	return false;
}

/* Rules out the disks on which the name cannot be what it is used for. */
static void restrict_to(struct candidates *candidates, const struct inspection *inspection,
			const struct devname *name, const char *type, bool is_root)
{
	struct candidate *item;

	if (name->kind != DEVNAME_KERNEL && name->kind != DEVNAME_HARDWARE)
		return;
	item = find_candidate(candidates, name);
	if (item->is_certain)
		return;
	for (int disk = 0; disk < candidates->disk_count; disk++) {
		const struct guest_volume *volume = find_partition(inspection, disk, name->partition);

		if (!volume || !content_fits(volume->content, type) ||
		    (is_root && volume != &inspection->volumes[0]))
			item->may_be[disk] = false;
		else if (is_root)
			item->is_certain = true;
	}
}

/* The only disk that is left; -1 if there are several or none. */
static int only_disk(const struct candidates *candidates, const struct candidate *item)
{
	int only = -1;

	for (int disk = 0; disk < candidates->disk_count; disk++) {
		if (!item->may_be[disk])
			continue;
		if (only >= 0)
			return -1;
		only = disk;
	}
	return only;
}

/* A disk that is certain for one kernel name is no other's. */
static void eliminate(struct candidates *candidates)
{
	for (size_t round = 0; round < candidates->count; round++) {
		for (size_t i = 0; i < candidates->count; i++) {
			int disk = only_disk(candidates, &candidates->items[i]);

			if (disk < 0 || !candidates->items[i].is_kernel_name)
				continue;
			for (size_t k = 0; k < candidates->count; k++) {
				if (k != i && candidates->items[k].is_kernel_name)
					candidates->items[k].may_be[disk] = false;
			}
		}
	}
}

/* "root=/dev/sda1" in the boot loader's configuration, for names that fstab does not use. */
static struct err *restrict_by_boot_config(const struct inspect_context *context,
					   struct candidates *candidates)
{
	const char *config = context->inspection->boot.config;
	size_t known = candidates->count;
	CLEANUP_FREE char *text = NULL;
	size_t bytes;

	if (!config)
		return NULL;
	TRY(guest_read(context->guest, config, &text, &bytes));
	for (const char *at = text; at && (at = strstr(at, "root=/dev/")); at++) {
		CLEANUP_FREE char *device = xstrndup(at + 5, strcspn(at + 5, " \t\r\n\"'"));
		CLEANUP_DEVNAME struct devname name;
		bool is_known = false;

		if (at == text || !strchr(" \t\"'", at[-1]))
			continue;
		devname_parse(device, &name);
		for (size_t i = 0; i < known && name.value; i++)
			is_known |= strcmp(candidates->items[i].name, name.value) == 0;
		if (!is_known)
			restrict_to(candidates, context->inspection, &name, "auto", true);
	}
	return NULL;
}

static void record_names(struct inspection *inspection, const struct candidates *candidates)
{
	for (size_t i = 0; i < inspection->disk_name_count; i++)
		free(inspection->disk_names[i].name);
	inspection->disk_names =
		xreallocarray(inspection->disk_names, candidates->count, sizeof *inspection->disk_names);
	inspection->disk_name_count = candidates->count;
	for (size_t i = 0; i < candidates->count; i++) {
		inspection->disk_names[i] = (struct guest_disk_name){
			.name = xstrdup(candidates->items[i].name),
			.disk = only_disk(candidates, &candidates->items[i]),
		};
	}
}

static void record_mount_points(struct inspection *inspection, const struct fstab *fstab)
{
	for (size_t i = 0; i < fstab_count(fstab); i++) {
		const struct fstab_entry *entry = fstab_entry(fstab, i);
		const struct guest_volume *volume = inspect_find_volume(inspection, entry->spec);

		/* A volume that is mounted twice (btrfs) keeps the first place. */
		if (volume && !volume->mount_point)
			inspection->volumes[volume - inspection->volumes].mount_point =
				xstrdup(strcmp(entry->type, "swap") == 0 ? "swap" : entry->file);
	}
}

/* By the entries for the root, or by all others. */
static void restrict_by_fstab(struct candidates *candidates, const struct inspection *inspection,
			      const struct fstab *fstab, bool for_root)
{
	for (size_t i = 0; i < fstab_count(fstab); i++) {
		const struct fstab_entry *entry = fstab_entry(fstab, i);
		CLEANUP_DEVNAME struct devname name = {0};

		if ((strcmp(entry->file, "/") == 0) != for_root)
			continue;
		devname_parse(entry->spec, &name);
		restrict_to(candidates, inspection, &name, entry->type, for_root);
	}
}

struct err *inspect_disk_names(const struct inspect_context *context)
{
	struct inspection *inspection = context->inspection;
	CLEANUP(candidates_deinit) struct candidates candidates = {.disk_count = count_disks(inspection)};
	CLEANUP_FREE char *text = NULL;
	CLEANUP_FSTAB struct fstab *fstab = NULL;
	size_t bytes;

	TRY(inspect_array_names(context));
	TRY(guest_read(context->guest, "/etc/fstab", &text, &bytes));
	fstab = fstab_parse(text);
	restrict_by_fstab(&candidates, inspection, fstab, true);
	restrict_by_fstab(&candidates, inspection, fstab, false);
	TRY(restrict_by_boot_config(context, &candidates));
	eliminate(&candidates);
	record_names(inspection, &candidates);
	record_mount_points(inspection, fstab);
	return NULL;
}
