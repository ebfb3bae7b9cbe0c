/* SPDX-License-Identifier: GPL-3.0-or-later */
/* p2v iso: dispatches to a command. */
#include "p2v/cmd/iso.h"

#include <stdio.h>
#include <string.h>

#include "p2v/base/mem.h"

static const struct verb commands[] = {
	{"build", "--out FILE [options]", "make a boot medium from Debian's packages", iso_cmd_build},
	{"configure", "ISO --out NEW [options]", "write settings into a boot medium", iso_cmd_configure},
};

static void print_usage(FILE *stream)
{
	fputs("p2v iso makes a medium that boots a server and sends its disks.\n\n", stream);
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		fprintf(stream, "  p2v iso %-10s %-26s %s\n", commands[i].name, commands[i].arguments,
			commands[i].summary);
	fputs("\n'p2v iso COMMAND --help' tells more, 'man p2v-iso' all of it.\n", stream);
}

struct err *cmd_iso(int argc, char **argv)
{
	if (argc < 2) {
		print_usage(stderr);
		return err_advise(err_usage("iso: no command given"), "'p2v iso --help' lists them");
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		print_usage(stdout);
		return NULL;
	}
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		CLEANUP_FREE char *name = xasprintf("iso %s", commands[i].name);

		if (strcmp(argv[1], commands[i].name))
			continue;
		/* What a command calls itself in its messages. */
		argv[1] = name;
		return commands[i].run(argc - 1, argv + 1);
	}
	return err_advise(err_usage("iso: '%s' is no command", argv[1]), "'p2v iso --help' lists them");
}
