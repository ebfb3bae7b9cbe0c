/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "capture/stack.h"

#include <string.h>

/* No stack is deeper than the number of volumes, so a recording that goes round ends too. */
static bool stands_on(const struct machine *machine, const char *device, const char *below, size_t depth)
{
	if (!strcmp(device, below))
		return true;
	for (size_t i = 0; i < machine->volume_count && depth; i++) {
		const struct machine_volume *volume = &machine->volumes[i];

		if (strcmp(volume->device, device))
			continue;
		for (size_t k = 0; k < volume->on.count; k++)
			if (stands_on(machine, volume->on.items[k], below, depth - 1))
				return true;
	}
	return false;
}

static bool is_above(const struct machine *machine, const char *device, const char *below)
{
	return stands_on(machine, device, below, machine->volume_count);
}

static bool is_above_whole(const struct machine *machine, const struct machine_disk *disk, const char *device)
{
	if (is_above(machine, device, disk->source))
		return true;
	for (size_t i = 0; i < disk->paths.count; i++)
		if (is_above(machine, device, disk->paths.items[i]))
			return true;
	return false;
}

bool stack_is_on(const struct machine *machine, const struct machine_disk *disk, const char *device)
{
	if (is_above_whole(machine, disk, device))
		return true;
	for (size_t i = 0; i < disk->partition_count; i++)
		if (disk->partitions[i].device && is_above(machine, device, disk->partitions[i].device))
			return true;
	return false;
}

static void add_all(struct strv *list, const struct strv *more)
{
	for (size_t i = 0; i < more->count; i++)
		if (!strv_has(list, more->items[i]))
			strv_add(list, more->items[i]);
}

void stack_uses(const struct machine *machine, const struct machine_disk *disk, struct strv *ret_uses)
{
	add_all(ret_uses, &disk->uses);
	for (size_t i = 0; i < disk->partition_count; i++)
		add_all(ret_uses, &disk->partitions[i].uses);
	for (size_t i = 0; i < machine->volume_count; i++)
		if (stack_is_on(machine, disk, machine->volumes[i].device))
			add_all(ret_uses, &machine->volumes[i].uses);
}

static bool changes(const struct strv *uses)
{
	for (size_t i = 0; i < uses->count; i++)
		if (!str_ends_with(uses->items[i], " (read-only)"))
			return true;
	return false;
}

static bool partition_changes(const struct machine *machine, const struct machine_partition *partition)
{
	if (changes(&partition->uses))
		return true;
	for (size_t i = 0; partition->device && i < machine->volume_count; i++)
		if (changes(&machine->volumes[i].uses) &&
		    is_above(machine, machine->volumes[i].device, partition->device))
			return true;
	return false;
}

static bool whole_changes(const struct machine *machine, const struct machine_disk *disk)
{
	if (changes(&disk->uses))
		return true;
	for (size_t i = 0; i < machine->volume_count; i++)
		if (changes(&machine->volumes[i].uses) &&
		    is_above_whole(machine, disk, machine->volumes[i].device))
			return true;
	return false;
}

void stack_in_use(const struct machine *machine, const struct machine_disk *disk, struct extents *ret_set)
{
	if (whole_changes(machine, disk))
		extents_add(ret_set, 0, disk->size_bytes);
	for (size_t i = 0; i < disk->partition_count; i++)
		if (partition_changes(machine, &disk->partitions[i]))
			extents_add(ret_set, disk->partitions[i].start_bytes,
				    disk->partitions[i].start_bytes + disk->partitions[i].size_bytes);
}

void stack_take_used(const struct machine *machine, const struct machine_disk *disk, struct blk *blk,
		     struct usedmap *ret_map)
{
	CLEANUP_EXTENTS struct extents in_use = {0};
	struct usedmap_options options = {.in_use = &in_use, .gap_bytes = STACK_GAP_BYTES};

	if (disk)
		stack_in_use(machine, disk, &in_use);
	usedmap_take(blk, &options, ret_map);
}
