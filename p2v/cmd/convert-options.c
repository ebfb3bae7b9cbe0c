/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/cmd/cmd.h"
#include "p2v/cmd/convert.h"
#include "p2v/cmd/received.h"
#include "p2v/sync/checkpoint.h"

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
	      "  --wait             of a job that is still being received: get ready, and wait for its "
	      "cutover\n"
	      "  --rehearse         of a job that is still being received: convert a copy, and throw it "
	      "away\n"
	      "  --prove            and boot it first, in no network\n"
	      "  --take-held        complete a job that is held: its server is off, and stays so\n"
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
	OPT_TAKE_HELD,
	OPT_REHEARSE,
	OPT_PROVE,
	OPT_WAIT,
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
	{"take-held", no_argument, NULL, OPT_TAKE_HELD},
	{"rehearse", no_argument, NULL, OPT_REHEARSE},
	{"prove", no_argument, NULL, OPT_PROVE},
	{"wait", no_argument, NULL, OPT_WAIT},
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
	case OPT_TAKE_HELD:
		options->take_held = true;
		return NULL;
	case OPT_REHEARSE:
		options->rehearse = true;
		return NULL;
	case OPT_PROVE:
		options->prove = true;
		return NULL;
	case OPT_WAIT:
		options->wait = true;
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

static struct err *check_job_alone(const struct convert_options *options)
{
	for (size_t i = 0; i < options->sources.count; i++)
		if (received_is_job(options->sources.items[i]) && options->sources.count > 1)
			return err_advise(
				err_usage("convert: %s is a whole machine: it cannot be combined with "
					  "other sources",
					  options->sources.items[i]),
				"convert it alone");
	return NULL;
}

/* What a received job tells, whose disks are not wanted yet for a rehearsal, or where it is waited for. */
static struct err *read_job(struct convert_options *options)
{
	CLEANUP_CHECKPOINT struct checkpoint job = {0};
	CLEANUP_STRV struct strv files = {0};
	struct log log = cmd_log(options->verbose);
	struct err *err;

	if (options->take_held)
		TRY(received_take_held(options->job, &log));
	TRY(checkpoint_load(options->job, &job));
	if (!options->rehearse && !options->wait)
		TRY(received_list_disks(options->job, &files));
	err = received_read_machine(options->job, NULL, &options->received);
	if (err && err_errno(err) != ENOENT)
		return err;
	err_free(err);
	if (!options->name)
		options->name = xstrdup(job.name);
	strv_deinit(&options->sources);
	options->sources = files;
	files = (struct strv){0};
	return NULL;
}

/* A received job as the source stands for its disks. */
static struct err *take_job(struct convert_options *options)
{
	TRY(check_job_alone(options));
	if (!received_is_job(options->sources.items[0]))
		return NULL;
	if (options->in_place)
		return err_advise(
			err_refused("%s: what was received is not changed: the next 'p2v send' builds "
				    "on it",
				    options->sources.items[0]),
			"name a folder for the result with --out");
	options->job = xstrdup(options->sources.items[0]);
	return read_job(options);
}

/* What is for a job that need not be complete. */
static struct err *check_unfinished(const struct convert_options *options)
{
	if (options->prove && !options->rehearse)
		return err_advise(err_usage("convert: --prove is for a rehearsal"),
				  "say --rehearse, too; what was converted, 'p2v prove' proves");
	if ((options->rehearse || options->wait) &&
	    (options->dry_run || options->in_place || options->take_held ||
	     (options->rehearse && options->wait)))
		return err_advise(
			err_usage("convert: --rehearse, --wait, --dry-run, --in-place and --take-held "
				  "exclude each other"),
			"rehearse first, then wait for the cutover");
	if ((options->rehearse || options->wait) && !received_is_job(options->sources.items[0]))
		return err_advise(
			err_usage("convert: --rehearse and --wait are for a job of 'p2v receive', and "
				  "%s is none",
				  options->sources.items[0]),
			"name the job's folder, which is there when its sender has begun");
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
	if (!options->in_place && !options->dry_run && !options->rehearse && !options->out)
		return err_advise(err_usage("convert: --out is missing"),
				  "name the folder for the result, for example --out vms");
	if (options->take_held && (options->dry_run || !received_is_job(options->sources.items[0])))
		return err_advise(err_usage("convert: --take-held is for a job, which it completes"),
				  "name the folder of the job alone, without --dry-run");
	TRY(check_unfinished(options));
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
	free(options->job);
}
