/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Dispatches to a command of a verb. */
#include <stdio.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/cmd/cmd.h"

static void print_usage(const struct command_group *group, FILE *stream)
{
	fprintf(stream, "%s\n\n", group->summary);
	for (size_t i = 0; i < group->count; i++)
		fprintf(stream, "  p2v %s %-9s %-28s %s\n", group->name, group->commands[i].name,
			group->commands[i].arguments, group->commands[i].summary);
	fprintf(stream, "\n'p2v %s COMMAND --help' tells more, 'man p2v-%s' all of it.\n", group->name,
		group->name);
}

static struct err *run(const struct command_group *group, const struct verb *command, int argc, char **argv)
{
	CLEANUP_FREE char *name = xasprintf("%s %s", group->name, command->name);

	/* What a command calls itself in its messages. */
	argv[0] = name;
	return command->run(argc, argv);
}

struct err *cmd_run_command(const struct command_group *group, int argc, char **argv)
{
	if (argc < 2) {
		print_usage(group, stderr);
		return err_advise(err_usage("%s: no command given", group->name),
				  "'p2v %s --help' lists them", group->name);
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		print_usage(group, stdout);
		return NULL;
	}
	for (size_t i = 0; i < group->count; i++)
		if (!strcmp(argv[1], group->commands[i].name))
			return run(group, &group->commands[i], argc - 1, argv + 1);
	return err_advise(err_usage("%s: '%s' is no command", group->name, argv[1]),
			  "'p2v %s --help' lists them", group->name);
}
