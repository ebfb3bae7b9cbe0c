/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the verbs share: options, sizes, messages. */
#include <errno.h>
#include <getopt.h>
#include <math.h>
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

struct err *cmd_parse_size(const char *what, const char *text, uint64_t *ret_bytes)
{
	static const char units[] = "KMGTP";
	const char *unit;
	char *end;
	double value;

	value = strtod(text, &end);
	unit = *end ? strchr(units, *end & ~0x20) : NULL;
	if (unit) {
		value = ldexp(value, 10 * (unit - units + 1));
		end++;
		if (*end == 'i')
			end++;
		if (*end == 'B' || *end == 'b')
			end++;
	}
	if (end == text || *end || !(value >= 0) || value >= 0x1p63 || value != floor(value) || *text == '-')
		return err_advise(err_usage("%s: '%s' is no size", what, text),
				  "say for example 512, 64K, 2M, 1.5G or 10T");
	*ret_bytes = value;
	return NULL;
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
