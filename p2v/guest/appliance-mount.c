/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/base/strv.h"
#include "p2v/guest/appliance-os.h"
#include "p2v/guest/fstab.h"
#include "p2v/guest/guest-impl.h"

static const struct fs_kind fs_kinds[] = {
	{"ext4", "ro,noload", "ro", ""},
	{"ext3", "ro,noload", "ro", ""},
	{"ext2", "ro", "ro", ""},
	{"xfs", "ro,norecovery,nouuid", "ro,nouuid", "nouuid"},
	{"btrfs", "ro,nologreplay", "ro", ""},
	{"jfs", "ro", "ro", ""},
	{"reiserfs", "ro,nolog", "ro", ""},
	{"f2fs", "ro,norecovery", "ro", ""},
	{"ntfs", "ro", "ro", NULL},
	{"vfat", NULL, NULL, "quiet,umask=0022"}, /* quiet: chmod and chown are no errors */
};

const struct fs_kind *fs_kind_find(const char *content)
{
	for (size_t i = 0; content && i < sizeof fs_kinds / sizeof *fs_kinds; i++) {
		if (strcmp(fs_kinds[i].content, content) == 0)
			return &fs_kinds[i];
	}
	return NULL;
}

struct err *appliance_mount(struct appliance *appliance, const struct block_device *device,
			    const char *options, const char *path)
{
	const struct fs_kind *kind = fs_kind_find(device->content);
	CLEANUP_TEXT struct text script = {0};
	CLEANUP_FREE char *mount_point = xasprintf("/sysroot%s", path);
	CLEANUP_FREE char *output = NULL;

	if (!kind || !kind->options)
		return err_refused("%s: %s is not a file system that p2v mounts", device->device,
				   device->content ? device->content : "unknown content");
	/* What the kernel says of a journal it replays goes to the log. */
	text_addf(&script, "dmesg -C; mount -t %s -o %s%s%s%s", kind->content,
		  appliance->read_only ? "ro" : "rw", kind->options[0] ? "," : "", kind->options,
		  options[0] ? "," : "");
	appliance_quote(&script, options);
	text_addf(&script, " %s ", device->node);
	appliance_quote(&script, mount_point);
	text_addf(&script,
		  " 2>&1 || echo failed\ndmesg -t | grep -iE 'recover|replay|orphan|corrupt' || :\n");
	TRY(appliance_shell(appliance, script.data, &output));
	if (strstr(output, "failed\n")) {
		output[strcspn(output, "\n")] = '\0';
		appliance->saw_damage = true;
		return err_advise(
			err_refused("%s (%s) cannot be mounted: %s", device->device, device->content, output),
			"check it on the source (fsck, xfs_repair), or copy the disk again");
	}
	for (char *line = output; *line;) {
		size_t bytes = strcspn(line, "\n");

		log_info(appliance->log, "%s: %.*s", device->device, (int)bytes, line);
		line += bytes + (line[bytes] == '\n');
	}
	return NULL;
}

static const struct block_device *device_of_volume(const struct appliance *appliance,
						   const struct guest_volume *volume)
{
	for (size_t i = 0; i < appliance->device_count; i++) {
		if (strcmp(appliance->devices[i].device, volume->device) == 0)
			return &appliance->devices[i];
	}
	return NULL;
}

/* Folders that the system itself is made of. */
static bool is_system_folder(const char *path)
{
	static const char *const folders[] = {"/boot", "/efi",	 "/usr", "/var",  "/etc", "/opt",
					      "/lib",  "/lib64", "/bin", "/sbin", "/root"};

	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		size_t bytes = strlen(folders[i]);

		if (strncmp(path, folders[i], bytes) == 0 && (!path[bytes] || path[bytes] == '/'))
			return true;
	}
	return false;
}

/* Without these the system cannot be changed as it must be. */
static bool is_essential_folder(const char *path)
{
	static const char *const folders[] = {"/boot", "/boot/efi", "/efi", "/usr", "/etc", "/lib"};

	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		if (strcmp(path, folders[i]) == 0)
			return true;
	}
	return false;
}

/* Of fstab's options, those that choose what is mounted. */
static char *mount_options(const struct fstab_entry *entry)
{
	CLEANUP_FREE char *subvol = NULL;
	CLEANUP_FREE char *subvolid = NULL;

	if (strcmp(entry->type, "btrfs") == 0 && fstab_has_option(entry->options, "subvol", &subvol))
		return xasprintf("subvol=%s", subvol);
	if (strcmp(entry->type, "btrfs") == 0 && fstab_has_option(entry->options, "subvolid", &subvolid) &&
	    !subvolid[strspn(subvolid, "0123456789")])
		return xasprintf("subvolid=%s", subvolid);
	return xstrdup("");
}

static struct err *mount_entry(struct appliance *appliance, const struct inspection *inspection,
			       const struct fstab_entry *entry)
{
	const struct guest_volume *volume = inspect_find_volume(inspection, entry->spec);
	const struct block_device *device = volume ? device_of_volume(appliance, volume) : NULL;
	CLEANUP_FREE char *options = mount_options(entry);
	CLEANUP_FREE char *path = NULL;
	struct guest_stat stat;
	struct err *err = NULL;

	if (!device) {
		log_warning(appliance->log, "fstab: %s on %s: no such volume on the disks", entry->spec,
			    entry->file);
		return NULL;
	}
	TRY(guest_resolve(appliance->guest, entry->file, 0, &path));
	TRY(guest_stat(appliance->guest, path, &stat));
	if (stat.kind == GUEST_DIRECTORY)
		err = appliance_mount(appliance, device, options, path);
	else
		err = err_refused("fstab: %s: no folder to mount %s on", entry->file, entry->spec);
	if (err && !is_essential_folder(path)) {
		log_warning(appliance->log, "%s", err_message(err));
		err_free(err);
		return NULL;
	}
	return err;
}

static int compare_by_path_length(const void *a, const void *b)
{
	const struct fstab_entry *const *left = a;
	const struct fstab_entry *const *right = b;
	size_t left_bytes = strlen((*left)->file);
	size_t right_bytes = strlen((*right)->file);

	return (left_bytes > right_bytes) - (left_bytes < right_bytes);
}

static struct err *mount_entries(struct appliance *appliance, const struct inspection *inspection)
{
	CLEANUP_FREE const struct fstab_entry **entries = NULL;
	CLEANUP_FSTAB struct fstab *fstab = NULL;
	CLEANUP_FREE char *text = NULL;
	size_t count = 0;
	size_t bytes;

	TRY(guest_read(appliance->guest, "/etc/fstab", &text, &bytes));
	fstab = fstab_parse(text);
	entries = xcalloc(fstab_count(fstab) + 1, sizeof *entries);
	for (size_t i = 0; i < fstab_count(fstab); i++) {
		const struct fstab_entry *entry = fstab_entry(fstab, i);

		if (entry->file[0] == '/' && entry->file[1] && is_system_folder(entry->file) &&
		    strcmp(entry->type, "swap") != 0 && !fstab_has_option(entry->options, "bind", NULL) &&
		    (str_starts_with(entry->spec, "/dev/") || strchr(entry->spec, '=')))
			entries[count++] = entry;
	}
	/* Parents before what is in them. */
	if (count > 1)
		qsort(entries, count, sizeof *entries, compare_by_path_length);
	for (size_t i = 0; i < count; i++)
		TRY(mount_entry(appliance, inspection, entries[i]));
	return NULL;
}

/* An EFI system partition that fstab does not mention: systemd mounts it by its type
 * (systemd-gpt-auto-generator(8)). */
static struct err *mount_unlisted_esp(struct appliance *appliance, const struct inspection *inspection)
{
	static const char esp_type[] = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";
	static const char *const places[] = {"/efi", "/boot/efi", "/boot"};
	const struct block_device *esp = NULL;

	for (size_t i = 0; i < inspection->volume_count; i++) {
		const struct block_device *device = device_of_volume(appliance, &inspection->volumes[i]);

		if (!device || !device->part_type || strcasecmp(device->part_type, esp_type) != 0)
			continue;
		if (inspection->volumes[i].mount_point)
			return NULL;
		esp = esp ? esp : device;
	}
	if (!esp || !esp->content || strcmp(esp->content, "vfat") != 0)
		return NULL;
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		CLEANUP_STRV struct strv names = {0};
		struct guest_stat stat;

		TRY(guest_lstat(appliance->guest, places[i], &stat));
		TRY(guest_list(appliance->guest, places[i], &names));
		if (stat.kind == GUEST_DIRECTORY && names.count == 0)
			return appliance_mount(appliance, esp, "", places[i]);
	}
	return NULL;
}

struct err *appliance_mount_fstab(struct appliance *appliance, const struct inspection *inspection)
{
	TRY(mount_entries(appliance, inspection));
	return mount_unlisted_esp(appliance, inspection);
}
