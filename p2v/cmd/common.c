/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the verbs share: options, messages. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "p2v/cmd/cmd.h"

struct err *cmd_bad_option(const char *verb, int argc, char **argv, int option)
{
	const char *word = optind > 0 && optind <= argc ? argv[optind - 1] : "";

	return err_advise(option == ':' ? err_usage("%s: option '%s' wants a value", verb, word)
					: err_usage("%s: option '%s' is not known", verb, word),
			  "'p2v %s --help' lists the options", verb);
}

struct err *cmd_take_options(int argc, char **argv, const struct option *options,
			     struct err *(*take)(void *arg, int option), void *arg, void (*print_help)(void),
			     bool *ret_help)
{
	int option;

	optind = 1;
	while ((option = getopt_long(argc, argv, ":hv", options, NULL)) != -1) {
		if (option == 'h') {
			print_help();
			*ret_help = true;
			return NULL;
		}
		if (option == '?' || option == ':')
			return cmd_bad_option(argv[0], argc, argv, option);
		TRY(take(arg, option));
	}
	return NULL;
}

struct err *cmd_parse_firmware(const char *text, enum firmware *ret_firmware)
{
	if (!strcmp(text, "keep"))
		*ret_firmware = FIRMWARE_UNKNOWN;
	else if (!strcmp(text, "bios"))
		*ret_firmware = FIRMWARE_BIOS;
	else if (!strcmp(text, "uefi"))
		*ret_firmware = FIRMWARE_UEFI;
	else
		return err_advise(err_usage("'%s' is no firmware", text), "say keep, bios or uefi");
	return NULL;
}

const char *cmd_temporary_dir(void)
{
	const char *named = getenv("TMPDIR");

	return named && *named ? named : "/var/tmp";
}

static void write_message(void *arg, enum log_level level, const char *message)
{
	(void)arg;
	fprintf(stderr, "%s: %s%s\n", program_invocation_short_name,
		level == LOG_LEVEL_WARNING ? "warning: " : "", message);
}

/* $P2V_VERBOSE: a number of times; anything else but nothing is once. */
static unsigned verbose_by_environment(void)
{
	const char *text = getenv("P2V_VERBOSE");
	unsigned long value = text ? strtoul(text, NULL, 10) : 0;

	if (!text || !*text || !strcmp(text, "0"))
		return 0;
	return value > 1 ? 2 : 1;
}

struct log cmd_log(unsigned verbose)
{
	static const enum log_level levels[] = {LOG_LEVEL_INFO, LOG_LEVEL_DEBUG, LOG_LEVEL_TRACE};
	unsigned wanted = verbose + verbose_by_environment();

	return (struct log){
		.write = write_message,
		.max_level = levels[wanted > 2 ? 2 : wanted],
	};
}
