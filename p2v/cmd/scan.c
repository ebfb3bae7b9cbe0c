/* SPDX-License-Identifier: GPL-3.0-or-later */
/* p2v scan: without a source this machine, else images and devices. */
#include <stdio.h>

#include "p2v/cmd/cmd.h"
#include "p2v/cmd/scan.h"

enum { OPT_SYSROOT = 256, OPT_TO };

static const struct option long_options[] = {
	{"json", no_argument, NULL, 'j'},
	{"used", no_argument, NULL, 'u'},
	{"sysroot", required_argument, NULL, OPT_SYSROOT},
	{"to", required_argument, NULL, OPT_TO},
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
	      "  --to TARGETS   what a conversion for them would meet: hyperv (default), kvm, vmware, xen, "
	      "all\n"
	      "  --used         also how much of each disk of this machine holds data\n"
	      "  --sysroot DIR  the machine whose /sys, /proc, /dev and /etc, or copies of them, are below "
	      "DIR\n"
	      "  -v, --verbose  tell each step; -vv: all that libguestfs says, too\n",
	      stdout);
}

static struct err *take_option(void *arg, int option)
{
	struct scan_options *options = arg;

	if (option == OPT_TO)
		return targets_parse(optarg, &options->targets);
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
	if (!sources.count && options.targets)
		return err_advise(err_usage("scan: --to is about images"),
				  "name the disks of the machine that is to be converted");
	if (!sources.count)
		return scan_machine(&options);
	if (options.used || options.sysroot)
		return err_advise(err_usage("scan: --used and --sysroot are about this machine"),
				  "leave them out, or leave the names of images and devices out");
	return scan_images(&sources, &options);
}
