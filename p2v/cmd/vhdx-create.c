/* SPDX-License-Identifier: GPL-3.0-or-later */
/* p2v vhdx create: an empty disk image. */
#include <stdio.h>

#include "p2v/cmd/vhdx.h"

enum { OPT_SIZE = OPT_LAST_MAKE };

static const struct option long_options[] = {
	MAKE_OPTIONS,
	{"size", required_argument, NULL, OPT_SIZE},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

struct create_options {
	struct make_options make;
	bool verbose;
};

static void print_help(void)
{
	fputs("p2v vhdx create FILE --size SIZE [options]\n"
	      "\n"
	      "Makes an empty disk image; all of it reads as zeros.  FILE must not exist.\n"
	      "\n"
	      "  --size SIZE         of the disk: 512, 64M, 10G, 2T (required)\n" MAKE_OPTIONS_HELP
	      "  --verbose           tell each step\n",
	      stdout);
}

static struct err *take_option(void *arg, int option)
{
	struct create_options *options = arg;

	if (option == OPT_SIZE)
		return cmd_parse_size("--size", optarg, &options->make.image.size_bytes);
	options->verbose |= option == 'v';
	return vhdx_take_make_option(&options->make, option);
}

static struct err *create(const struct create_options *options, const char *path)
{
	struct log log = cmd_log(options->verbose);
	CLEANUP_OUTPUT struct output *output = NULL;
	struct blk *image;
	struct err *err;

	TRY(output_begin(path, &output));
	TRY(image_create(output_path(output), &options->make.image, &log, &image));
	err = image_finish(image, options->make.image.format);
	TRY(err_first(err, blk_close(image)));
	return output_commit(output);
}

struct err *vhdx_cmd_create(int argc, char **argv)
{
	struct create_options options = {0};
	bool help = false;

	TRY(cmd_take_options(argc, argv, long_options, take_option, &options, print_help, &help));
	if (help)
		return NULL;
	TRY(vhdx_check_arguments(argc, argv, 1, "the name of the image is"));
	if (!options.make.image.size_bytes)
		return err_advise(err_usage("vhdx create: --size is missing"), "say for example --size 10G");
	TRY(vhdx_choose_format(&options.make, argv[optind]));
	return create(&options, argv[optind]);
}
