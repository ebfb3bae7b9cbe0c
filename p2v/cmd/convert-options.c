/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/cmd/cmd.h"
#include "p2v/cmd/convert.h"
#include "p2v/cmd/received.h"

static const char *const format_names[] = {
	[OUTPUT_VHDX] = "vhdx",
	[OUTPUT_QCOW2] = "qcow2",
	[OUTPUT_RAW] = "raw",
	[OUTPUT_VMDK] = "vmdk",
};

const char *output_format_name(enum output_format format)
{
	return format_names[format];
}

static void print_help(void)
{
	fputs("p2v convert SOURCE... --out DIR [options]\n"
	      "\n"
	      "Makes the disks of one machine boot as a virtual machine.  SOURCE is a raw image, a VHDX,\n"
	      "VHD, qcow2 or vmdk file, a block device, or a complete job of 'p2v receive' (its folder);\n"
	      "it is only read.  The result is DIR/NAME.\n"
	      "\n"
	      "  --out DIR          where the result goes\n"
	      "  --name NAME        its name (default: the first source's)\n"
	      "  --to TARGETS       hyperv, kvm, vmware, xen or all, with commas between (default: hyperv)\n"
	      "  --format FORMAT    vhdx (default), qcow2, raw or vmdk\n"
	      "  --firmware F       keep (default), bios or uefi\n"
	      "  --mac NAME=MAC     the MAC address of a network interface; may be repeated\n"
	      "  --memory SIZE      the virtual machine's memory, and\n"
	      "  --processors N     processors, where the source cannot tell\n"
	      "  --dry-run          show every change as a diff with its reason; change nothing\n"
	      "  --in-place         change SOURCE itself; nothing is copied\n"
	      "  --json             the report on standard output, progress as JSON lines on standard error\n"
	      "  -v, --verbose      tell each step; -vv: all that libguestfs says, too\n",
	      stdout);
}

enum {
	OPT_OUT = 256,
	OPT_NAME,
	OPT_TO,
	OPT_FORMAT,
	OPT_FIRMWARE,
	OPT_MAC,
	OPT_MEMORY,
	OPT_PROCESSORS,
	OPT_DRY_RUN,
	OPT_IN_PLACE,
	OPT_JSON,
};

static const struct option long_options[] = {
	{"out", required_argument, NULL, OPT_OUT},
	{"name", required_argument, NULL, OPT_NAME},
	{"to", required_argument, NULL, OPT_TO},
	{"format", required_argument, NULL, OPT_FORMAT},
	{"firmware", required_argument, NULL, OPT_FIRMWARE},
	{"mac", required_argument, NULL, OPT_MAC},
	{"memory", required_argument, NULL, OPT_MEMORY},
	{"processors", required_argument, NULL, OPT_PROCESSORS},
	{"dry-run", no_argument, NULL, OPT_DRY_RUN},
	{"in-place", no_argument, NULL, OPT_IN_PLACE},
	{"json", no_argument, NULL, OPT_JSON},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

static struct err *parse_format(const char *text, enum output_format *ret_format)
{
	for (size_t i = 0; i < sizeof format_names / sizeof *format_names; i++) {
		if (!strcmp(text, format_names[i])) {
			*ret_format = i;
			return NULL;
		}
	}
	return err_advise(err_usage("'%s' is no format", text), "formats are vhdx, qcow2, raw and vmdk");
}

static struct err *parse_processors(const char *text, unsigned *ret_processors)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (end == text || *end || *text == '-' || !value || value > 2048)
		return err_advise(err_usage("--processors: '%s' is no number of processors", text),
				  "say a number from 1 to 2048");
	*ret_processors = value;
	return NULL;
}

static struct err *take_value(struct convert_options *options, int option)
{
	switch (option) {
	case OPT_OUT:
		options->out = optarg;
		return NULL;
	case OPT_NAME:
		free(options->name);
		options->name = xstrdup(optarg);
		return NULL;
	case OPT_TO:
		return targets_parse(optarg, &options->targets);
	case OPT_FORMAT:
		return parse_format(optarg, &options->format);
	case OPT_FIRMWARE:
		return cmd_parse_firmware(optarg, &options->firmware);
	case OPT_MAC:
		strv_add(&options->macs, optarg);
		return NULL;
	case OPT_MEMORY:
		return size_parse("--memory", optarg, &options->memory_bytes);
	default:
		return parse_processors(optarg, &options->processors);
	}
}

static struct err *take_option(void *arg, int option)
{
	struct convert_options *options = arg;

	switch (option) {
	case OPT_DRY_RUN:
		options->dry_run = true;
		return NULL;
	case OPT_IN_PLACE:
		options->in_place = true;
		return NULL;
	case OPT_JSON:
		options->json = true;
		return NULL;
	case 'v':
		options->verbose++;
		return NULL;
	default:
		return take_value(options, option);
	}
}

/* "/srv/images/web 1.img" gives "web 1"; what a file name should not hold becomes '-'. */
char *convert_name_from_path(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *name = xstrdup(slash ? slash + 1 : path);
	char *dot = strrchr(name, '.');

	if (dot && dot > name)
		*dot = '\0';
	for (char *c = name; *c; c++)
		if (strchr("\\:*?\"<>|", *c) || (unsigned char)*c < ' ')
			*c = '-';
	return name;
}

static struct err *check_name(const char *name)
{
	if (!*name || *name == '.' || strlen(name) > 100 || strpbrk(name, "/\\:*?\"<>|\n\r\t"))
		return err_advise(err_usage("'%s' is no name for a machine", name),
				  "use up to 100 letters, digits, spaces, '-', '_' and '.', not first");
	return NULL;
}

/* A received job as the source stands for its disks. */
static struct err *take_job(struct convert_options *options)
{
	CLEANUP_FREE char *folder = xstrdup(options->sources.items[0]), *name = NULL;
	CLEANUP_STRV struct strv files = {0};
	struct err *err;

	for (size_t i = 0; i < options->sources.count; i++)
		if (received_is_job(options->sources.items[i]) && options->sources.count > 1)
			return err_advise(
				err_usage("convert: %s is a whole machine: it cannot be combined with "
					  "other sources",
					  options->sources.items[i]),
				"convert it alone");
	if (!received_is_job(folder))
		return NULL;
	if (options->in_place)
		return err_advise(
			err_refused("%s: what was received is not changed: the next 'p2v send' builds "
				    "on it",
				    folder),
			"name a folder for the result with --out");
	TRY(received_list_disks(folder, &files, &name));
	err = received_read_machine(folder, NULL, &options->received);
	if (err && err_errno(err) != ENOENT)
		return err;
	err_free(err);
	if (!options->name)
		options->name = take_ptr(name);
	strv_deinit(&options->sources);
	options->sources = files;
	files = (struct strv){0};
	return NULL;
}

static struct err *check_combination(struct convert_options *options)
{
	if (!options->sources.count)
		return err_advise(err_usage("convert: no source given"),
				  "say for example: p2v convert server.img --out vms");
	if (options->in_place && options->out)
		return err_advise(err_usage("convert: --in-place and --out exclude each other"),
				  "with --in-place the source itself becomes the result");
	if (options->in_place && options->format != OUTPUT_VHDX)
		return err_advise(err_usage("convert: --in-place keeps the source's format"),
				  "leave --format out");
	if (!options->in_place && !options->dry_run && !options->out)
		return err_advise(err_usage("convert: --out is missing"),
				  "name the folder for the result, for example --out vms");
	TRY(take_job(options));
	if (!options->name)
		options->name = convert_name_from_path(options->sources.items[0]);
	return check_name(options->name);
}

struct err *convert_options_parse(int argc, char **argv, struct convert_options *options, bool *ret_help)
{
	options->targets = TARGET_HYPERV;
	TRY(cmd_take_options(argc, argv, long_options, take_option, options, print_help, ret_help));
	if (*ret_help)
		return NULL;
	for (; optind < argc; optind++)
		strv_add(&options->sources, argv[optind]);
	return check_combination(options);
}

void convert_options_deinit(struct convert_options *options)
{
	strv_deinit(&options->sources);
	strv_deinit(&options->macs);
	machine_deinit(&options->received);
	free(options->name);
}
