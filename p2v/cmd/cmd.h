/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The command line: one file a verb, one const table.  This folder alone
 * prints, and main() alone exits.
 */
#ifndef P2V_CMD_CMD_H
#define P2V_CMD_CMD_H

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>

#include "p2v/base/err.h"
#include "p2v/base/format.h"
#include "p2v/base/log.h"
#include "p2v/base/machine.h"
#include "p2v/base/progress.h"
#include "p2v/base/size.h"

struct verb {
	const char *name;
	const char *arguments; /* "SOURCE… --out DIR [options]" */
	const char *summary; /* one line */
	/* argv[0] is the verb.  The error becomes the exit code: see enum err_kind. */
	struct err *(*run)(int argc, char **argv);
};

struct err *cmd_scan(int argc, char **argv) ERR_MUST_CHECK;
struct err *cmd_convert(int argc, char **argv) ERR_MUST_CHECK;
struct err *cmd_prove(int argc, char **argv) ERR_MUST_CHECK;
struct err *cmd_receive(int argc, char **argv) ERR_MUST_CHECK;
struct err *cmd_send(int argc, char **argv) ERR_MUST_CHECK;
struct err *cmd_cutover(int argc, char **argv) ERR_MUST_CHECK;
struct err *cmd_status(int argc, char **argv) ERR_MUST_CHECK;
struct err *cmd_announce(int argc, char **argv) ERR_MUST_CHECK;
struct err *cmd_iso(int argc, char **argv) ERR_MUST_CHECK;
struct err *cmd_vhdx(int argc, char **argv) ERR_MUST_CHECK;
struct err *cmd_live(int argc, char **argv) ERR_MUST_CHECK; /* the agent's alone */

/* A verb that has commands of its own. */
struct command_group {
	const char *name; /* "vhdx" */
	const char *summary; /* what it does: a sentence */
	const struct verb *commands;
	size_t count;
};

/* Runs the command that argv[1] names; it calls itself "NAME COMMAND" in its messages. */
struct err *cmd_run_command(const struct command_group *group, int argc, char **argv) ERR_MUST_CHECK;

/*
 * Takes the options off argv (optind is then the first argument): each goes to take(), by its value
 * in `options`; 'h' prints the help and sets *ret_help.  -v is 'v', --verbose's value everywhere.
 */
struct err *cmd_take_options(int argc, char **argv, const struct option *options,
			     struct err *(*take)(void *arg, int option), void *arg, void (*print_help)(void),
			     bool *ret_help) ERR_MUST_CHECK;

/* What getopt_long() found wrong ('?' or ':'), as an error that points to "p2v VERB --help". */
struct err *cmd_bad_option(const char *verb, int argc, char **argv, int option) ERR_MUST_CHECK;

/* "bios", "uefi"; "keep" is FIRMWARE_UNKNOWN. */
struct err *cmd_parse_firmware(const char *text, enum firmware *ret_firmware) ERR_MUST_CHECK;

/* Where to work on what is thrown away: $TMPDIR, else /var/tmp. */
const char *cmd_temporary_dir(void);

/* Messages for people on standard error: what a user follows, with --verbose each step, with --verbose twice
 * libguestfs's own words too.  $P2V_VERBOSE, a number, does the same. */
struct log cmd_log(unsigned verbose);

#endif
