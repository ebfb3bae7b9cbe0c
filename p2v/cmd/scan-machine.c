/* SPDX-License-Identifier: GPL-3.0-or-later */
/* p2v scan without a source: this machine, which of its disks a capture takes, and what to know before. */
#include "p2v/cmd/scan.h"

#include <stdio.h>
#include <unistd.h>

#include "capture/discover.h"
#include "capture/layout.h"
#include "capture/stack.h"
#include "capture/usedmap.h"
#include "p2v/base/mem.h"
#include "p2v/cmd/cmd.h"
#include "p2v/cmd/scan-tracking.h"

static const char *or_dash(const char *text)
{
	return text ? text : "-";
}

static void print_list(const char *before, const struct strv *list)
{
	for (size_t i = 0; i < list->count; i++)
		printf("%s%s", i ? ", " : before, list->items[i]);
}

static void print_hardware(const struct machine *machine)
{
	const struct machine_hardware *hardware = &machine->hardware;
	char size[FORMAT_BYTES];

	printf("machine: %s, %s %s, serial number %s%s%s\n", or_dash(machine->os.hostname),
	       or_dash(hardware->vendor), or_dash(hardware->model), or_dash(hardware->serial),
	       hardware->hypervisor ? ", on " : "", hardware->hypervisor ? hardware->hypervisor : "");
	printf("system: %s, %s\n", or_dash(machine->os.name), or_dash(machine->os.arch));
	printf("firmware: %s, Secure Boot %s, %s%s\n", machine->firmware == FIRMWARE_UEFI ? "UEFI" : "BIOS",
	       machine->secure_boot < 0 ? "unknown"
	       : machine->secure_boot	? "on"
					: "off",
	       hardware->tpm ? "TPM " : "no TPM", hardware->tpm ? hardware->tpm : "");
	printf("processors: %u (%u sockets, %u cores), %s\n", machine->processors, machine->cpu.sockets,
	       machine->cpu.cores, or_dash(machine->cpu.model));
	printf("memory: %s\n", format_size(machine->memory_bytes, size));
}

static void print_partition(const struct machine_partition *partition)
{
	char size[FORMAT_BYTES];

	printf("  %2u  %10s  %-12s %s", partition->number, format_size(partition->size_bytes, size),
	       or_dash(partition->content), partition->label ? partition->label : "");
	print_list(partition->label ? ", in use: " : "in use: ", &partition->uses);
	putchar('\n');
}

static void print_disk(const struct machine_disk *disk, const struct layout_disk *choice)
{
	char size[FORMAT_BYTES];

	printf("\n%s: %s, %s, %s, serial number %s%s%s\n", disk->source, format_size(disk->size_bytes, size),
	       or_dash(disk->transport), or_dash(disk->model), or_dash(disk->serial),
	       disk->is_removable ? ", removable" : "", disk->is_read_only ? ", read-only" : "");
	print_list("  paths: ", &disk->paths);
	if (disk->paths.count)
		putchar('\n');
	if (!choice->is_taken) {
		printf("  left out: %s\n", choice->why_not);
		return;
	}
	printf("  taken; sectors of %u bytes, %s\n", disk->logical_sector_bytes,
	       disk->table     ? disk->table
	       : disk->content ? disk->content
			       : "no partition table");
	for (size_t i = 0; i < disk->partition_count; i++)
		print_partition(&disk->partitions[i]);
}

static void print_volume(const struct machine_volume *volume)
{
	char size[FORMAT_BYTES];

	printf("%s: %s, %s, %s", volume->device, volume->kind, format_size(volume->size_bytes, size),
	       or_dash(volume->content));
	print_list(", on ", &volume->on);
	print_list(", in use: ", &volume->uses);
	putchar('\n');
}

static void print_nic(const struct machine_nic *nic)
{
	printf("interface %s: %s, %s", nic->name, nic->kind ? nic->kind : or_dash(nic->driver),
	       or_dash(nic->mac));
	if (nic->vlan)
		printf(", VLAN %u", nic->vlan);
	if (nic->lower)
		printf(" on %s", nic->lower);
	if (nic->master)
		printf(", part of %s", nic->master);
	print_list(", ", &nic->addresses);
	putchar('\n');
}

static void print_network(const struct machine *machine)
{
	for (size_t i = 0; i < machine->nic_count; i++)
		print_nic(&machine->nics[i]);
	for (size_t i = 0; i < machine->route_count; i++)
		if (machine->routes[i].gateway)
			printf("route %s by %s on %s\n", machine->routes[i].destination,
			       machine->routes[i].gateway, machine->routes[i].interface);
	print_list("name servers: ", &machine->dns);
	if (machine->dns.count)
		putchar('\n');
}

static void print_findings(const struct layout *layout)
{
	if (layout->finding_count)
		putchar('\n');
	for (size_t i = 0; i < layout->finding_count; i++) {
		const struct layout_finding *finding = &layout->findings[i];

		printf("%s: %s\n", finding_level_name(finding->level), finding->text);
		if (finding->advice)
			printf("  %s\n", finding->advice);
	}
}

static void print_used(const char *source, const struct usedmap *map)
{
	char size[FORMAT_BYTES], used[FORMAT_BYTES];

	printf("\nused of %s:\n", source);
	for (size_t i = 0; i < map->piece_count; i++) {
		const struct usedmap_piece *piece = &map->pieces[i];

		printf("  %*s%s, %s: %s of %s%s%s\n", 2 * piece->depth, "",
		       piece->label ? piece->label : "disk", or_dash(piece->kind),
		       format_size(piece->used_bytes, used), format_size(piece->size_bytes, size),
		       piece->doubt ? ": " : "", piece->doubt ? piece->doubt : "");
	}
}

static json_t *used_to_json(const char *source, const struct usedmap *map)
{
	json_t *json = json_object(), *pieces = json_array();

	json_set_string(json, "source", source);
	json_set_u64(json, "used_bytes", extents_total_bytes(&map->used));
	for (size_t i = 0; i < map->piece_count; i++) {
		const struct usedmap_piece *piece = &map->pieces[i];
		json_t *item = json_object();

		json_set_u64(item, "depth", piece->depth);
		json_set_string(item, "label", piece->label);
		json_set_string(item, "kind", piece->kind);
		json_set_u64(item, "size_bytes", piece->size_bytes);
		json_set_u64(item, "used_bytes", piece->used_bytes);
		json_set_string(item, "doubt", piece->doubt);
		json_array_append_new(pieces, item);
	}
	json_object_set_new(json, "pieces", pieces);
	return json;
}

static struct err *take_used(const struct machine *machine, const struct machine_disk *disk, const char *root,
			     struct usedmap *ret_map)
{
	CLEANUP_FREE char *path = xasprintf("%s%s", root ? root : "", disk->source);
	CLEANUP_BLK struct blk *blk = NULL;

	TRY(err_advise(blk_file_open(path, 0, 0, &blk),
		       geteuid() ? "run p2v as root" : "see that the disk is connected"));
	stack_take_used(machine, disk, blk, ret_map);
	return NULL;
}

static void tell_unreadable(const char *source, const struct err *err, json_t *array)
{
	json_t *json;

	if (!array) {
		printf("\nused of %s:\n  cannot be read: %s\n", source, err_message(err));
		if (err_advice(err))
			printf("  %s\n", err_advice(err));
		return;
	}
	json = json_object();
	json_set_string(json, "source", source);
	json_set_string(json, "error", err_message(err));
	json_set_string(json, "advice", err_advice(err));
	json_array_append_new(array, json);
}

/* Of every taken disk: into the array if there is one, else printed. */
static struct err *tell_used(const struct machine *machine, const struct layout *layout, const char *root,
			     json_t *array)
{
	size_t taken = 0, unreadable = 0;

	for (size_t i = 0; i < machine->disk_count; i++) {
		CLEANUP_USEDMAP struct usedmap map = {0};
		CLEANUP_ERR struct err *err = NULL;
		const char *source = machine->disks[i].source;

		if (!layout->disks[i].is_taken)
			continue;
		taken++;
		err = take_used(machine, &machine->disks[i], root, &map);
		if (err)
			unreadable++;
		if (err)
			tell_unreadable(source, err, array);
		else if (array)
			json_array_append_new(array, used_to_json(source, &map));
		else
			print_used(source, &map);
	}
	if (!unreadable)
		return NULL;
	return err_advise(err_failed("scan: %zu of %zu disks cannot be read", unreadable, taken),
			  "what is told of each of them says why");
}

static struct err *print_json(const struct machine *machine, const struct layout *layout,
			      const struct scan_options *options)
{
	CLEANUP_JSON json_t *json = machine_to_json(machine);
	struct err *err = NULL;

	json_object_set_new(json, "layout", layout_to_json(layout));
	if (!options->sysroot)
		json_object_set_new(json, "tracking", scan_tracking_to_json(machine, layout));
	if (options->used) {
		json_t *used = json_array();

		json_object_set_new(json, "used", used);
		err = tell_used(machine, layout, options->sysroot, used);
	}
	if (json_dumpf(json, stdout, JSON_INDENT(2)))
		return err_first(err, err_failed("cannot write to standard output"));
	putchar('\n');
	return err;
}

static void print_machine(const struct machine *machine, const struct layout *layout)
{
	print_hardware(machine);
	for (size_t i = 0; i < machine->disk_count; i++)
		print_disk(&machine->disks[i], &layout->disks[i]);
	if (machine->volume_count)
		putchar('\n');
	for (size_t i = 0; i < machine->volume_count; i++)
		print_volume(&machine->volumes[i]);
	putchar('\n');
	print_network(machine);
	print_findings(layout);
}

struct err *scan_machine(const struct scan_options *options)
{
	CLEANUP_MACHINE struct machine machine = {0};
	CLEANUP_LAYOUT struct layout layout = {0};

	TRY(discover_machine(options->sysroot ? options->sysroot : "", &machine));
	TRY(layout_choose(&machine, NULL, &layout));
	if (options->json)
		return print_json(&machine, &layout, options);
	print_machine(&machine, &layout);
	if (!options->sysroot)
		scan_print_tracking(&machine, &layout);
	return options->used ? tell_used(&machine, &layout, options->sysroot, NULL) : NULL;
}
