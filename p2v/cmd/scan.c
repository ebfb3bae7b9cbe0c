/* SPDX-License-Identifier: GPL-3.0-or-later */
/* p2v scan: what disks hold, and what would stop their conversion; without a source, this machine. */
#include <stdio.h>

#include "p2v/base/mem.h"
#include "p2v/cmd/cmd.h"
#include "p2v/cmd/scan-machine.h"
#include "p2v/cmd/session.h"

struct scan_options {
	const struct strv *sources;
	const char *sysroot;
	bool json, used;
	unsigned verbose;
};

enum { OPT_SYSROOT = 256 };

static const struct option long_options[] = {
	{"json", no_argument, NULL, 'j'},
	{"used", no_argument, NULL, 'u'},
	{"sysroot", required_argument, NULL, OPT_SYSROOT},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

static void print_help(void)
{
	fputs("p2v scan [options]\n"
	      "p2v scan IMAGE|DEVICE... [options]\n"
	      "\n"
	      "Without a source: this machine, its disks, which of them a capture takes and why not the\n"
	      "others, and what to know before. Otherwise looks into the disks of one machine: its system,\n"
	      "kernels, boot loader, partitions, network, and what would stop a conversion. Reads only.\n"
	      "\n"
	      "  --json         machine.json and more on standard output\n"
	      "  --used         also how much of each disk of this machine holds data\n"
	      "  --sysroot DIR  the machine whose /sys, /proc, /dev and /etc, or copies of them, are below "
	      "DIR\n"
	      "  -v, --verbose  tell each step; -vv: all that libguestfs says, too\n",
	      stdout);
}

static void print_disk(const struct machine_disk *disk)
{
	char size[CMD_SIZE_TEXT_BYTES];

	printf("disk %s: %s, sectors of %u bytes, %s\n", disk->source,
	       cmd_format_size(disk->size_bytes, size), disk->logical_sector_bytes,
	       disk->table ? disk->table : "no partition table");
	for (size_t i = 0; i < disk->partition_count; i++) {
		const struct machine_partition *partition = &disk->partitions[i];

		printf("  %2u  %10s  %-12s %s%s%s\n", partition->number,
		       cmd_format_size(partition->size_bytes, size),
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
	for (size_t i = 0; i < inspection->leftover_count; i++)
		printf("note: %s is of no use on a virtual machine: %s\n", inspection->leftovers[i].name,
		       inspection->leftovers[i].why);
}

static struct err *print_json(const struct session *session)
{
	CLEANUP_JSON json_t *json = machine_to_json(&session->machine);

	if (json_dumpf(json, stdout, JSON_INDENT(2)))
		return err_failed("cannot write to standard output");
	putchar('\n');
	return NULL;
}

static struct err *scan(const struct scan_options *options)
{
	struct log log = cmd_log(options->verbose);
	CLEANUP_SCRATCH struct scratch *work = NULL;
	CLEANUP_SESSION struct session session = {0};
	struct err *err;

	TRY(scratch_create(cmd_temporary_dir(), "p2v-scan", &work));
	TRY(session_open(options->sources, scratch_path(work), 0, &log, &session));
	err = session_inspect(&session);
	if (options->json && !err)
		return print_json(&session);
	for (size_t i = 0; i < session.machine.disk_count; i++)
		print_disk(&session.machine.disks[i]);
	if (err)
		return err;
	print_system(&session);
	puts("p2v convert can take it");
	return NULL;
}

static struct err *take_option(void *arg, int option)
{
	struct scan_options *options = arg;

	if (option == OPT_SYSROOT)
		options->sysroot = optarg;
	options->json |= option == 'j';
	options->used |= option == 'u';
	options->verbose += option == 'v';
	return NULL;
}

struct err *cmd_scan(int argc, char **argv)
{
	CLEANUP_STRV struct strv sources = {0};
	struct scan_options options = {0};
	bool help = false;

	TRY(cmd_take_options(argc, argv, long_options, take_option, &options, print_help, &help));
	if (help)
		return NULL;
	for (; optind < argc; optind++)
		strv_add(&sources, argv[optind]);
	if (!sources.count)
		return scan_machine(options.sysroot ? options.sysroot : "",
				    (options.json ? SCAN_JSON : 0) | (options.used ? SCAN_USED : 0));
	if (options.used || options.sysroot)
		return err_advise(err_usage("scan: --used and --sysroot are about this machine"),
				  "leave them out, or leave the names of images and devices out");
	options.sources = &sources;
	return scan(&options);
}
