/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "capture/discover.h"

#include <string.h>

#include "capture/discover-impl.h"
#include "capture/stack.h"
#include "p2v/base/blk.h"
#include "p2v/base/mem.h"

/* Firmware reads a loader from the first of these that is a mount point of its own. */
static const char *const boot_folders[] = {"/boot/efi", "/efi", "/boot", "/"};
static const char efi_system_type[] = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";

static bool disk_serves(const struct machine *machine, const struct machine_disk *disk, const char *folder)
{
	CLEANUP_STRV struct strv uses = {0};

	stack_uses(machine, disk, &uses);
	return strv_has(&uses, folder);
}

static bool has_efi_partition(const struct machine_disk *disk)
{
	for (size_t i = 0; i < disk->partition_count; i++)
		if (disk->partitions[i].type && !strcasecmp(disk->partitions[i].type, efi_system_type))
			return true;
	return false;
}

static void put_boot_disk_first(struct machine *machine)
{
	for (size_t i = 0; i < sizeof boot_folders / sizeof *boot_folders; i++)
		for (size_t k = 0; k < machine->disk_count; k++)
			if (disk_serves(machine, &machine->disks[k], boot_folders[i])) {
				machine_put_disk_first(machine, k);
				return;
			}
	for (size_t k = 0; k < machine->disk_count; k++)
		if (!machine->disks[k].is_removable && has_efi_partition(&machine->disks[k])) {
			machine_put_disk_first(machine, k);
			return;
		}
}

static struct err *check_sysfs(const char *sysroot)
{
	if (sysroot_has(sysroot, "/sys/block") || sysroot_has(sysroot, "/sys/class"))
		return NULL;
	return err_advise(err_refused("%s/sys: is not there, or no sysfs", sysroot),
			  "mount it: mount -t sysfs sysfs /sys");
}

struct err *discover_identity(const char *sysroot, struct machine *ret_machine)
{
	TRY(check_sysfs(sysroot));
	ret_machine->secure_boot = -1;
	discover_network(sysroot, ret_machine);
	discover_addresses(sysroot, ret_machine);
	discover_hardware(sysroot, ret_machine);
	return NULL;
}

struct err *discover_machine(const char *sysroot, struct machine *ret_machine)
{
	struct machine machine = {.secure_boot = -1};

	TRY(check_sysfs(sysroot));
	discover_disks(sysroot, &machine);
	discover_volumes(sysroot, &machine);
	discover_uses(sysroot, &machine);
	discover_network(sysroot, &machine);
	discover_addresses(sysroot, &machine);
	discover_hardware(sysroot, &machine);
	discover_cpu(sysroot, &machine);
	discover_os(sysroot, &machine);
	put_boot_disk_first(&machine);
	*ret_machine = machine;
	return NULL;
}

struct err *discover_device(const char *path, struct machine_disk *ret_disk)
{
	CLEANUP_BLK struct blk *blk = NULL;

	TRY(blk_file_open(path, 0, 0, &blk));
	ret_disk->source = xstrdup(path);
	ret_disk->size_bytes = blk->size_bytes;
	ret_disk->logical_sector_bytes = blk->logical_sector_bytes;
	ret_disk->physical_sector_bytes = blk->physical_sector_bytes;
	return discover_content(path, ret_disk);
}
