/* SPDX-License-Identifier: GPL-3.0-or-later */
/* p2v vhdx: its commands, and what they share. */
#include "p2v/cmd/vhdx.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "p2v/base/json.h"
#include "p2v/base/mem.h"
#include "p2v/base/strv.h"

/* Each thread has a few MiB of buffers. */
#define MAX_THREADS 256u

static const struct verb commands[] = {
	{"info", "FILE [--json]", "tell what a disk image is", vhdx_cmd_info},
	{"check", "FILE [--json]", "look for damage", vhdx_cmd_check},
	{"map", "FILE [--json]", "tell what is where", vhdx_cmd_map},
	{"create", "FILE --size SIZE|--parent P", "make an empty disk image, or one over another",
	 vhdx_cmd_create},
	{"convert", "SRC DST [options]", "copy a disk image into another format", vhdx_cmd_convert},
	{"compare", "A B [--json]", "tell whether two disk images hold the same", vhdx_cmd_compare},
	{"commit", "CHILD [--remove]", "merge a differencing VHDX into its parent", vhdx_cmd_commit},
	{"resize", "FILE SIZE [--json]", "make the disk in a VHDX larger", vhdx_cmd_resize},
	{"repair", "FILE [--dry-run] [options]", "put a damaged VHDX right", vhdx_cmd_repair},
};

struct err *cmd_vhdx(int argc, char **argv)
{
	static const struct command_group group = {
		.name = "vhdx",
		.summary = "p2v vhdx works on disk images: VHDX, VHD and raw ones, by their content.",
		.commands = commands,
		.count = sizeof commands / sizeof *commands,
	};

	return cmd_run_command(&group, argc, argv);
}

struct err *vhdx_check_arguments(int argc, char **argv, int count, const char *wanted)
{
	if (argc - optind == count)
		return NULL;
	return err_advise(argc - optind > count ? err_usage("%s: '%s' is one argument too many", argv[0],
							    argv[optind + count])
						: err_usage("%s: %s missing", argv[0], wanted),
			  "'p2v %s --help' tells what goes where", argv[0]);
}

static struct err *take_look_option(void *arg, int option)
{
	struct look_options *options = arg;

	options->json |= option == 'j';
	options->verbose |= option == 'v';
	return NULL;
}

struct err *vhdx_take_look_options(int argc, char **argv, void (*print_help)(void),
				   struct look_options *ret_options, bool *ret_help)
{
	static const struct option long_options[] = {
		{"json", no_argument, NULL, 'j'},
		{"verbose", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};

	TRY(cmd_take_options(argc, argv, long_options, take_look_option, ret_options, print_help, ret_help));
	if (*ret_help)
		return NULL;
	TRY(vhdx_check_arguments(argc, argv, 1, "the image is"));
	ret_options->file = argv[optind];
	return NULL;
}

struct err *vhdx_take_threads(unsigned *ret_threads)
{
	uint64_t threads;

	TRY(size_parse("--threads", optarg, &threads));
	if (!threads || threads > MAX_THREADS)
		return err_advise(err_usage("--threads: '%s' is no such number", optarg),
				  "say a number from 1 to %u", MAX_THREADS);
	*ret_threads = threads;
	return NULL;
}

static struct err *take_size(const char *what, uint32_t *ret_bytes)
{
	uint64_t bytes;

	TRY(size_parse(what, optarg, &bytes));
	if (!bytes || bytes > UINT32_MAX)
		return err_advise(err_usage("%s: '%s' is no such size", what, optarg),
				  "'man p2v-vhdx' lists them");
	*ret_bytes = bytes;
	return NULL;
}

struct err *vhdx_take_make_option(struct make_options *options, int option)
{
	switch (option) {
	case OPT_FORMAT:
		options->format = optarg;
		break;
	case OPT_BLOCK_SIZE:
		return take_size("--block-size", &options->image.block_bytes);
	case OPT_SECTOR_SIZE:
		return take_size("--sector-size", &options->image.logical_sector_bytes);
	case OPT_FIXED:
		options->image.fixed = true;
		break;
	}
	return NULL;
}

/* What is made here, by the name of the format or the extension of a file. */
static const struct {
	const char *name;
	enum image_format format;
} formats[] = {
	{"vhdx", IMAGE_VHDX}, {"vhd", IMAGE_VHD}, {"vpc", IMAGE_VHD}, {"raw", IMAGE_RAW},
	{"img", IMAGE_RAW},   {"dd", IMAGE_RAW},  {"bin", IMAGE_RAW},
};

static struct err *find_format(const char *asked, const char *path, enum image_format *ret_format)
{
	const char *slash = strrchr(path, '/');
	const char *dot = strrchr(slash ? slash : path, '.');
	const char *name = asked ? asked : dot ? dot + 1 : "";

	for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
		if (!strcasecmp(name, formats[i].name)) {
			*ret_format = formats[i].format;
			return NULL;
		}
	}
	return err_advise(asked ? err_usage("'%s' is no format that p2v vhdx makes", asked)
				: err_usage("%s: its name does not tell its format", path),
			  "say --format vhdx, vhd or raw");
}

struct err *vhdx_choose_format(struct make_options *options, const char *path)
{
	struct stat st;

	if (!str_ends_with(path, "/") && !stat(path, &st) && S_ISDIR(st.st_mode))
		return err_advise(err_refused("%s: is a folder", path), "name the file to make in it");
	TRY(find_format(options->format, path, &options->image.format));
	if (options->image.format == IMAGE_RAW && options->image.block_bytes)
		return err_advise(err_usage("--block-size: a raw image has no blocks"), "leave it out");
	if (options->image.format != IMAGE_VHDX && options->image.logical_sector_bytes)
		return err_advise(err_usage("--sector-size: only a VHDX can tell the size of its sectors"),
				  "leave it out, or say --format vhdx");
	return NULL;
}

struct err *vhdx_print_json(json_t *value)
{
	CLEANUP_JSON json_t *owned = value;

	if (json_dumpf(owned, stdout, JSON_INDENT(2)))
		return err_advise(err_failed("cannot write to standard output"), "is the disk full?");
	putchar('\n');
	return NULL;
}
