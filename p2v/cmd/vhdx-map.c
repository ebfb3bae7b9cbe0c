/* SPDX-License-Identifier: GPL-3.0-or-later */
/* p2v vhdx map: what of the disk is where in the file. */
#include <inttypes.h>
#include <stdio.h>

#include "p2v/base/json.h"
#include "p2v/cmd/vhdx.h"
#include "vhdx/vhdx.h"

static void print_help(void)
{
	fputs("p2v vhdx map FILE [options]\n"
	      "\n"
	      "Lists the disk in runs: offset and length in bytes, what is there, and for a VHDX where it "
	      "is\n"
	      "in the file.  Of other images it tells data from zeros and holes.  FILE is only read.\n"
	      "\n"
	      "  --json       a list of objects on standard output\n"
	      "  --verbose    tell each step\n",
	      stdout);
}

/* One run goes out as it is found: a map can be long. */
struct map_output {
	bool json;
	bool has_runs;
};

static void print_run(struct map_output *output, uint64_t offset, uint64_t len_bytes, const char *state,
		      uint64_t file_offset)
{
	if (output->json) {
		printf("%s{\"offset\": %" PRIu64 ", \"length_bytes\": %" PRIu64 ", \"state\": \"%s\"",
		       output->has_runs ? ",\n" : "", offset, len_bytes, state);
		if (file_offset)
			printf(", \"file_offset\": %" PRIu64, file_offset);
		putchar('}');
	} else if (file_offset) {
		printf("%16" PRIu64 " %16" PRIu64 "  %-18s %16" PRIu64 "\n", offset, len_bytes, state,
		       file_offset);
	} else {
		printf("%16" PRIu64 " %16" PRIu64 "  %s\n", offset, len_bytes, state);
	}
	output->has_runs = true;
}

static struct err *print_vhdx_run(void *arg, const struct vhdx_map_run *run)
{
	print_run(arg, run->offset, run->len_bytes, vhdx_block_state_name(run->state), run->file_offset);
	return NULL;
}

static struct err *print_extent(void *arg, uint64_t offset, uint64_t len_bytes, unsigned extent_flags)
{
	print_run(arg, offset, len_bytes,
		  extent_flags & BLK_EXTENT_HOLE   ? "hole"
		  : extent_flags & BLK_EXTENT_ZERO ? "zero"
						   : "data",
		  0);
	return NULL;
}

static struct err *map(const struct look_options *options, struct map_output *output)
{
	struct log log = cmd_log(options->verbose);
	CLEANUP_BLK struct blk *blk = NULL;
	enum image_format format;

	TRY(image_probe(options->file, &format));
	if (format == IMAGE_VHDX)
		TRY(vhdx_open(options->file, VHDX_OPEN_INSPECT | VHDX_OPEN_INCOMPLETE, &log, &blk));
	else
		TRY(image_open(options->file, &log, NULL, &blk));
	if (output->json)
		putchar('[');
	else
		printf("%16s %16s  %-18s %16s\n", "offset", "length", "state", "in the file at");
	if (format == IMAGE_VHDX)
		TRY(vhdx_map(blk, print_vhdx_run, output));
	else
		TRY(blk_extents(blk, blk->size_bytes, 0, print_extent, output));
	if (output->json)
		puts("]");
	return NULL;
}

struct err *vhdx_cmd_map(int argc, char **argv)
{
	struct look_options options = {0};
	struct map_output output = {0};
	bool help = false;

	TRY(vhdx_take_look_options(argc, argv, print_help, &options, &help));
	if (help)
		return NULL;
	output.json = options.json;
	return map(&options, &output);
}
