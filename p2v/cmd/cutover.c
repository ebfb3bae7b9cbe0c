/* SPDX-License-Identifier: GPL-3.0-or-later */
/* p2v cutover: tells the p2v send --live of this machine to freeze, send the rest, and hand over. */
#include <stdio.h>
#include <string.h>

#include "p2v/cmd/cmd.h"
#include "p2v/cmd/live-orders.h"

enum { OPT_STATUS = 256, OPT_END };

static const struct option long_options[] = {
	{"status", no_argument, NULL, OPT_STATUS},
	{"end", no_argument, NULL, OPT_END},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

static void print_help(void)
{
	fputs("p2v cutover [JOB] [--status | --end]\n"
	      "\n"
	      "Tells 'p2v send --live', which runs on this machine, to freeze the server, send what is left "
	      "and "
	      "complete\n"
	      "the copy.  If that fails the server goes on, and so does the sender.  JOB is the sender's "
	      "--name; it "
	      "may\n"
	      "be left out where there is one alone.\n"
	      "\n"
	      "  --status               tell how long a cutover would take now\n"
	      "  --end                  end the sender without a cutover\n",
	      stdout);
}

static struct err *take_option(void *arg, int option)
{
	enum live_word *word = arg;

	if (option == OPT_STATUS)
		*word = LIVE_WORD_STATUS;
	else if (option == OPT_END)
		*word = LIVE_WORD_END;
	return NULL;
}

static struct err *find_job(struct strv *ret_jobs)
{
	live_orders_list(LIVE_ORDERS_DIR, ret_jobs);
	if (!ret_jobs->count)
		return err_advise(err_refused("no 'p2v send --live' runs on this machine"),
				  "start it first, as root; cutover runs on the server itself");
	if (ret_jobs->count > 1)
		return err_advise(err_usage("cutover: there are several jobs: %s, %s, …", ret_jobs->items[0],
					    ret_jobs->items[1]),
				  "name one");
	return NULL;
}

static struct err *give(const char *job, enum live_word word)
{
	static const char failed[] = "failed: ", frozen[] = "frozen: ";
	CLEANUP_FREE char *answer = NULL;

	TRY(live_orders_give(LIVE_ORDERS_DIR, job, word, &answer));
	if (str_starts_with(answer, failed))
		return err_advise(err_failed("%s", answer + strlen(failed)),
				  "the server goes on, and the sender too where it can: see its messages");
	if (str_starts_with(answer, frozen))
		return err_advise(
			err_failed("the server stays frozen: %s", answer + strlen(frozen)),
			"ask 'p2v status' at the receiver whether the job is complete or held, and see "
			"the sender's last message");
	printf("%s: %s\n", job, strchr(answer, ' ') ? strchr(answer, ' ') + 1 : answer);
	return NULL;
}

struct err *cmd_cutover(int argc, char **argv)
{
	enum live_word word = LIVE_WORD_CUTOVER;
	CLEANUP_STRV struct strv jobs = {0};
	bool help = false;

	TRY(cmd_take_options(argc, argv, long_options, take_option, &word, print_help, &help));
	if (help)
		return NULL;
	if (optind + 1 < argc)
		return err_advise(err_usage("cutover: one job is wanted"), "'p2v cutover --help' tells more");
	if (optind + 1 == argc)
		strv_add(&jobs, argv[optind]);
	else
		TRY(find_job(&jobs));
	return give(jobs.items[0], word);
}
