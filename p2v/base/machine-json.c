/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * struct machine as JSON.  Its version is raised when a reader of the old form
 * would misunderstand the new one; members that are only added do not raise it.
 *
 * Each struct has a table of its plain members, which serves both directions.
 */
#include <stddef.h>
#include <string.h>

#include "p2v/base/machine.h"
#include "p2v/base/mem.h"

#define MACHINE_JSON_VERSION 1

enum member_type { TEXT, TEXTS, UNSIGNED, WIDE, FLAG };

struct member {
	const char *name;
	enum member_type type;
	size_t offset;
};

#define MEMBER(of, type, name)                         \
	{                                              \
#name, type, offsetof(struct of, name) \
	}

static const struct member partition_members[] = {
	MEMBER(machine_partition, UNSIGNED, number), MEMBER(machine_partition, WIDE, start_bytes),
	MEMBER(machine_partition, WIDE, size_bytes), MEMBER(machine_partition, TEXT, type),
	MEMBER(machine_partition, TEXT, content),    MEMBER(machine_partition, TEXT, label),
	MEMBER(machine_partition, TEXT, uuid),	     MEMBER(machine_partition, TEXT, device),
	MEMBER(machine_partition, TEXTS, uses),	     {0},
};

static const struct member disk_members[] = {
	MEMBER(machine_disk, TEXT, file),
	MEMBER(machine_disk, TEXT, source),
	MEMBER(machine_disk, WIDE, size_bytes),
	MEMBER(machine_disk, UNSIGNED, logical_sector_bytes),
	MEMBER(machine_disk, UNSIGNED, physical_sector_bytes),
	MEMBER(machine_disk, TEXT, table),
	MEMBER(machine_disk, TEXT, model),
	MEMBER(machine_disk, TEXT, serial),
	MEMBER(machine_disk, TEXT, wwn),
	MEMBER(machine_disk, TEXT, transport),
	MEMBER(machine_disk, FLAG, is_removable),
	MEMBER(machine_disk, FLAG, is_read_only),
	MEMBER(machine_disk, TEXT, content),
	MEMBER(machine_disk, TEXT, label),
	MEMBER(machine_disk, TEXT, uuid),
	MEMBER(machine_disk, TEXTS, uses),
	MEMBER(machine_disk, TEXTS, paths),
	MEMBER(machine_disk, TEXT, unreadable),
	{0},
};

static const struct member volume_members[] = {
	MEMBER(machine_volume, TEXT, device),
	MEMBER(machine_volume, TEXT, kind),
	MEMBER(machine_volume, WIDE, size_bytes),
	MEMBER(machine_volume, TEXTS, on),
	MEMBER(machine_volume, TEXT, content),
	MEMBER(machine_volume, TEXT, label),
	MEMBER(machine_volume, TEXT, uuid),
	MEMBER(machine_volume, TEXTS, uses),
	{0},
};

static const struct member nic_members[] = {
	MEMBER(machine_nic, TEXT, name),	   MEMBER(machine_nic, TEXT, mac),
	MEMBER(machine_nic, FLAG, mac_is_made_up), MEMBER(machine_nic, TEXTS, addresses),
	MEMBER(machine_nic, TEXT, driver),	   MEMBER(machine_nic, TEXT, kind),
	MEMBER(machine_nic, TEXT, master),	   MEMBER(machine_nic, TEXT, lower),
	MEMBER(machine_nic, UNSIGNED, vlan),	   {0},
};

static const struct member route_members[] = {
	MEMBER(machine_route, TEXT, destination),
	MEMBER(machine_route, TEXT, gateway),
	MEMBER(machine_route, TEXT, interface),
	{0},
};

static const struct member os_members[] = {
	MEMBER(machine_os, TEXT, id),	MEMBER(machine_os, TEXT, version),  MEMBER(machine_os, TEXT, name),
	MEMBER(machine_os, TEXT, arch), MEMBER(machine_os, TEXT, hostname), {0},
};

static const struct member cpu_members[] = {
	MEMBER(machine_cpu, TEXT, model),     MEMBER(machine_cpu, UNSIGNED, sockets),
	MEMBER(machine_cpu, UNSIGNED, cores), MEMBER(machine_cpu, UNSIGNED, threads),
	MEMBER(machine_cpu, TEXTS, flags),    {0},
};

static const struct member hardware_members[] = {
	MEMBER(machine_hardware, TEXT, vendor), MEMBER(machine_hardware, TEXT, model),
	MEMBER(machine_hardware, TEXT, serial), MEMBER(machine_hardware, TEXT, hypervisor),
	MEMBER(machine_hardware, TEXT, tpm),	{0},
};

static const struct member machine_members[] = {
	MEMBER(machine, TEXT, name),
	MEMBER(machine, UNSIGNED, processors),
	MEMBER(machine, WIDE, memory_bytes),
	MEMBER(machine, TEXTS, dns),
	{0},
};

static json_t *strv_to_json(const struct strv *list)
{
	json_t *json = json_array();

	for (size_t i = 0; i < list->count; i++)
		json_array_append_new(json, json_string(list->items[i]));
	return json;
}

static void set_members(json_t *json, const struct member *members, const void *from)
{
	for (const struct member *member = members; member->name; member++) {
		const void *at = (const char *)from + member->offset;

		switch (member->type) {
		case TEXT:
			json_set_string(json, member->name, *(char *const *)at);
			break;
		case TEXTS:
			json_object_set_new(json, member->name, strv_to_json(at));
			break;
		case UNSIGNED:
			json_set_u64(json, member->name, *(const unsigned *)at);
			break;
		case WIDE:
			json_set_u64(json, member->name, *(const uint64_t *)at);
			break;
		case FLAG:
			json_set_bool(json, member->name, *(const int *)at);
			break;
		}
	}
}

static json_t *to_json(const struct member *members, const void *from)
{
	json_t *json = json_object();

	set_members(json, members, from);
	return json;
}

static json_t *array_to_json(const struct member *members, const void *items, size_t count, size_t item_bytes)
{
	json_t *json = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(json, to_json(members, (const char *)items + i * item_bytes));
	return json;
}

#define ARRAY_TO_JSON(members, items, count) array_to_json(members, items, count, sizeof *(items))

static json_t *disk_to_json(const struct machine_disk *disk)
{
	json_t *json = to_json(disk_members, disk);

	json_object_set_new(json, "partitions",
			    ARRAY_TO_JSON(partition_members, disk->partitions, disk->partition_count));
	return json;
}

json_t *machine_to_json(const struct machine *machine)
{
	json_t *json = json_object();
	json_t *disks = json_array();

	json_set_u64(json, "p2v_machine", MACHINE_JSON_VERSION);
	set_members(json, machine_members, machine);
	json_set_string(json, "firmware", firmware_name(machine->firmware));
	json_object_set_new(json, "secure_boot",
			    machine->secure_boot < 0 ? json_null() : json_boolean(machine->secure_boot));
	json_object_set_new(json, "hardware", to_json(hardware_members, &machine->hardware));
	json_object_set_new(json, "cpu", to_json(cpu_members, &machine->cpu));
	json_object_set_new(json, "os", to_json(os_members, &machine->os));
	for (size_t i = 0; i < machine->disk_count; i++)
		json_array_append_new(disks, disk_to_json(&machine->disks[i]));
	json_object_set_new(json, "disks", disks);
	json_object_set_new(json, "volumes",
			    ARRAY_TO_JSON(volume_members, machine->volumes, machine->volume_count));
	json_object_set_new(json, "nics", ARRAY_TO_JSON(nic_members, machine->nics, machine->nic_count));
	json_object_set_new(json, "routes",
			    ARRAY_TO_JSON(route_members, machine->routes, machine->route_count));
	return json;
}

static void strv_from_json(const json_t *json, struct strv *list)
{
	size_t index;
	json_t *member;

	json_array_foreach (json, index, member)
		if (json_is_string(member))
			strv_add(list, json_string_value(member));
}

static uint64_t number_of(const json_t *json)
{
	return json_is_integer(json) && json_integer_value(json) > 0 ? json_integer_value(json) : 0;
}

/* What is missing, or of another type, stays unset. */
static void get_members(const json_t *json, const struct member *members, void *to)
{
	for (const struct member *member = members; member->name; member++) {
		const json_t *value = json_object_get(json, member->name);
		void *at = (char *)to + member->offset;

		switch (member->type) {
		case TEXT:
			*(char **)at = xstrdup(json_string_value(value));
			break;
		case TEXTS:
			strv_from_json(value, at);
			break;
		case UNSIGNED:
			*(unsigned *)at = number_of(value);
			break;
		case WIDE:
			*(uint64_t *)at = number_of(value);
			break;
		case FLAG:
			*(int *)at = json_is_true(value);
			break;
		}
	}
}

static struct err *disk_from_json(const json_t *json, struct machine_disk *disk)
{
	size_t index;
	json_t *member;
	uint64_t size_bytes;

	TRY(json_get_u64(json, "size_bytes", &size_bytes));
	get_members(json, disk_members, disk);
	if (!disk->logical_sector_bytes)
		disk->logical_sector_bytes = 512;
	if (!disk->physical_sector_bytes)
		disk->physical_sector_bytes = 512;
	json_array_foreach (json_object_get(json, "partitions"), index, member)
		get_members(member, partition_members, machine_disk_add_partition(disk));
	return NULL;
}

static enum firmware firmware_from_name(const char *name)
{
	if (!strcmp(name, firmware_name(FIRMWARE_BIOS)))
		return FIRMWARE_BIOS;
	return strcmp(name, firmware_name(FIRMWARE_UEFI)) ? FIRMWARE_UNKNOWN : FIRMWARE_UEFI;
}

static void fill_lists(const json_t *json, struct machine *machine)
{
	size_t index;
	json_t *member;

	json_array_foreach (json_object_get(json, "volumes"), index, member)
		get_members(member, volume_members, machine_add_volume(machine));
	json_array_foreach (json_object_get(json, "nics"), index, member)
		get_members(member, nic_members, machine_add_nic(machine));
	json_array_foreach (json_object_get(json, "routes"), index, member)
		get_members(member, route_members, machine_add_route(machine));
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
	get_members(json, machine_members, machine);
	machine->firmware = firmware_from_name(json_string_or(json, "firmware", "unknown"));
	machine->secure_boot = json_is_boolean(secure_boot) ? json_is_true(secure_boot) : -1;
	get_members(json_object_get(json, "hardware"), hardware_members, &machine->hardware);
	get_members(json_object_get(json, "cpu"), cpu_members, &machine->cpu);
	get_members(json_object_get(json, "os"), os_members, &machine->os);
	json_array_foreach (json_object_get(json, "disks"), index, member)
		TRY(err_wrap(disk_from_json(member, machine_add_disk(machine)), "disk %zu", index));
	fill_lists(json, machine);
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
