/* SPDX-License-Identifier: GPL-3.0-or-later */
/* p2v scan IMAGE|DEVICE...: what the disks of one machine hold, and what a conversion of them would meet. */
#include <stdio.h>

#include "p2v/base/mem.h"
#include "p2v/cmd/cmd.h"
#include "p2v/cmd/convert.h"
#include "p2v/cmd/scan.h"

static void print_disk(const struct machine_disk *disk)
{
	char size[FORMAT_BYTES];

	printf("disk %s: %s, sectors of %u bytes, %s\n", disk->source, format_size(disk->size_bytes, size),
	       disk->logical_sector_bytes, disk->table ? disk->table : "no partition table");
	for (size_t i = 0; i < disk->partition_count; i++) {
		const struct machine_partition *partition = &disk->partitions[i];

		printf("  %2u  %10s  %-12s %s%s%s\n", partition->number,
		       format_size(partition->size_bytes, size),
		       partition->content ? partition->content : "-", partition->uuid ? partition->uuid : "",
		       partition->label ? "  " : "", partition->label ? partition->label : "");
	}
}

static void print_system(const struct session *session)
{
	static const char *const loaders[] = {
		[BOOT_LOADER_NONE] = "no boot loader known to p2v",
		[BOOT_LOADER_GRUB2] = "GRUB 2",
		[BOOT_LOADER_GRUB_LEGACY] = "GRUB legacy",
		[BOOT_LOADER_SYSTEMD_BOOT] = "systemd-boot",
		[BOOT_LOADER_EXTLINUX] = "extlinux",
	};
	const struct inspection *inspection = &session->inspection;

	printf("system: %s, %s, host name %s\n", inspection->os.name, inspection->os.arch,
	       inspection->os.hostname ? inspection->os.hostname : "not set");
	printf("boots by %s, %s\n", inspection->boot.firmware == FIRMWARE_UEFI ? "UEFI" : "BIOS",
	       loaders[inspection->boot.loader]);
	for (size_t i = 0; i < inspection->kernel_count; i++)
		printf("kernel %s%s\n", inspection->kernels[i].version,
		       inspection->kernels[i].initramfs ? "" : ", without initramfs");
	for (size_t i = 0; i < inspection->interface_count; i++) {
		const struct guest_interface *interface = &inspection->interfaces[i];

		if (!interface->is_physical)
			continue;
		printf("interface %s%s%s", interface->name, interface->mac ? ", MAC " : "",
		       interface->mac ? interface->mac : "");
		for (size_t k = 0; k < interface->addresses.count; k++)
			printf(", %s", interface->addresses.items[k]);
		printf(" (%s)\n", interface->defined_in);
	}
}

/* machine.json, and what a conversion would change and should tell. */
static struct err *print_json(const struct conversion *conversion)
{
	CLEANUP_JSON json_t *json = machine_to_json(&conversion->session.machine);

	json_object_update(json, conversion->changes);
	if (json_dumpf(json, stdout, JSON_INDENT(2)))
		return err_failed("cannot write to standard output");
	putchar('\n');
	return NULL;
}

static void print_plan(const struct conversion *conversion)
{
	size_t changes = json_array_size(json_object_get(conversion->changes, "changes"));

	convert_print_findings(conversion);
	printf("p2v convert can take it; it would make %zu change%s, which its --dry-run shows\n", changes,
	       changes == 1 ? "" : "s");
}

/* A plan is made as for a conversion, so that all that would stop one is met. */
struct err *scan_images(const struct strv *sources, const struct scan_options *options)
{
	struct log log = cmd_log(options->verbose);
	CLEANUP_FREE char *name = convert_name_from_path(sources->items[0]);
	struct convert_options convert = {
		.name = name,
		.targets = options->targets ? options->targets : TARGET_HYPERV,
	};
	CLEANUP_CONVERSION struct conversion conversion = {.options = &convert, .log = &log};
	struct session *session = &conversion.session;
	struct err *err;

	TRY(scratch_create(cmd_temporary_dir(), "p2v-scan", &conversion.temporary));
	TRY(session_open(sources, scratch_path(conversion.temporary), 0, &log, session));
	err = session_inspect(session);
	if (!options->json)
		for (size_t i = 0; i < session->machine.disk_count; i++)
			print_disk(&session->machine.disks[i]);
	if (err)
		return err;
	if (!options->json)
		print_system(session);
	TRY(convert_make_plan(&conversion));
	if (options->json)
		return print_json(&conversion);
	print_plan(&conversion);
	return NULL;
}
