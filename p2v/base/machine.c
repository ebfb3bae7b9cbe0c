/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * struct machine and its JSON form, side by side.  The JSON's version is raised
 * when a reader of the old form would misunderstand the new one; members that
 * are only added do not raise it.
 */
#include "p2v/base/machine.h"

#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"

#define MACHINE_JSON_VERSION 1

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

static enum firmware firmware_from_name(const char *name)
{
	for (size_t i = 0; i < COUNT(firmware_names); i++)
		if (!strcmp(name, firmware_names[i]))
			return i;
	return FIRMWARE_UNKNOWN;
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

static void disk_deinit(struct machine_disk *disk)
{
	for (size_t i = 0; i < disk->partition_count; i++) {
		struct machine_partition *partition = &disk->partitions[i];

		free(partition->type);
		free(partition->content);
		free(partition->label);
		free(partition->uuid);
	}
	free(disk->partitions);
	free(disk->file);
	free(disk->source);
	free(disk->table);
}

void machine_deinit(struct machine *machine)
{
	for (size_t i = 0; i < machine->disk_count; i++)
		disk_deinit(&machine->disks[i]);
	for (size_t i = 0; i < machine->nic_count; i++) {
		free(machine->nics[i].name);
		free(machine->nics[i].mac);
		strv_deinit(&machine->nics[i].addresses);
	}
	free(machine->disks);
	free(machine->nics);
	free(machine->name);
	free(machine->os.id);
	free(machine->os.version);
	free(machine->os.name);
	free(machine->os.arch);
	free(machine->os.hostname);
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

struct machine_partition *machine_disk_add_partition(struct machine_disk *disk)
{
	return ADD_ONE(disk->partitions, disk->partition_count);
}

static json_t *partition_to_json(const struct machine_partition *partition)
{
	json_t *json = json_object();

	json_set_u64(json, "number", partition->number);
	json_set_u64(json, "start_bytes", partition->start_bytes);
	json_set_u64(json, "size_bytes", partition->size_bytes);
	json_set_string(json, "type", partition->type);
	json_set_string(json, "content", partition->content);
	json_set_string(json, "label", partition->label);
	json_set_string(json, "uuid", partition->uuid);
	return json;
}

static json_t *disk_to_json(const struct machine_disk *disk)
{
	json_t *json = json_object();
	json_t *partitions = json_array();

	json_set_string(json, "file", disk->file);
	json_set_string(json, "source", disk->source);
	json_set_u64(json, "size_bytes", disk->size_bytes);
	json_set_u64(json, "logical_sector_bytes", disk->logical_sector_bytes);
	json_set_u64(json, "physical_sector_bytes", disk->physical_sector_bytes);
	json_set_string(json, "table", disk->table);
	for (size_t i = 0; i < disk->partition_count; i++)
		json_array_append_new(partitions, partition_to_json(&disk->partitions[i]));
	json_object_set_new(json, "partitions", partitions);
	return json;
}

static json_t *nic_to_json(const struct machine_nic *nic)
{
	json_t *json = json_object();
	json_t *addresses = json_array();

	json_set_string(json, "name", nic->name);
	json_set_string(json, "mac", nic->mac);
	json_set_bool(json, "mac_is_made_up", nic->mac_is_made_up);
	for (size_t i = 0; i < nic->addresses.count; i++)
		json_array_append_new(addresses, json_string(nic->addresses.items[i]));
	json_object_set_new(json, "addresses", addresses);
	return json;
}

static json_t *os_to_json(const struct machine_os *os)
{
	json_t *json = json_object();

	json_set_string(json, "id", os->id);
	json_set_string(json, "version", os->version);
	json_set_string(json, "name", os->name);
	json_set_string(json, "arch", os->arch);
	json_set_string(json, "hostname", os->hostname);
	return json;
}

json_t *machine_to_json(const struct machine *machine)
{
	json_t *json = json_object();
	json_t *disks = json_array(), *nics = json_array();

	json_set_u64(json, "p2v_machine", MACHINE_JSON_VERSION);
	json_set_string(json, "name", machine->name);
	json_set_string(json, "firmware", firmware_name(machine->firmware));
	json_object_set_new(json, "secure_boot",
			    machine->secure_boot < 0 ? json_null() : json_boolean(machine->secure_boot));
	json_set_u64(json, "processors", machine->processors);
	json_set_u64(json, "memory_bytes", machine->memory_bytes);
	json_object_set_new(json, "os", os_to_json(&machine->os));
	for (size_t i = 0; i < machine->disk_count; i++)
		json_array_append_new(disks, disk_to_json(&machine->disks[i]));
	for (size_t i = 0; i < machine->nic_count; i++)
		json_array_append_new(nics, nic_to_json(&machine->nics[i]));
	json_object_set_new(json, "disks", disks);
	json_object_set_new(json, "nics", nics);
	return json;
}

static uint64_t u64_or(const json_t *object, const char *key, uint64_t fallback)
{
	const json_t *member = json_object_get(object, key);

	return json_is_integer(member) && json_integer_value(member) >= 0
		       ? (uint64_t)json_integer_value(member)
		       : fallback;
}

static char *copy_string(const json_t *object, const char *key)
{
	return xstrdup(json_string_or(object, key, NULL));
}

static void partition_from_json(const json_t *json, struct machine_partition *partition)
{
	partition->number = u64_or(json, "number", 0);
	partition->start_bytes = u64_or(json, "start_bytes", 0);
	partition->size_bytes = u64_or(json, "size_bytes", 0);
	partition->type = copy_string(json, "type");
	partition->content = copy_string(json, "content");
	partition->label = copy_string(json, "label");
	partition->uuid = copy_string(json, "uuid");
}

static struct err *disk_from_json(const json_t *json, struct machine_disk *disk)
{
	size_t index;
	json_t *member;

	TRY(json_get_u64(json, "size_bytes", &disk->size_bytes));
	disk->file = copy_string(json, "file");
	disk->source = copy_string(json, "source");
	disk->logical_sector_bytes = u64_or(json, "logical_sector_bytes", 512);
	disk->physical_sector_bytes = u64_or(json, "physical_sector_bytes", 512);
	disk->table = copy_string(json, "table");
	json_array_foreach (json_object_get(json, "partitions"), index, member)
		partition_from_json(member, machine_disk_add_partition(disk));
	return NULL;
}

static void nic_from_json(const json_t *json, struct machine_nic *nic)
{
	size_t index;
	json_t *member;

	nic->name = copy_string(json, "name");
	nic->mac = copy_string(json, "mac");
	nic->mac_is_made_up = json_is_true(json_object_get(json, "mac_is_made_up"));
	json_array_foreach (json_object_get(json, "addresses"), index, member)
		if (json_is_string(member))
			strv_add(&nic->addresses, json_string_value(member));
}

static void os_from_json(const json_t *json, struct machine_os *os)
{
	os->id = copy_string(json, "id");
	os->version = copy_string(json, "version");
	os->name = copy_string(json, "name");
	os->arch = copy_string(json, "arch");
	os->hostname = copy_string(json, "hostname");
}

static struct err *fill_machine(const json_t *json, struct machine *machine)
{
	const json_t *secure_boot = json_object_get(json, "secure_boot");
	uint64_t version;
	size_t index;
	json_t *member;

	TRY(err_advise(json_get_u64(json, "p2v_machine", &version), "this is no machine.json of p2v's"));
	if (version != MACHINE_JSON_VERSION)
		return err_advise(
			err_refused("version %llu of machine.json is not known", (unsigned long long)version),
			"use the p2v that wrote it, or a newer one");
	machine->name = copy_string(json, "name");
	machine->firmware = firmware_from_name(json_string_or(json, "firmware", "unknown"));
	machine->secure_boot = json_is_boolean(secure_boot) ? json_is_true(secure_boot) : -1;
	machine->processors = u64_or(json, "processors", 0);
	machine->memory_bytes = u64_or(json, "memory_bytes", 0);
	os_from_json(json_object_get(json, "os"), &machine->os);
	json_array_foreach (json_object_get(json, "disks"), index, member)
		TRY(err_wrap(disk_from_json(member, machine_add_disk(machine)), "disk %zu", index));
	json_array_foreach (json_object_get(json, "nics"), index, member)
		nic_from_json(member, machine_add_nic(machine));
	return NULL;
}

struct err *machine_from_json(const json_t *json, struct machine *ret_machine)
{
	struct machine machine = {0};
	struct err *err = fill_machine(json, &machine);

	if (err)
		machine_deinit(&machine);
	else
		*ret_machine = machine;
	return err;
}
