/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * p2v announce: tells a receiver that this machine is there and how it fares,
 * line by line from standard input; or brings a bundle.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/cmd/announce-machine.h"
#include "p2v/cmd/sync.h"

enum { OPT_KEY_FILE = 256, OPT_NAME, OPT_PHASE, OPT_REASON, OPT_BUNDLE };

static const struct option long_options[] = {
	{"key-file", required_argument, NULL, OPT_KEY_FILE},
	{"name", required_argument, NULL, OPT_NAME},
	{"phase", required_argument, NULL, OPT_PHASE},
	{"reason", required_argument, NULL, OPT_REASON},
	{"bundle", required_argument, NULL, OPT_BUNDLE},
	{"help", no_argument, NULL, 'h'},
	{0},
};

struct announce_command {
	struct sync_address address;
	struct key *key;
	char *name;
	enum wire_phase phase;
	const char *reason, *bundle;
};

static void command_deinit(struct announce_command *command)
{
	sync_address_deinit(&command->address);
	key_destroy(command->key);
	free(command->name);
}

static void print_help(void)
{
	fputs("p2v announce HOST[:PORT] [options]\n"
	      "\n"
	      "Tells 'p2v receive' on HOST, for 'p2v status' there, that this machine is there, and how it\n"
	      "fares: each line of standard input is a phase (booted, waiting, sending, done, failed), and\n"
	      "behind it, if you like, why.  Connects again for ever, and ends with standard input, when "
	      "the\n"
	      "receiver knows the last line.  On standard output: 'connected', or 'lost' and why.\n"
	      "\n"
	      "  --key-file FILE      holds the pairing key that the receiver shows; without it, it is asked "
	      "for\n"
	      "  --name NAME          default: this machine's name\n"
	      "  --phase PHASE        to begin with; default: booted\n"
	      "  --reason TEXT        of that phase\n"
	      "  --bundle FILE        bring this file, of what helps to find a fault, and end: at most 64 "
	      "MiB\n",
	      stdout);
}

static struct err *take_phase(const char *text, size_t bytes, enum wire_phase *ret_phase)
{
	enum wire_phase phase = wire_phase_by_name(text, bytes);

	if (phase == WIRE_PHASE_SAME)
		return err_advise(err_usage("'%.*s' is no phase", (int)bytes, text),
				  "say booted, waiting, sending, done or failed");
	*ret_phase = phase;
	return NULL;
}

static struct err *take_option(void *arg, int option)
{
	struct announce_command *command = arg;

	switch (option) {
	case OPT_KEY_FILE:
		key_destroy(take_ptr(command->key));
		return key_read_file(optarg, &command->key);
	case OPT_NAME:
		free(command->name);
		command->name = xstrdup(optarg);
		break;
	case OPT_PHASE:
		return take_phase(optarg, strlen(optarg), &command->phase);
	case OPT_REASON:
		command->reason = optarg;
		break;
	case OPT_BUNDLE:
		command->bundle = optarg;
		break;
	}
	return NULL;
}

static struct err *connect_to(void *arg, int *ret_fd)
{
	return sync_connect(arg, ret_fd);
}

static void describe(void *arg, struct announcement *ret_announcement)
{
	const struct announce_command *command = arg;

	announce_describe_machine(ret_announcement);
	ret_announcement->name = xstrdup(command->name);
}

/* For the program that has started this one. */
static void tell_change(void *arg, const struct err *err)
{
	(void)arg;
	if (err)
		printf("lost %s\n", err_message(err));
	else
		puts("connected");
	fflush(stdout);
}

/* What reads standard input, until it ends or `stop` does. */
struct reader {
	struct announcer *announcer;
	int stop;
	char line[4096]; /* what has come of it; of a longer one the rest is dropped */
	size_t bytes;
};

static void take_line(struct reader *reader)
{
	const char *reason;
	enum wire_phase phase = WIRE_PHASE_SAME;
	struct err *err;
	size_t word;

	reader->line[reader->bytes] = '\0';
	word = strcspn(reader->line, " :\t");
	reason = reader->line + word + strspn(reader->line + word, " :\t");
	reader->bytes = 0;
	if (!*reader->line)
		return;
	err = take_phase(reader->line, word, &phase);
	if (err)
		fprintf(stderr, "p2v: warning: standard input: %s\n", err_message(err));
	else
		announcer_tell(reader->announcer, phase, *reason ? reason : NULL);
	err_free(err);
}

static void take_input(struct reader *reader, const char *input, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		if (input[i] == '\n')
			take_line(reader);
		else if (reader->bytes < sizeof reader->line - 1)
			reader->line[reader->bytes++] = input[i];
	}
}

static void *read_phases(void *arg)
{
	struct reader *reader = arg;
	struct pollfd wait[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = reader->stop}};
	char input[4096];

	for (;;) {
		ssize_t got;

		if (poll(wait, 2, -1) < 0 && errno == EINTR)
			continue;
		if (wait[1].revents)
			return NULL;
		got = read(STDIN_FILENO, input, sizeof input);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		take_input(reader, input, got);
	}
	take_line(reader); /* the last one may have no end */
	announcer_end(reader->announcer);
	return NULL;
}

static struct err *announce_while_told(const struct announce_command *command,
				       const struct announce_options *options)
{
	CLEANUP_ANNOUNCER struct announcer *announcer = NULL;
	struct reader reader = {0};
	pthread_t thread;
	int stop[2], errnum;
	struct err *err;

	TRY(announcer_create(options, &announcer));
	announcer_tell(announcer, command->phase ?: WIRE_PHASE_BOOTED, command->reason);
	if (pipe2(stop, O_CLOEXEC))
		return err_from_errno(errno, "pipe");
	reader.announcer = announcer;
	reader.stop = stop[0];
	errnum = pthread_create(&thread, NULL, read_phases, &reader);
	err = errnum ? err_from_errno(errnum, "thread") : announcer_run(announcer);
	close(stop[1]);
	if (!errnum)
		pthread_join(thread, NULL);
	close(stop[0]);
	return err;
}

static struct err *bring_bundle(const struct announce_options *options, const char *path)
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_advise(err_as(err_from_errno(errno, "%s", path), ERR_REFUSED),
				  "name the bundle's file");
	return err_wrap(announce_bundle(options, fd), "%s", path);
}

static struct err *announce(struct announce_command *command)
{
	const struct announce_options options = {
		.key = command->key,
		.connect = connect_to,
		.connect_arg = &command->address,
		.describe = describe,
		.describe_arg = command,
		.changed = tell_change,
	};

	return command->bundle ? bring_bundle(&options, command->bundle)
			       : announce_while_told(command, &options);
}

static struct err *check_and_announce(int argc, char **argv, struct announce_command *command)
{
	if (optind + 1 != argc)
		return err_advise(err_usage("announce: one receiver is wanted"),
				  "'p2v announce --help' tells more");
	TRY(sync_address_parse(argv[optind], &command->address));
	if (!command->name)
		command->name = sync_machine_name();
	if (!wire_is_job_name(command->name, strlen(command->name)))
		return err_advise(err_usage("'%s' cannot be the name of a machine", command->name),
				  "give it another with --name: up to %u letters, digits, '.', '_' and '-', "
				  "the first not a '.'",
				  WIRE_MAX_NAME_BYTES);
	if (command->bundle && (command->phase || command->reason))
		return err_advise(err_usage("announce: a bundle is brought alone"),
				  "leave --phase and --reason out, or --bundle");
	if (!command->key)
		TRY(sync_ask_key(&command->key));
	return announce(command);
}

struct err *cmd_announce(int argc, char **argv)
{
	CLEANUP(command_deinit) struct announce_command command = {0};
	bool help = false;

	sync_forbid_core_files();
	/* Whenever it ends, nothing is lost: there is nothing to say about that. */
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	TRY(cmd_take_options(argc, argv, long_options, take_option, &command, print_help, &help));
	return help ? NULL : check_and_announce(argc, argv, &command);
}
