/* SPDX-License-Identifier: GPL-3.0-or-later */
/* p2v vhdx resize: a larger disk in the same file. */
#include <inttypes.h>
#include <stdio.h>

#include "p2v/base/json.h"
#include "p2v/cmd/vhdx.h"
#include "vhdx/vhdx.h"

enum { OPT_JSON = 256, OPT_VERBOSE };

static const struct option long_options[] = {
	{"json", no_argument, NULL, OPT_JSON},
	{"verbose", no_argument, NULL, OPT_VERBOSE},
	{"help", no_argument, NULL, 'h'},
	{0},
};

struct resize_options {
	const char *file;
	uint64_t size_bytes;
	bool json, verbose;
};

static void print_help(void)
{
	fputs("p2v vhdx resize FILE SIZE [options]\n"
	      "\n"
	      "Makes the disk in a VHDX larger; what is new reads as zeros.  Partitions and file systems on "
	      "it\n"
	      "stay as they are: the system on the disk enlarges them.  A disk is never made smaller.  No\n"
	      "other program may use FILE meanwhile.  Interrupted, the disk has the one size or the other.\n"
	      "\n"
	      "  SIZE         the whole of the disk then: 64M, 10G, 2T\n"
	      "  --json       the sizes on standard output\n"
	      "  --verbose    tell each step\n",
	      stdout);
}

static struct err *take_option(void *arg, int option)
{
	struct resize_options *options = arg;

	options->json |= option == OPT_JSON;
	options->verbose |= option == OPT_VERBOSE;
	return NULL;
}

static struct err *report(const struct resize_options *options, uint64_t old_bytes)
{
	json_t *json;

	if (!options->json) {
		printf("%s: %" PRIu64 " bytes, before %" PRIu64 "\n", options->file, options->size_bytes,
		       old_bytes);
		return NULL;
	}
	json = json_object();
	json_set_string(json, "file", options->file);
	json_set_u64(json, "old_size_bytes", old_bytes);
	json_set_u64(json, "size_bytes", options->size_bytes);
	return vhdx_print_json(json);
}

static struct err *resize(const struct resize_options *options)
{
	struct log log = cmd_log(options->verbose);
	enum image_format format;
	uint64_t old_bytes;
	struct blk *vhdx;
	struct err *err;

	TRY(image_probe(options->file, &format));
	if (format != IMAGE_VHDX)
		return err_advise(
			err_refused("%s: is %s, not VHDX", options->file, image_format_name(format)),
			"make a VHDX of it with 'p2v vhdx convert' first");
	TRY(vhdx_open(options->file, VHDX_OPEN_WRITE, &log, &vhdx));
	old_bytes = vhdx->size_bytes;
	err = blk_resize(vhdx, options->size_bytes);
	if (!err)
		err = vhdx_finish(vhdx);
	TRY(err_first(err, blk_close(vhdx)));
	return report(options, old_bytes);
}

struct err *vhdx_cmd_resize(int argc, char **argv)
{
	struct resize_options options = {0};
	bool help = false;

	TRY(cmd_take_options(argc, argv, long_options, take_option, &options, print_help, &help));
	if (help)
		return NULL;
	TRY(vhdx_check_arguments(argc, argv, 2, "the image or the size is"));
	options.file = argv[optind];
	TRY(size_parse("the size", argv[optind + 1], &options.size_bytes));
	return resize(&options);
}
