/* SPDX-License-Identifier: GPL-3.0-or-later */
/* p2v vhdx convert: a disk image in another format. */
#include <errno.h>
#include <stdio.h>
#include <sys/statvfs.h>

#include "p2v/base/json.h"
#include "p2v/base/output.h"
#include "p2v/cmd/vhdx.h"
#include "vhdx/convert.h"

/* What the format's own structures may take, but for very large disks. */
#define MARGIN_BYTES (16ull << 20)

enum { OPT_THREADS = OPT_LAST_MAKE, OPT_NO_REFLINK, OPT_JSON };

static const struct option long_options[] = {
	MAKE_OPTIONS,
	{"threads", required_argument, NULL, OPT_THREADS},
	{"no-reflink", no_argument, NULL, OPT_NO_REFLINK},
	{"json", no_argument, NULL, OPT_JSON},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

struct convert_options {
	const char *source;
	const char *target;
	struct make_options make;
	unsigned threads;
	bool no_reflink, json, verbose;
};

static void print_help(void)
{
	fputs("p2v vhdx convert SRC DST [options]\n"
	      "\n"
	      "Copies a disk image into another format.  SRC is a VHDX, VHD or raw image, a block device or\n"
	      "an NBD URI, and is only read; what it is, its content decides.  DST must not exist, and\n"
	      "appears when it is whole.  What reads as zeros takes no space in it.\n"
	      "\n" MAKE_OPTIONS_HELP "  --threads N         that read and write at once (default: as many as "
	      "processors, 2 to 8)\n"
	      "  --no-reflink        share no space with SRC where the file system could (XFS, btrfs)\n"
	      "  --json              the result on standard output, progress as JSON lines on standard "
	      "error\n"
	      "  --verbose           tell each step\n",
	      stdout);
}

static struct err *take_option(void *arg, int option)
{
	struct convert_options *options = arg;

	if (option == OPT_THREADS)
		return vhdx_take_threads(&options->threads);
	options->no_reflink |= option == OPT_NO_REFLINK;
	options->json |= option == OPT_JSON;
	options->verbose |= option == 'v';
	return vhdx_take_make_option(&options->make, option);
}

/*
 * Refuses what cannot fit.  Where the source cannot tell what it holds (a device,
 * a file without holes) it may be mostly zeros, which take no space: then it is
 * only a warning.
 */
static struct err *check_space(const struct output *output, const struct image_create_options *image,
			       uint64_t data_bytes, const struct log *log)
{
	bool exact = image->fixed || data_bytes < image->size_bytes;
	uint64_t needed = (image->fixed ? image->size_bytes : data_bytes) + MARGIN_BYTES, available;
	char needed_text[FORMAT_BYTES], available_text[FORMAT_BYTES];
	struct statvfs fs;

	if (statvfs(output_folder(output), &fs))
		return err_from_errno(errno, "%s", output_folder(output));
	available = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (available >= needed)
		return NULL;
	format_size(needed, needed_text);
	format_size(available, available_text);
	if (exact)
		return err_advise(err_refused("%s: %s free, but %s are needed", output_folder(output),
					      available_text, needed_text),
				  "free some space there, or name a file in another folder");
	log_warning(log, "%s: %s free, up to %s may be needed", output_folder(output), available_text,
		    needed_text);
	return NULL;
}

static struct err *copy(const struct convert_options *options, struct blk *source, struct blk *target,
			const struct extents *data)
{
	enum progress_style style = options->json ? PROGRESS_JSON : PROGRESS_AUTO;
	struct image_convert_options convert = {
		.threads = options->threads,
		.no_clone = options->no_reflink,
		.data = data,
		.progress = progress_create(stderr, style, "convert", extents_total_bytes(data)),
	};
	struct err *err = image_convert(source, target, &convert);

	progress_destroy(convert.progress);
	return err ? err : image_finish(target, options->make.image.format);
}

static struct err *report(const struct convert_options *options, const struct image_create_options *image,
			  uint64_t data_bytes)
{
	char size[FORMAT_BYTES], data[FORMAT_BYTES];
	json_t *json;

	if (!options->json) {
		printf("%s: %s, %s, of which up to %s held data\n", options->target,
		       image_format_name(image->format), format_size(image->size_bytes, size),
		       format_size(data_bytes, data));
		return NULL;
	}
	json = json_object();
	json_set_string(json, "source", options->source);
	json_set_string(json, "target", options->target);
	json_set_string(json, "format", image_format_name(image->format));
	json_set_u64(json, "size_bytes", image->size_bytes);
	json_set_u64(json, "data_bytes", data_bytes);
	return vhdx_print_json(json);
}

/* The sectors' size stays, where a format can tell it: a VHD that cannot is refused, as the system on the
 * disk counts in them. */
static void inherit(struct image_create_options *image, const struct blk *source)
{
	image->size_bytes = source->size_bytes;
	if (image->format != IMAGE_RAW && !image->logical_sector_bytes)
		image->logical_sector_bytes = source->logical_sector_bytes;
}

static struct err *convert(const struct convert_options *options)
{
	struct image_create_options image = options->make.image;
	struct log log = cmd_log(options->verbose);
	CLEANUP_OUTPUT struct output *output = NULL;
	CLEANUP_EXTENTS struct extents data = {0};
	CLEANUP_BLK struct blk *source = NULL;
	struct blk *target;
	struct err *err;

	TRY(output_begin(options->target, &output));
	TRY(image_open(options->source, &log, NULL, &source));
	inherit(&image, source);
	TRY(blk_data_extents(source, source->size_bytes, 0, &data));
	if (image.fixed)
		TRY(check_space(output, &image, extents_total_bytes(&data), &log));
	TRY(output_name_it(output, image_create(output_path(output), &image, &log, &target)));
	image.size_bytes = target->size_bytes;
	err = NULL;
	if (!image.fixed && (options->no_reflink || !image_can_clone(source, target)))
		err = check_space(output, &image, extents_total_bytes(&data), &log);
	if (!err)
		err = copy(options, source, target, &data);
	TRY(output_name_it(output, err_first(err, blk_close(target))));
	TRY(output_commit(output));
	return report(options, &image, extents_total_bytes(&data));
}

struct err *vhdx_cmd_convert(int argc, char **argv)
{
	struct convert_options options = {0};
	bool help = false;

	TRY(cmd_take_options(argc, argv, long_options, take_option, &options, print_help, &help));
	if (help)
		return NULL;
	TRY(vhdx_check_arguments(argc, argv, 2, "source and target are"));
	options.source = argv[optind];
	options.target = argv[optind + 1];
	TRY(vhdx_choose_format(&options.make, options.target));
	return convert(&options);
}
