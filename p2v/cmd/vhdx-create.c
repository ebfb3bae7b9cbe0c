/* SPDX-License-Identifier: GPL-3.0-or-later */
/* p2v vhdx create: an empty disk image, or a differencing VHDX over another. */
#include <stdio.h>

#include "p2v/base/output.h"
#include "p2v/cmd/vhdx.h"
#include "vhdx/vhdx.h"

enum { OPT_SIZE = OPT_LAST_MAKE, OPT_PARENT };

static const struct option long_options[] = {
	MAKE_OPTIONS,
	{"size", required_argument, NULL, OPT_SIZE},
	{"parent", required_argument, NULL, OPT_PARENT},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

struct create_options {
	struct make_options make;
	bool has_size;
	const char *parent; /* NULL: the disk is empty */
	bool verbose;
};

static void print_help(void)
{
	fputs("p2v vhdx create FILE --size SIZE [options]\n"
	      "p2v vhdx create FILE --parent PARENT [options]\n"
	      "\n"
	      "Makes an empty disk image, all of which reads as zeros, or a differencing VHDX, which reads "
	      "as\n"
	      "PARENT and takes what is written.  FILE must not exist.  PARENT must not change any more "
	      "while\n"
	      "files lie over it.\n"
	      "\n"
	      "  --size SIZE         of the disk: 512, 64M, 10G, 2T (that of PARENT)\n"
	      "  --parent PARENT     a VHDX; size and sectors are its own\n" MAKE_OPTIONS_HELP
	      "  --verbose           tell each step\n",
	      stdout);
}

static struct err *take_option(void *arg, int option)
{
	struct create_options *options = arg;

	options->has_size |= option == OPT_SIZE;
	if (option == OPT_SIZE)
		return size_parse("--size", optarg, &options->make.image.size_bytes);
	if (option == OPT_PARENT)
		options->parent = optarg;
	options->verbose |= option == 'v';
	return vhdx_take_make_option(&options->make, option);
}

static struct err *create_over(const struct create_options *options, const char *path, const char *final_path,
			       const struct log *log, struct blk **ret_image)
{
	const struct image_create_options *image = &options->make.image;
	CLEANUP_BLK struct blk *parent = NULL;

	TRY(image_open(options->parent, log, NULL, &parent));
	TRY(vhdx_create(path,
			&(struct vhdx_create_options){
				.size_bytes = image->size_bytes,
				.block_bytes = image->block_bytes,
				.logical_sector_bytes = image->logical_sector_bytes,
				.flags = image->fixed ? VHDX_FIXED : 0,
				.parent = parent,
				.final_path = final_path,
			},
			log, ret_image));
	parent = NULL;
	return NULL;
}

static struct err *create(const struct create_options *options, const char *path)
{
	struct log log = cmd_log(options->verbose);
	CLEANUP_OUTPUT struct output *output = NULL;
	struct blk *image;
	struct err *err;

	TRY(output_begin(path, &output));
	err = options->parent ? create_over(options, output_path(output), path, &log, &image)
			      : image_create(output_path(output), &options->make.image, &log, &image);
	TRY(output_name_it(output, err));
	err = image_finish(image, options->make.image.format);
	TRY(output_name_it(output, err_first(err, blk_close(image))));
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
	if (options.has_size && !options.make.image.size_bytes)
		return err_advise(err_usage("--size: a disk of 0 bytes is none"),
				  "say for example --size 10G");
	if (!options.has_size && !options.parent)
		return err_advise(err_usage("vhdx create: --size is missing"), "say for example --size 10G");
	TRY(vhdx_choose_format(&options.make, argv[optind]));
	if (options.parent && options.make.image.format != IMAGE_VHDX)
		return err_advise(err_usage("--parent: only a VHDX can lie over another"),
				  "leave it out, or say --format vhdx");
	return create(&options, argv[optind]);
}
