/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * p2v send: brings disks to a receiver, and goes on where it was when the line
 * breaks.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "p2v/base/mem.h"
#include "p2v/base/self.h"
#include "p2v/cmd/send-disks.h"
#include "p2v/cmd/send-live.h"
#include "p2v/cmd/send-machine.h"
#include "p2v/cmd/send-report.h"
#include "p2v/cmd/sync.h"
#include "p2v/sync/sender.h"

#define MAX_IDLE_TRIES 5 /* in a row that have brought nothing over */
#define MAX_PAUSE_SECONDS 30
#define MAX_SECONDS 86400 /* that can be asked for */
#define FIND_KEY                                                                                            \
	"copy the receiver's key file (by default .pairing-key in its --dir), or leave --key-file out and " \
	"type the key"

enum {
	OPT_KEY = 256,
	OPT_KEY_FILE,
	OPT_DISK,
	OPT_NAME,
	OPT_LIMIT,
	OPT_VERIFY,
	OPT_READ_ERROR,
	OPT_IN_USE,
	OPT_ALL,
	OPT_LIVE,
	OPT_CUTOVER,
	OPT_MODE,
	OPT_DOWNTIME,
	OPT_MAX_FREEZE,
	OPT_QUIESCE,
	OPT_PRE_FREEZE,
	OPT_POST_FREEZE,
	OPT_FENCE,
	OPT_TRACKER,
	OPT_JSON
};

static const struct option long_options[] = {
	{"key", required_argument, NULL, OPT_KEY},
	{"key-file", required_argument, NULL, OPT_KEY_FILE},
	{"disk", required_argument, NULL, OPT_DISK},
	{"name", required_argument, NULL, OPT_NAME},
	{"limit", required_argument, NULL, OPT_LIMIT},
	{"verify", no_argument, NULL, OPT_VERIFY},
	{"on-read-error", required_argument, NULL, OPT_READ_ERROR},
	{"in-use", no_argument, NULL, OPT_IN_USE},
	{"all", no_argument, NULL, OPT_ALL},
	{"live", no_argument, NULL, OPT_LIVE},
	{"cutover", no_argument, NULL, OPT_CUTOVER},
	{"mode", required_argument, NULL, OPT_MODE},
	{"downtime", required_argument, NULL, OPT_DOWNTIME},
	{"max-freeze", required_argument, NULL, OPT_MAX_FREEZE},
	{"quiesce", required_argument, NULL, OPT_QUIESCE},
	{"pre-freeze", required_argument, NULL, OPT_PRE_FREEZE},
	{"post-freeze", required_argument, NULL, OPT_POST_FREEZE},
	{"fence", required_argument, NULL, OPT_FENCE},
	{"tracker", required_argument, NULL, OPT_TRACKER},
	{"json", no_argument, NULL, OPT_JSON},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

struct send_options {
	struct sync_address address;
	struct key *key;
	struct strv disks;
	char *name;
	uint64_t limit_bytes_per_second;
	unsigned flags; /* SENDER_ */
	unsigned disk_flags; /* SEND_ */
	bool is_live, needs_live; /* --live was said; what belongs to it was */
	struct send_live_options live;
	bool json;
	unsigned verbose;
};

static void options_deinit(struct send_options *options)
{
	sync_address_deinit(&options->address);
	key_destroy(options->key);
	strv_deinit(&options->disks);
	strv_deinit(&options->live.quiesce);
	free(options->name);
}

static void print_help(void)
{
	fputs("p2v send HOST[:PORT] [--disk DISK ...] [options]\n"
	      "\n"
	      "Brings disks, devices or images, to 'p2v receive' on HOST.  Sources are only read.  What is "
	      "there\n"
	      "already does not travel again: after an interruption, or a year.\n"
	      "\n"
	      "  --disk DISK            a device or image; may be repeated.  Default: the disks of this "
	      "machine\n"
	      "                         that 'p2v scan' says are taken\n"
	      "  --key-file FILE        holds the pairing key that the receiver shows; without it, it is "
	      "asked for\n"
	      "  --key KEY              the key itself (other users of this machine may see it)\n"
	      "  --name NAME            of the job at the receiver; default: this machine's name\n"
	      "  --limit RATE           at most so many bytes a second: 10M\n"
	      "  --verify               the receiver reads all of its copies again at the end\n"
	      "  --on-read-error WHAT   stop (default), or zero: send zeros for what cannot be read\n"
	      "  --all                  also what no file system uses; left out it reads as zeros there\n"
	      "  --in-use               send disks although they are mounted: the copy is as after a power "
	      "cut\n"
	      "  --live                 send them while the server works, then wait for 'p2v cutover'\n"
	      "  --cutover              cut over by itself as soon as little enough is left\n"
	      "  --mode WHAT            of the cutover: freeze (default), or shutdown: the server shuts "
	      "down, "
	      "and\n"
	      "                         what is sent last are its file systems as they are unmounted\n"
	      "  --downtime SECONDS     little enough: what a cutover would take (default 5)\n"
	      "  --max-freeze SECONDS   the server goes on after that, whatever happens (default 30)\n"
	      "  --quiesce SERVICE      bring it to rest before the freeze: postgresql, mariadb, or "
	      "unit:NAME,\n"
	      "                         a systemd unit; may be repeated; it goes on if the server does\n"
	      "  --pre-freeze COMMAND   run before the freeze; --post-freeze COMMAND if the server goes on\n"
	      "  --fence WHAT           what becomes of the server then: frozen (default), network: its\n"
	      "                         interfaces go down too, poweroff, or none: it goes on as well\n"
	      "  --tracker TIER         how writes are noticed: auto (default), bpf, blktrace,\n"
	      "                         tracepoints, hash; bpf,no-mmap and the like: without mapped memory\n"
	      "  --json                 progress and result as JSON\n"
	      "  --verbose              tell each step, and why parts of disks are sent whole\n",
	      stdout);
}

/* The option's text is overwritten: the list of processes shows it. */
static struct err *take_key(struct send_options *options)
{
	struct err *err = key_parse(optarg, &options->key);

	explicit_bzero(optarg, strlen(optarg));
	return err;
}

static struct err *one_key(void)
{
	return err_advise(err_usage("send: one key is enough"), "say either --key-file or --key, once");
}

static struct err *take_read_error(struct send_options *options)
{
	if (!strcmp(optarg, "zero"))
		options->flags |= SENDER_ZERO_UNREADABLE;
	else if (strcmp(optarg, "stop"))
		return err_advise(err_usage("--on-read-error: '%s' is not known", optarg),
				  "say stop or zero");
	return NULL;
}

static struct err *parse_seconds(const char *what, const char *text, uint64_t *ret_ns)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end || !(seconds > 0) || seconds > MAX_SECONDS)
		return err_advise(err_usage("%s: '%s' is no number of seconds", what, text),
				  "say 10 or 0.5, for example");
	*ret_ns = seconds * 1e9;
	return NULL;
}

static struct err *take_live_option(struct send_live_options *live, int option)
{
	switch (option) {
	case OPT_DOWNTIME:
		return parse_seconds("--downtime", optarg, &live->downtime_ns);
	case OPT_MAX_FREEZE:
		return parse_seconds("--max-freeze", optarg, &live->max_freeze_ns);
	case OPT_MODE:
		return send_live_parse_mode(optarg, &live->mode);
	case OPT_FENCE:
		return send_live_parse_fence(optarg, &live->fence);
	case OPT_QUIESCE:
		strv_add(&live->quiesce, optarg);
		break;
	case OPT_PRE_FREEZE:
		live->pre_freeze = optarg;
		break;
	case OPT_POST_FREEZE:
		live->post_freeze = optarg;
		break;
	case OPT_TRACKER:
		live->tracker = optarg;
		break;
	case OPT_CUTOVER:
		live->cuts_over = true;
		break;
	}
	return NULL;
}

static struct err *take_option(void *arg, int option)
{
	struct send_options *options = arg;

	if (option >= OPT_LIVE && option <= OPT_TRACKER) {
		options->needs_live |= option != OPT_LIVE;
		options->is_live |= option == OPT_LIVE;
		return take_live_option(&options->live, option);
	}

	switch (option) {
	case OPT_KEY:
		return options->key ? one_key() : take_key(options);
	case OPT_KEY_FILE:
		return options->key ? one_key() : err_advise(key_read_file(optarg, &options->key), FIND_KEY);
	case OPT_DISK:
		strv_add(&options->disks, optarg);
		return NULL;
	case OPT_NAME:
		free(options->name);
		options->name = xstrdup(optarg);
		return NULL;
	case OPT_LIMIT:
		return size_parse("--limit", optarg, &options->limit_bytes_per_second);
	case OPT_READ_ERROR:
		return take_read_error(options);
	}
	options->flags |= option == OPT_VERIFY ? SENDER_VERIFY : 0;
	options->disk_flags |= option == OPT_IN_USE ? SEND_IN_USE : 0;
	options->disk_flags |= option == OPT_ALL ? SEND_ALL : 0;
	options->json |= option == OPT_JSON;
	options->verbose += option == 'v';
	return NULL;
}

static struct err *connect_to(void *arg, int *ret_fd)
{
	return sync_connect(arg, ret_fd);
}

/* 1, 2, 4… seconds. */
static void pause_before(unsigned tries)
{
	struct timespec pause = {tries < 5 ? 1 << tries : MAX_PAUSE_SECONDS, 0};

	nanosleep(&pause, NULL);
}

/* One try, with a progress of its own. */
static struct err *try_once(const struct send_options *options, struct send_live *live,
			    struct sender_options *sender, struct sender_result *result)
{
	struct err *err;

	sender->progress = progress_create(stderr, options->json ? PROGRESS_JSON : PROGRESS_AUTO, "send", 0);
	err = sender_run(sender, result);
	/* Before anything is written: a file that takes it may be frozen. */
	if (live)
		err = send_live_end(live, err);
	progress_destroy(sender->progress);
	return err;
}

/* ret_result sums up all tries, but for what cannot be read, which is the last one's. */
static struct err *send_until_done(const struct send_options *options, struct send_live *live,
				   struct sender_options *sender, struct sender_result *ret_result)
{
	uint64_t read_bytes = 0, content_bytes = 0, wire_bytes = 0;

	for (unsigned idle_tries = 0;; idle_tries++) {
		CLEANUP_SENDER_RESULT struct sender_result result = {0};
		struct err *err = try_once(options, live, sender, &result);

		read_bytes += result.read_bytes;
		content_bytes += result.content_bytes;
		wire_bytes += result.wire_bytes;
		if (result.content_bytes)
			idle_tries = 0;
		/* What has never worked is no interruption, but a wrong name or a receiver that is not there.
		 */
		if (!err || err_kind(err) != ERR_FAILED || !wire_bytes || idle_tries + 1 >= MAX_IDLE_TRIES) {
			*ret_result = result;
			ret_result->read_bytes = read_bytes;
			ret_result->content_bytes = content_bytes;
			ret_result->wire_bytes = wire_bytes;
			memset(&result, 0, sizeof result);
			return err;
		}
		log_warning(sender->log, "%s: trying again", err_message(err));
		err_free(err);
		pause_before(idle_tries);
	}
}

/* Before it is complete: a copy of a disk that has changed meanwhile is of no moment at all. */
static struct err *check_changes(void *arg)
{
	const struct send_disks *disks = arg;

	for (size_t i = 0; i < disks->count; i++) {
		uint64_t bytes;
		char text[FORMAT_BYTES];

		if (!send_disk_has_changed(&disks->disks[i], &bytes))
			continue;
		return err_advise(err_refused("%s: was written to while it was read%s%s",
					      disks->disks[i].path, bytes ? ": " : "",
					      bytes ? format_size(bytes, text) : ""),
				  "see that nothing uses it, and run the same command again: only what "
				  "differs travels");
	}
	return NULL;
}

static struct err *start_live(struct send_options *options, const struct send_disks *disks,
			      struct sender_options *sender, struct send_live **ret_live)
{
	options->live.job = options->name;
	options->live.takes_all = options->disk_flags & SEND_ALL;
	options->live.log = sender->log;
	TRY(send_live_open(disks, &options->live, ret_live));
	sender->live = send_live_for_sender(*ret_live);
	sender->before_commit = send_live_may_commit;
	sender->before_commit_arg = *ret_live;
	sender->log = send_live_log(*ret_live);
	return NULL;
}

static struct err *send_disks(struct send_options *options)
{
	struct log log = cmd_log(options->verbose);
	CLEANUP_SEND_DISKS struct send_disks disks = {0};
	CLEANUP_FREE char *machine_json = NULL;
	CLEANUP_SENDER_RESULT struct sender_result result = {0};
	CLEANUP_SEND_LIVE struct send_live *live = NULL;
	bool is_in_use = options->disk_flags & SEND_IN_USE;
	struct sender_options sender = {
		.key = options->key,
		.connect = connect_to,
		.connect_arg = &options->address,
		.name = options->name,
		.limit_bytes_per_second = options->limit_bytes_per_second,
		.before_commit = is_in_use || options->is_live ? NULL : check_changes,
		.before_commit_arg = &disks,
		.flags = options->flags,
		.log = &log,
	};
	struct err *err;

	/* Progress is JSON, too, and where the log goes. */
	if (options->json && !options->verbose)
		log.max_level = LOG_LEVEL_WARNING;
	if (getrandom(sender.run, sizeof sender.run, 0) != sizeof sender.run)
		return err_from_errno(errno, "random numbers for a run");
	if (!options->disks.count)
		TRY(send_choose_disks(&log, &options->disks));
	/* What of a disk in use is used, and when, send-live.c knows. */
	TRY(send_disks_open(&options->disks, options->is_live ? SEND_IN_USE | SEND_ALL : options->disk_flags,
			    &log, &disks));
	if (disks.machine.disk_count)
		TRY(send_describe_machine(&disks.machine, &machine_json));
	if (options->json)
		send_report_disks(&disks);
	sender.machine_json = machine_json;
	sender.disks = disks.for_sender;
	sender.disk_count = disks.count;
	if (options->is_live)
		TRY(start_live(options, &disks, &sender, &live));
	err = send_until_done(options, live, &sender, &result);
	send_report_unreadable(&disks, &result, &log);
	if (is_in_use && !live)
		send_report_changes(&disks, &log);
	return err ? err : send_report(options->name, options->json, &disks, &result);
}

static struct err *check_and_send(int argc, char **argv, struct send_options *options)
{
	if (optind + 1 != argc)
		return err_advise(err_usage("send: one receiver is wanted"), "'p2v send --help' tells more");
	TRY(sync_address_parse(argv[optind], &options->address));
	if (options->needs_live && !options->is_live)
		return err_advise(err_usage("send: an option needs --live"),
				  "say --live as well, or leave out "
				  "--cutover, --mode, --downtime, --max-freeze, --quiesce, --pre-freeze, "
				  "--post-freeze, --fence, "
				  "--tracker");
	if (options->live.mode == LIVE_MODE_SHUTDOWN && (options->live.fence || options->live.quiesce.count))
		return err_advise(
			err_usage("send: --mode shutdown goes with neither --fence nor --quiesce"),
			"leave them out: the server stops its services itself, and ends switched off");
	if (!options->name)
		options->name = sync_machine_name();
	if (!options->key)
		TRY(sync_ask_key(&options->key));
	return send_disks(options);
}

static struct err *take_mode(void *arg, int option)
{
	return option == OPT_MODE ? send_live_parse_mode(optarg, arg) : NULL;
}

/* What outlives the server's disks must not lie on them.  Before anything is taken: the key is, once. */
static struct err *leave_disks(int argc, char **argv, bool *ret_help)
{
	CLEANUP_FREE char **all = xcalloc(argc + 2, sizeof *all);
	enum live_mode mode = LIVE_MODE_FREEZE;

	TRY(cmd_take_options(argc, argv, long_options, take_mode, &mode, print_help, ret_help));
	if (*ret_help || mode != LIVE_MODE_SHUTDOWN)
		return NULL;
	all[0] = (char[]){"@p2v-agent"};
	memcpy(all + 1, argv, argc * sizeof *argv);
	return self_move_to_memory(all);
}

struct err *cmd_send(int argc, char **argv)
{
	CLEANUP(options_deinit) struct send_options options = {0};
	bool help = false;

	sync_forbid_core_files();
	sync_tell_of_interruptions();
	TRY(leave_disks(argc, argv, &help));
	if (help)
		return NULL;
	TRY(cmd_take_options(argc, argv, long_options, take_option, &options, print_help, &help));
	return help ? NULL : check_and_send(argc, argv, &options);
}
