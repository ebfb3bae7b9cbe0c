/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "p2v/base/machine.h"

#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"

static const char *const firmware_names[] = {
	[FIRMWARE_UNKNOWN] = "unknown",
	[FIRMWARE_BIOS] = "bios",
	[FIRMWARE_UEFI] = "uefi",
};

static const struct {
	enum target target;
	const char *name;
} target_names[] = {
	{TARGET_HYPERV, "hyperv"},
	{TARGET_KVM, "kvm"},
	{TARGET_VMWARE, "vmware"},
	{TARGET_XEN, "xen"},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

const char *firmware_name(enum firmware firmware)
{
	return firmware_names[firmware];
}

const char *target_name(enum target target)
{
	for (size_t i = 0; i < COUNT(target_names); i++)
		if (target_names[i].target == target)
			return target_names[i].name;
	return "unknown";
}

static unsigned target_from_name(const char *name)
{
	if (!strcmp(name, "all"))
		return TARGET_ALL;
	for (size_t i = 0; i < COUNT(target_names); i++)
		if (!strcmp(name, target_names[i].name))
			return target_names[i].target;
	return 0;
}

struct err *targets_parse(const char *text, unsigned *ret_targets)
{
	CLEANUP_STRV struct strv names = {0};
	unsigned targets = 0;

	strv_split(&names, text, ",");
	for (size_t i = 0; i < names.count; i++) {
		unsigned target = target_from_name(names.items[i]);

		if (!target)
			return err_advise(
				err_usage("'%s' is no target", names.items[i]),
				"targets are hyperv, kvm, vmware, xen and all, with commas between");
		targets |= target;
	}
	if (!targets)
		return err_advise(err_usage("no target given"), "say for example --to hyperv,kvm");
	*ret_targets = targets;
	return NULL;
}

static void partition_deinit(struct machine_partition *partition)
{
	free(partition->type);
	free(partition->content);
	free(partition->label);
	free(partition->uuid);
	free(partition->device);
	strv_deinit(&partition->uses);
}

static void disk_deinit(struct machine_disk *disk)
{
	for (size_t i = 0; i < disk->partition_count; i++)
		partition_deinit(&disk->partitions[i]);
	free(disk->partitions);
	free(disk->file);
	free(disk->source);
	free(disk->table);
	free(disk->model);
	free(disk->serial);
	free(disk->wwn);
	free(disk->transport);
	free(disk->unreadable);
	free(disk->content);
	free(disk->label);
	free(disk->uuid);
	strv_deinit(&disk->uses);
	strv_deinit(&disk->paths);
}

static void volume_deinit(struct machine_volume *volume)
{
	free(volume->device);
	free(volume->kind);
	strv_deinit(&volume->on);
	free(volume->content);
	free(volume->label);
	free(volume->uuid);
	strv_deinit(&volume->uses);
}

static void nic_deinit(struct machine_nic *nic)
{
	free(nic->name);
	free(nic->mac);
	strv_deinit(&nic->addresses);
	free(nic->driver);
	free(nic->kind);
	free(nic->master);
	free(nic->lower);
}

static void route_deinit(struct machine_route *route)
{
	free(route->destination);
	free(route->gateway);
	free(route->interface);
}

static void hardware_deinit(struct machine_hardware *hardware)
{
	free(hardware->vendor);
	free(hardware->model);
	free(hardware->serial);
	free(hardware->hypervisor);
	free(hardware->tpm);
}

void machine_os_deinit(struct machine_os *os)
{
	free(os->id);
	free(os->version);
	free(os->name);
	free(os->arch);
	free(os->hostname);
}

void machine_deinit(struct machine *machine)
{
	for (size_t i = 0; i < machine->disk_count; i++)
		disk_deinit(&machine->disks[i]);
	for (size_t i = 0; i < machine->volume_count; i++)
		volume_deinit(&machine->volumes[i]);
	for (size_t i = 0; i < machine->nic_count; i++)
		nic_deinit(&machine->nics[i]);
	for (size_t i = 0; i < machine->route_count; i++)
		route_deinit(&machine->routes[i]);
	free(machine->disks);
	free(machine->volumes);
	free(machine->nics);
	free(machine->routes);
	free(machine->name);
	free(machine->cpu.model);
	strv_deinit(&machine->cpu.flags);
	strv_deinit(&machine->dns);
	hardware_deinit(&machine->hardware);
	machine_os_deinit(&machine->os);
	*machine = (struct machine){0};
}

/* The new, zeroed last element of an array that grows by one. */
#define ADD_ONE(items, count)                                                   \
	({                                                                      \
		(items) = xreallocarray((items), (count) + 1, sizeof *(items)); \
		memset(&(items)[(count)], 0, sizeof *(items));                  \
		&(items)[(count)++];                                            \
	})

struct machine_disk *machine_add_disk(struct machine *machine)
{
	return ADD_ONE(machine->disks, machine->disk_count);
}

void machine_put_disk_first(struct machine *machine, size_t index)
{
	struct machine_disk first = machine->disks[index];

	memmove(machine->disks + 1, machine->disks, index * sizeof first);
	machine->disks[0] = first;
}

struct machine_nic *machine_add_nic(struct machine *machine)
{
	return ADD_ONE(machine->nics, machine->nic_count);
}

struct machine_volume *machine_add_volume(struct machine *machine)
{
	return ADD_ONE(machine->volumes, machine->volume_count);
}

struct machine_route *machine_add_route(struct machine *machine)
{
	return ADD_ONE(machine->routes, machine->route_count);
}

struct machine_partition *machine_disk_add_partition(struct machine_disk *disk)
{
	return ADD_ONE(disk->partitions, disk->partition_count);
}
