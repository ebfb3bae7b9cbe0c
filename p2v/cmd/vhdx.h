/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The commands of 'p2v vhdx', and what they share. */
#ifndef P2V_CMD_VHDX_H
#define P2V_CMD_VHDX_H

#include <jansson.h>

#include "p2v/base/blk.h"
#include "p2v/cmd/cmd.h"
#include "vhdx/image.h"

struct err *vhdx_cmd_info(int argc, char **argv) ERR_MUST_CHECK;
struct err *vhdx_cmd_check(int argc, char **argv) ERR_MUST_CHECK;
struct err *vhdx_cmd_map(int argc, char **argv) ERR_MUST_CHECK;
struct err *vhdx_cmd_create(int argc, char **argv) ERR_MUST_CHECK;
struct err *vhdx_cmd_convert(int argc, char **argv) ERR_MUST_CHECK;
struct err *vhdx_cmd_compare(int argc, char **argv) ERR_MUST_CHECK;
struct err *vhdx_cmd_commit(int argc, char **argv) ERR_MUST_CHECK;
struct err *vhdx_cmd_resize(int argc, char **argv) ERR_MUST_CHECK;
struct err *vhdx_cmd_repair(int argc, char **argv) ERR_MUST_CHECK;

/* For the commands that take one file, --json and --verbose. */
struct look_options {
	const char *file;
	bool json, verbose;
};

/* *ret_help: nothing more is to be done. */
struct err *vhdx_take_look_options(int argc, char **argv, void (*print_help)(void),
				   struct look_options *ret_options, bool *ret_help) ERR_MUST_CHECK;

/* The arguments that are left: `count` of them, else it is a usage error that says `wanted`. */
struct err *vhdx_check_arguments(int argc, char **argv, int count, const char *wanted) ERR_MUST_CHECK;

/* The value of --threads, from optarg. */
struct err *vhdx_take_threads(unsigned *ret_threads) ERR_MUST_CHECK;

/* How a new image shall be; options of create and convert. */
enum make_option { OPT_FORMAT = 256, OPT_BLOCK_SIZE, OPT_SECTOR_SIZE, OPT_FIXED, OPT_LAST_MAKE };

#define MAKE_OPTIONS                                                       \
	{"format", required_argument, NULL, OPT_FORMAT},                   \
		{"block-size", required_argument, NULL, OPT_BLOCK_SIZE},   \
		{"sector-size", required_argument, NULL, OPT_SECTOR_SIZE}, \
	{                                                                  \
		"fixed", no_argument, NULL, OPT_FIXED                      \
	}
#define MAKE_OPTIONS_HELP                                                                             \
	"  --format FORMAT     vhdx, vhd or raw (default: by the file's name)\n"                      \
	"  --block-size SIZE   of a VHDX 1M to 256M, of a VHD 512K to 256M (default: 2M)\n"           \
	"  --sector-size N     512 or 4096, logical, VHDX alone (default: as the source, else 512)\n" \
	"  --fixed             take all of the space at once\n"

struct make_options {
	const char *format; /* NULL: by the extension */
	struct image_create_options image; /* format and size are set later */
};

/* Takes one of make_option. */
struct err *vhdx_take_make_option(struct make_options *options, int option) ERR_MUST_CHECK;

/* Sets the format, and refuses options that do not go with it. */
struct err *vhdx_choose_format(struct make_options *options, const char *path) ERR_MUST_CHECK;

/* Prints the value and a newline, and releases it. */
struct err *vhdx_print_json(json_t *value) ERR_MUST_CHECK;

#endif
