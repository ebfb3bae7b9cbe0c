/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "p2v/guest/appliance.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/guest/appliance-impl.h"

struct err *appliance_error(struct appliance *appliance, const char *what, ...)
{
	const char *text = guestfs_last_error(appliance->g);
	CLEANUP_FREE char *context = NULL;
	va_list args;

	va_start(args, what);
	context = xvasprintf(what, args);
	va_end(args);
	if (!text)
		text = "unknown error";
	return err_failed("%s: %.*s", context, (int)strcspn(text, "\n"), text);
}

struct err *appliance_shell(struct appliance *appliance, const char *script, char **ret_output)
{
	char *const argv[] = {(char *)script, NULL};
	char *output = guestfs_debug(appliance->g, "sh", argv);

	if (!output)
		return appliance_error(appliance, "appliance");
	*ret_output = output;
	return NULL;
}

void appliance_quote(struct text *script, const char *word)
{
	text_add(script, "'", 1);
	for (; *word; word++) {
		if (*word == '\'')
			text_addf(script, "'\\''");
		else
			text_add(script, word, 1);
	}
	text_add(script, "'", 1);
}

/* Frees all but the hypervisor, which is gone or goes with the handle. */
static void appliance_free(struct appliance *appliance)
{
	guest_destroy(appliance->guest);
	if (appliance->g)
		guestfs_close(appliance->g);
	guardian_dismiss(appliance->guardian);
	for (size_t i = 0; i < appliance->device_count; i++)
		block_device_deinit(&appliance->devices[i]);
	free(appliance->devices);
	free(appliance->disks);
	free(appliance->scratch_dir);
	free(appliance);
}

struct err *appliance_start(const struct appliance_options *options, struct appliance **ret_appliance)
{
	struct appliance *appliance = xcalloc(1, sizeof *appliance);
	struct err *err;

	appliance->log = options->log;
	appliance->console.log = options->log;
	appliance->scratch_dir = xstrdup(options->scratch_dir);
	appliance->read_only = options->read_only;
	while (options->nbd_sockets[appliance->disk_count])
		appliance->disk_count++;
	appliance->disks = xcalloc(appliance->disk_count, sizeof *appliance->disks);
	err = appliance_launch(appliance, options);
	if (!err)
		err = appliance_scan_disks(appliance);
	if (err)
		appliance_free(appliance);
	else
		*ret_appliance = appliance;
	return err;
}

static void describe_disk(const struct appliance *appliance, int disk, struct machine_disk *description)
{
	const struct appliance_disk *own = &appliance->disks[disk];

	description->size_bytes = own->size_bytes;
	description->logical_sector_bytes = own->logical_sector_bytes;
	description->physical_sector_bytes = own->physical_sector_bytes;
	for (size_t i = 0; i < appliance->device_count; i++) {
		const struct block_device *device = &appliance->devices[i];
		struct machine_partition *partition;

		if (device->disk != disk || device->is_logical_volume)
			continue;
		if (device->partition == 0) {
			free(description->table);
			description->table = xstrdup(device->table);
			continue;
		}
		partition = machine_disk_add_partition(description);
		*partition = (struct machine_partition){
			.number = device->partition,
			.start_bytes = device->start_bytes,
			.size_bytes = device->size_bytes,
			.type = xstrdup(device->part_type),
			.content = xstrdup(device->content),
			.label = xstrdup(device->label),
			.uuid = xstrdup(device->uuid),
		};
	}
}

struct err *appliance_describe_disks(struct appliance *appliance, struct machine *machine)
{
	for (size_t i = 0; i < appliance->disk_count; i++)
		describe_disk(appliance, (int)i,
			      i < machine->disk_count ? &machine->disks[i] : machine_add_disk(machine));
	return NULL;
}

const char *appliance_accelerator(const struct appliance *appliance)
{
	return appliance->accelerator;
}

bool appliance_saw_damage(const struct appliance *appliance)
{
	return appliance->saw_damage;
}

size_t appliance_boot_disk(const struct appliance *appliance)
{
	return appliance->boot_disk;
}

struct err *appliance_stop(struct appliance *appliance)
{
	struct err *err = NULL;

	if (!appliance)
		return NULL;
	if (guestfs_umount_all(appliance->g) || guestfs_shutdown(appliance->g))
		err = appliance_error(appliance, "stopping the appliance: changes may not be on the disk");
	appliance_free(appliance);
	return err;
}
