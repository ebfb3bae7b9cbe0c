/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Opening the guest: find the system, mount it as its fstab says, inspect it,
 * and see whether it can be converted at all.
 */
#include <string.h>
#include <sys/utsname.h>

#include "p2v/base/mem.h"
#include "p2v/guest/appliance-os.h"
#include "p2v/guest/inspect-impl.h"

/* A member of the array that this is, NULL if it is none. */
static const struct block_device *find_member(const struct appliance *appliance,
					      const struct block_device *device)
{
	for (size_t i = 0; i < appliance->device_count && device->below; i++) {
		const struct block_device *below = &appliance->devices[i];

		if (strcmp(below->node, device->below) == 0)
			return below->content && !strcmp(below->content, "linux_raid_member") ? below : NULL;
	}
	return NULL;
}

static void add_volume(const struct appliance *appliance, const struct block_device *device,
		       struct inspection *inspection)
{
	const struct block_device *member = find_member(appliance, device);

	inspection->volumes[inspection->volume_count++] = (struct guest_volume){
		.device = xstrdup(device->device),
		.disk = device->disk,
		.partition = device->partition,
		.size_bytes = device->size_bytes,
		.content = xstrdup(device->content),
		.uuid = xstrdup(device->uuid),
		.label = xstrdup(device->label),
		.partuuid = xstrdup(device->partuuid),
		.partlabel = xstrdup(device->partlabel),
		.is_logical_volume = device->is_logical_volume,
		.array_uuid = member ? xstrdup(member->uuid) : NULL,
		.array_name = member ? xstrdup(member->label) : NULL,
	};
}

/* Everything that may hold data, the root first; a disk with a partition table is none. */
static void fill_volumes(const struct appliance *appliance, size_t root, struct inspection *inspection)
{
	inspection->volumes = xcalloc(appliance->device_count, sizeof *inspection->volumes);
	add_volume(appliance, &appliance->devices[root], inspection);
	for (size_t i = 0; i < appliance->device_count; i++) {
		if (i != root && !appliance->devices[i].table)
			add_volume(appliance, &appliance->devices[i], inspection);
	}
}

static struct err *check_architecture(const struct inspection *inspection)
{
	const char *arch = inspection->os.arch;
	struct utsname host;

	if (!arch || uname(&host) != 0 || strcmp(arch, host.machine) == 0)
		return NULL;
	if (strcmp(arch, "i686") == 0 && strcmp(host.machine, "x86_64") == 0)
		return NULL;
	return err_advise(err_refused("the system is for %s, and this machine is %s", arch, host.machine),
			  "p2v makes virtual machines of the same kind of processor only");
}

/* The first bytes of a disk hold a boot loader for BIOS, or nothing but a partition table. */
static struct err *has_boot_code(struct appliance *appliance, size_t disk, bool *ret_has)
{
	static const unsigned char none[440];
	CLEANUP_FREE char *data = NULL;
	size_t bytes;

	for (size_t i = 0; i < appliance->device_count; i++) {
		const struct block_device *device = &appliance->devices[i];

		if (device->disk != (int)disk || device->partition || device->is_logical_volume)
			continue;
		data = guestfs_pread_device(appliance->g, device->device, sizeof none, 0, &bytes);
		if (!data)
			return appliance_error(appliance, "%s", device->device);
		*ret_has = bytes == sizeof none && memcmp(data, none, sizeof none) != 0;
		return NULL;
	}
	*ret_has = false;
	return NULL;
}

static int disk_of_mount_point(const struct inspection *inspection, const char *mount_point)
{
	for (size_t i = 0; i < inspection->volume_count && mount_point; i++) {
		const struct guest_volume *volume = &inspection->volumes[i];

		if (volume->mount_point && strcmp(volume->mount_point, mount_point) == 0)
			return volume->disk;
	}
	return -1;
}

/* The disk of the EFI system partition; else the only one with boot code; else that of /boot or the root. */
static struct err *find_boot_disk(struct appliance *appliance, const struct inspection *inspection)
{
	int disk = -1;
	unsigned count = 0;

	if (inspection->boot.firmware == FIRMWARE_UEFI)
		disk = disk_of_mount_point(inspection, inspection->boot.esp_mount_point);
	for (size_t i = 0; i < appliance->disk_count && disk < 0; i++) {
		bool has_code;

		TRY(has_boot_code(appliance, i, &has_code));
		if (has_code) {
			appliance->boot_disk = i;
			count++;
		}
	}
	if (disk < 0 && count == 1)
		return NULL;
	if (disk < 0)
		disk = disk_of_mount_point(inspection, "/boot");
	if (disk < 0)
		disk = inspection->volumes[0].disk;
	appliance->boot_disk = disk < 0 ? 0 : (size_t)disk;
	return NULL;
}

static struct err *mount_and_inspect(struct appliance *appliance, const struct found_os *found,
				     struct inspection *inspection)
{
	CLEANUP_FREE char *options =
		found->subvolume ? xasprintf("subvol=%s", found->subvolume) : xstrdup("");
	struct inspect_context context = {.log = appliance->log, .inspection = inspection};

	TRY(appliance_mount(appliance, &appliance->devices[found->device], options, "/"));
	appliance->guest = appliance_guest_create(appliance);
	context.guest = appliance->guest;
	fill_volumes(appliance, found->device, inspection);
	TRY(inspect_disk_names(&context));
	TRY(appliance_mount_fstab(appliance, inspection));
	TRY(inspect_guest(appliance->guest, appliance->log, inspection));
	TRY(check_architecture(inspection));
	return find_boot_disk(appliance, inspection);
}

struct err *appliance_open_guest(struct appliance *appliance, struct guest **ret_guest,
				 struct inspection *ret_inspection)
{
	CLEANUP(found_os_deinit) struct found_os found = {0};
	CLEANUP_INSPECTION struct inspection inspection = {0};

	TRY(appliance_find_os(appliance, &found));
	TRY(mount_and_inspect(appliance, &found, &inspection));
	*ret_guest = appliance->guest;
	*ret_inspection = inspection;
	inspection = (struct inspection){0};
	return NULL;
}
