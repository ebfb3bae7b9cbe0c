/* SPDX-License-Identifier: GPL-3.0-or-later */
/* p2v vhdx compare: whether two disk images hold the same. */
#include <inttypes.h>
#include <stdio.h>

#include "p2v/base/json.h"
#include "p2v/cmd/vhdx.h"
#include "vhdx/compare.h"

enum { OPT_THREADS = 256, OPT_JSON };

static const struct option long_options[] = {
	{"threads", required_argument, NULL, OPT_THREADS},
	{"json", no_argument, NULL, OPT_JSON},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

struct compare_options {
	const char *a;
	const char *b;
	unsigned threads;
	bool json, verbose;
};

static void print_help(void)
{
	fputs("p2v vhdx compare A B [options]\n"
	      "\n"
	      "Compares what two disk images read as; each is a VHDX, VHD or raw image, a block device or "
	      "an\n"
	      "NBD URI.  How zeros are stored does not matter.  Exit code 0: the same; 1: not.\n"
	      "\n"
	      "  --threads N   that read at once (default: as many as processors, 2 to 8)\n"
	      "  --json        the result on standard output, progress as JSON lines on standard error\n"
	      "  --verbose     tell each step\n",
	      stdout);
}

static struct err *take_option(void *arg, int option)
{
	struct compare_options *options = arg;

	if (option == OPT_THREADS)
		return vhdx_take_threads(&options->threads);
	options->json |= option == OPT_JSON;
	options->verbose |= option == 'v';
	return NULL;
}

static struct err *print_result(const struct blk *a, const struct blk *b,
				const struct image_difference *difference)
{
	json_t *json = json_object();

	json_set_bool(json, "equal", !difference->found && a->size_bytes == b->size_bytes);
	json_set_u64(json, "size_a_bytes", a->size_bytes);
	json_set_u64(json, "size_b_bytes", b->size_bytes);
	if (difference->found)
		json_set_u64(json, "first_difference", difference->offset);
	else
		json_object_set_new(json, "first_difference", json_null());
	return vhdx_print_json(json);
}

/* Equal images are no error; others are, in words. */
static struct err *verdict(const struct compare_options *options, const struct blk *a, const struct blk *b,
			   const struct image_difference *difference)
{
	bool same_size = a->size_bytes == b->size_bytes;

	if (difference->found && same_size)
		return err_advise(err_failed("%s and %s differ from byte %" PRIu64 " on", options->a,
					     options->b, difference->offset),
				  "'p2v vhdx map' tells what each of them has there");
	if (difference->found)
		return err_advise(err_failed("%s and %s differ from byte %" PRIu64
					     " on, and in size: %" PRIu64 " and %" PRIu64 " bytes",
					     options->a, options->b, difference->offset, a->size_bytes,
					     b->size_bytes),
				  "'p2v vhdx map' tells what each of them has there");
	if (!same_size)
		return err_advise(err_failed("%s and %s differ in size: %" PRIu64 " and %" PRIu64 " bytes",
					     options->a, options->b, a->size_bytes, b->size_bytes),
				  "their content is the same, and the rest of the larger one is zeros");
	return NULL;
}

static struct err *compare(const struct compare_options *options)
{
	enum progress_style style = options->json ? PROGRESS_JSON : PROGRESS_AUTO;
	struct image_compare_options compare = {.threads = options->threads};
	struct log log = cmd_log(options->verbose);
	CLEANUP_BLK struct blk *a = NULL;
	CLEANUP_BLK struct blk *b = NULL;
	struct image_difference difference;
	struct err *err;

	TRY(image_open(options->a, &log, NULL, &a));
	TRY(image_open(options->b, &log, NULL, &b));
	compare.progress = progress_create(stderr, style, "compare",
					   a->size_bytes > b->size_bytes ? a->size_bytes : b->size_bytes);
	err = image_compare(a, b, &compare, &difference);
	progress_destroy(compare.progress);
	if (err)
		return err;
	if (options->json)
		TRY(print_result(a, b, &difference));
	TRY(verdict(options, a, b, &difference));
	if (!options->json)
		printf("%s and %s hold the same %" PRIu64 " bytes\n", options->a, options->b, a->size_bytes);
	return NULL;
}

struct err *vhdx_cmd_compare(int argc, char **argv)
{
	struct compare_options options = {0};
	bool help = false;

	TRY(cmd_take_options(argc, argv, long_options, take_option, &options, print_help, &help));
	if (help)
		return NULL;
	TRY(vhdx_check_arguments(argc, argv, 2, "two images are"));
	options.a = argv[optind];
	options.b = argv[optind + 1];
	return compare(&options);
}
