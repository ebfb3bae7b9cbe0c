/* SPDX-License-Identifier: GPL-3.0-or-later */
/* p2v-agent live: what runs on a machine that was started from the ISO. */
#include <stdio.h>
#include <string.h>

#include "iso/live-mirror.h"
#include "iso/live.h"
#include "p2v/base/mem.h"
#include "p2v/cmd/cmd.h"

enum {
	OPT_HERE = 256,
	OPT_INSIDE,
	OPT_CONSOLE,
	OPT_CONFIG,
	OPT_COMMAND_LINE,
	OPT_KEEP_NETWORK,
	OPT_RUN_DIR,
	OPT_SYSROOT,
};

static const struct option long_options[] = {
	{"here", no_argument, NULL, OPT_HERE},
	{"inside", no_argument, NULL, OPT_INSIDE},
	{"console", required_argument, NULL, OPT_CONSOLE},
	{"config", required_argument, NULL, OPT_CONFIG},
	{"command-line", required_argument, NULL, OPT_COMMAND_LINE},
	{"keep-network", no_argument, NULL, OPT_KEEP_NETWORK},
	{"run-dir", required_argument, NULL, OPT_RUN_DIR},
	{"sysroot", required_argument, NULL, OPT_SYSROOT},
	{"help", no_argument, NULL, 'h'},
	{0},
};

struct live_command {
	struct live_options options;
	struct strv consoles;
	bool here, inside;
};

static void command_deinit(struct live_command *command)
{
	strv_deinit(&command->consoles);
}

static void print_help(void)
{
	const char *name, *help;

	fputs("p2v-agent live [options]\n"
	      "\n"
	      "What runs on a machine that was started from p2v's ISO: sets up the network, finds the disks, "
	      "and\n"
	      "sends them, by itself if receiver and key are in the configuration, else as its interface is "
	      "told.\n"
	      "It shows on all consoles at once.\n"
	      "\n"
	      "  --here                on any other machine: on this terminal, with the network as it is\n"
	      "  --console DEVICE      show there instead; may be repeated\n"
	      "  --config FILE         instead of /etc/p2v.conf\n"
	      "  --command-line FILE   instead of /proc/cmdline\n"
	      "  --keep-network        leave the network as it is\n"
	      "  --run-dir DIR         keep what is needed meanwhile there; default: /run/p2v\n"
	      "  --sysroot DIR         below it are /sys and /proc of the machine\n"
	      "  --inside              on this terminal alone: as it is started for the consoles\n"
	      "\n"
	      "Words, on the kernel's command line as p2v.NAME=VALUE, in /etc/p2v.conf as NAME=VALUE:\n",
	      stdout);
	for (size_t i = 0; live_config_describe(i, &name, &help); i++)
		printf("  %-14s %s\n", name, help);
}

static struct err *take_option(void *arg, int option)
{
	struct live_command *command = arg;
	struct live_options *options = &command->options;

	switch (option) {
	case OPT_CONSOLE:
		strv_add(&command->consoles, optarg);
		break;
	case OPT_CONFIG:
		options->config_file = optarg;
		break;
	case OPT_COMMAND_LINE:
		options->command_line = optarg;
		break;
	case OPT_RUN_DIR:
		options->run_dir = optarg;
		break;
	case OPT_SYSROOT:
		options->sysroot = optarg;
		break;
	}
	command->here |= option == OPT_HERE;
	command->inside |= option == OPT_INSIDE;
	options->keeps_network |= option == OPT_KEEP_NETWORK;
	return NULL;
}

/* It would set the network anew, and offer to power off. */
static struct err *check_machine(struct live_command *command)
{
	if (live_is_image()) {
		command->options.may_end_machine = !command->here;
		command->options.keeps_network |= command->here;
		return NULL;
	}
	if (!command->here)
		return err_advise(err_refused("live: this machine was not started from p2v's ISO"),
				  "--here shows the interface all the same, and leaves the network alone; "
				  "'p2v-agent send' needs no interface");
	command->options.keeps_network = true;
	return NULL;
}

/* The same command on a terminal that all consoles show. */
static struct err *run_on_consoles(struct live_command *command, int argc, char **argv)
{
	CLEANUP_STRV struct strv inside = {0};

	strv_add(&inside, command->options.program);
	for (int i = 0; i < argc; i++)
		strv_add(&inside, argv[i]);
	strv_add(&inside, "--inside");
	if (!command->consoles.count)
		live_mirror_find_consoles(&command->consoles);
	return live_mirror_run((const char *const *)inside.items, &command->consoles, command->here, NULL);
}

struct err *cmd_live(int argc, char **argv)
{
	CLEANUP(command_deinit)
	struct live_command command = {
		.options =
			{
				.sysroot = "",
				.command_line = "/proc/cmdline",
				.config_file = "/etc/p2v.conf",
				.run_dir = "/run/p2v",
				.resolv_conf = "/etc/resolv.conf",
				.program = "/proc/self/exe",
				.helper_dir = "/usr/lib/p2v",
			},
	};
	bool help = false;

	TRY(cmd_take_options(argc, argv, long_options, take_option, &command, print_help, &help));
	if (help)
		return NULL;
	if (optind < argc)
		return err_advise(err_usage("live: '%s' is not known", argv[optind]),
				  "'p2v-agent live --help' tells more");
	TRY(check_machine(&command));
	if (command.inside || (command.here && !command.consoles.count))
		return live_run(&command.options);
	return run_on_consoles(&command, argc, argv);
}
