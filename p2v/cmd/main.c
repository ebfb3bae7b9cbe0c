/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * p2v: dispatches to a verb and turns its error into two lines and an exit
 * code.
 *
 * Interrupting is not handled step by step: what is unfinished lies in scratch
 * folders, whose guardian removes them whatever we die of, and children die
 * with us.  So Ctrl-C only says so and ends the process like SIGKILL would.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "p2v/cmd/cmd.h"

static const struct verb verbs[] = {
	{"scan", "[IMAGE|DEVICE...] [--json]",
	 "tell what this machine or a disk is, and what would stop a conversion", cmd_scan},
	{"convert", "SOURCE... --out DIR [--to TARGETS]", "make disks boot as a virtual machine",
	 cmd_convert},
	{"prove", "DIR|IMAGE [--screenshot FILE]", "boot a throw-away copy and report what came up",
	 cmd_prove},
	{"receive", "--dir DIR [--listen ADDR:PORT]", "take disks in over the network", cmd_receive},
	{"send", "HOST --disk DISK... [--key-file FILE]", "bring disks to a receiver", cmd_send},
	{"status", "--dir DIR [--json]", "list the jobs of a receiver", cmd_status},
	{"vhdx", "COMMAND ...", "inspect, check, make, convert and compare VHDX files", cmd_vhdx},
};

static void print_usage(FILE *stream)
{
	fputs("p2v turns a physical server into a virtual machine that boots.\n\n", stream);
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
		fprintf(stream, "  p2v %-8s %-36s %s\n", verbs[i].name, verbs[i].arguments, verbs[i].summary);
	fputs("\n'p2v VERB --help' tells more, 'man p2v' all of it.\n", stream);
}

static void end_on_signal(int signal_number)
{
	static const char message[] = "\np2v: interrupted: nothing was put under its final name\n"
				      "p2v: the same command can be run again\n";

	(void)!write(STDERR_FILENO, message, sizeof message - 1);
	signal(signal_number, SIG_DFL);
	raise(signal_number);
}

static struct err *run_verb(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
		if (!strcmp(argv[0], verbs[i].name))
			return verbs[i].run(argc, argv);
	return err_advise(err_usage("'%s' is no verb of p2v's", argv[0]), "'p2v --help' lists the verbs");
}

int main(int argc, char **argv)
{
	struct err *err;
	int status;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, end_on_signal);
	signal(SIGTERM, end_on_signal);
	if (argc < 2) {
		print_usage(stderr);
		return ERR_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		print_usage(stdout);
		return 0;
	}
	if (!strcmp(argv[1], "--version")) {
		puts("p2v " P2V_VERSION);
		return 0;
	}
	err = run_verb(argc - 1, argv + 1);
	if (!err && (fflush(stdout) || ferror(stdout)))
		err = err_advise(err_failed("cannot write to standard output"), "is the disk full?");
	if (!err)
		return 0;
	fprintf(stderr, "p2v: %s\n", err_message(err));
	if (err_advice(err))
		fprintf(stderr, "p2v: %s\n", err_advice(err));
	status = err_kind(err);
	err_free(err);
	return status;
}
