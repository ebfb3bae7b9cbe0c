/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Dispatches to a verb and turns its error into two lines and an exit code.
 *
 * Interrupting is not handled step by step: what is unfinished lies in scratch
 * folders, whose guardian removes them whatever we die of, and children die
 * with us.  So Ctrl-C only says so and ends the process like SIGKILL would.
 */
#include "p2v/cmd/program.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void print_usage(const struct program *program, FILE *stream)
{
	fprintf(stream, "%s %s.\n\n", program->name, program->summary);
	for (size_t i = 0; i < program->verb_count; i++) {
		const struct verb *verb = &program->verbs[i];

		fprintf(stream, "  %s %-8s %-36s %s\n", program->name, verb->name, verb->arguments,
			verb->summary);
	}
	fprintf(stream, "\n'%s VERB --help' tells more, 'man %s' all of it.\n", program->name, program->name);
}

static void end_on_signal(int signal_number)
{
	static const char message[] = "\np2v: interrupted: nothing was put under its final name\n"
				      "p2v: the same command can be run again\n";

	(void)!write(STDERR_FILENO, message, sizeof message - 1);
	signal(signal_number, SIG_DFL);
	raise(signal_number);
}

static struct err *run_verb(const struct program *program, int argc, char **argv)
{
	for (size_t i = 0; i < program->verb_count; i++)
		if (!strcmp(argv[0], program->verbs[i].name))
			return program->verbs[i].run(argc, argv);
	return err_advise(err_usage("'%s' is no verb of %s's", argv[0], program->name),
			  "'%s --help' lists the verbs", program->name);
}

int program_run(const struct program *program, int argc, char **argv)
{
	struct err *err;
	int status;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, end_on_signal);
	signal(SIGTERM, end_on_signal);
	if (argc < 2) {
		print_usage(program, stderr);
		return ERR_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		print_usage(program, stdout);
		return 0;
	}
	if (!strcmp(argv[1], "--version")) {
		printf("%s %s\n", program->name, P2V_VERSION);
		return 0;
	}
	err = run_verb(program, argc - 1, argv + 1);
	if (!err && (fflush(stdout) || ferror(stdout)))
		err = err_advise(err_failed("cannot write to standard output"), "is the disk full?");
	if (!err)
		return 0;
	fprintf(stderr, "%s: %s\n", program->name, err_message(err));
	if (err_advice(err))
		fprintf(stderr, "%s: %s\n", program->name, err_advice(err));
	status = err_kind(err);
	err_free(err);
	return status;
}
