/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "iso/live-presence.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "iso/live-key-file.h"
#include "iso/live-lines.h"
#include "p2v/base/mem.h"
#include "p2v/base/run.h"

#define LAST_WORDS_NS 3000000000
#define BRING_LIMIT_NS 600000000000
#define PAUSE_NS 10000000000 /* before a child that ended is started again */

struct live_presence {
	struct live_presence_options options;
	char *name, *key_file;
	char *last; /* what was told last, a line */
	struct child *child;
	int input; /* the child's; -1: none */
	struct live_lines lines;
	enum live_presence_state state;
	char *why;
	bool is_told; /* the message of an error was: what follows is advice */
	uint64_t try_again_ns;
};

static char *make_key_file(const struct live_presence_options *options)
{
	return xasprintf("%s/announce.key", options->run_dir);
}

static void make_arguments(const struct live_presence_options *options, const char *key_file,
			   struct strv *argv)
{
	strv_add(argv, options->program);
	strv_add(argv, "announce");
	strv_addf(argv, "--key-file=%s", key_file);
	strv_addf(argv, "--name=%s", options->name);
}

static struct err *start_child(struct live_presence *presence)
{
	const struct run_options options = {.log = presence->options.log};
	CLEANUP_STRV struct strv argv = {0};
	CLEANUP_FD int output = -1, theirs = -1, ours = -1;
	int ends[2];

	TRY(live_key_file_write(presence->key_file, presence->options.config->key));
	make_arguments(&presence->options, presence->key_file, &argv);
	strv_add(&argv, "--");
	strv_add(&argv, presence->options.config->server);
	/* A socket, so that writing to a child that has ended cannot end us. */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return err_from_errno(errno, "socket");
	ours = ends[0];
	theirs = ends[1];
	live_lines_end(&presence->lines);
	TRY(live_lines_begin(&presence->lines, &output));
	TRY(child_start_on((const char *const *)argv.items, (const int[3]){theirs, output, output}, &options,
			   &presence->child));
	presence->input = take_fd(&ours);
	presence->is_told = false;
	return NULL;
}

static void say(struct live_presence *presence)
{
	if (presence->input >= 0 && presence->last)
		(void)!send(presence->input, presence->last, strlen(presence->last),
			    MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void end_child(struct live_presence *presence, uint64_t grace_ns)
{
	if (presence->input >= 0)
		close(presence->input);
	presence->input = -1;
	if (presence->child && grace_ns)
		child_wait(presence->child, grace_ns);
	child_stop(take_ptr(presence->child), 0);
	live_key_file_remove(presence->key_file);
}

struct err *live_presence_start(const struct live_presence_options *options,
				struct live_presence **ret_presence)
{
	struct live_presence *presence = xcalloc(1, sizeof *presence);
	struct err *err;

	presence->options = *options;
	presence->name = xstrdup(options->name);
	presence->options.name = presence->name;
	presence->key_file = make_key_file(options);
	presence->input = presence->lines.fd = -1;
	err = start_child(presence);
	if (err)
		live_presence_stop(presence);
	else
		*ret_presence = presence;
	return err;
}

static void set_why(struct live_presence *presence, const char *why)
{
	free(presence->why);
	presence->why = xstrdup(why);
}

/* Its own two words, or "NAME: MESSAGE" and "NAME: ADVICE" of an error that ends it. */
static void take_line(struct live_presence *presence, const char *line)
{
	const char *message = strstr(line, ": ");

	if (!strcmp(line, "connected")) {
		log_info(presence->options.log, "the receiver knows of this machine");
		presence->state = LIVE_HEARD;
		set_why(presence, NULL);
	} else if (str_starts_with(line, "lost ")) {
		log_info(presence->options.log, "announce: %s", line);
		presence->state = LIVE_UNHEARD;
		set_why(presence, line + strlen("lost "));
	} else if (message && !presence->is_told) {
		log_info(presence->options.log, "announce: %s", message + 2);
		presence->is_told = true;
		set_why(presence, message + 2);
	}
}

enum live_presence_state live_presence_look(struct live_presence *presence, const char **ret_why)
{
	int status = presence->child ? child_wait(presence->child, 0) : -1;
	char *line;

	while ((line = live_lines_take(&presence->lines))) {
		take_line(presence, line);
		free(line);
	}
	if (status >= 0) {
		end_child(presence, 0);
		presence->state = status == ERR_REFUSED || status == ERR_USAGE ? LIVE_UNWANTED : LIVE_UNHEARD;
		presence->try_again_ns = run_now_ns() + PAUSE_NS;
	} else if (!presence->child && presence->state != LIVE_UNWANTED &&
		   run_now_ns() >= presence->try_again_ns) {
		presence->try_again_ns = run_now_ns() + PAUSE_NS;
		err_free(start_child(presence));
		say(presence);
	}
	*ret_why = presence->why;
	return presence->state;
}

void live_presence_tell(struct live_presence *presence, const char *phase, const char *reason)
{
	char *line;

	if (!presence)
		return;
	line = xasprintf("%s%s%s\n", phase, reason ? " " : "", reason ? reason : "");
	if (presence->last && !strcmp(presence->last, line)) {
		free(line);
		return;
	}
	free(presence->last);
	presence->last = line;
	say(presence);
}

void live_presence_stop(struct live_presence *presence)
{
	if (!presence)
		return;
	end_child(presence, presence->state == LIVE_HEARD ? LAST_WORDS_NS : 0);
	live_lines_end(&presence->lines);
	free(presence->name);
	free(presence->key_file);
	free(presence->last);
	free(presence->why);
	free(presence);
}

struct err *live_presence_bring(const struct live_presence_options *options, const char *path)
{
	CLEANUP_FREE char *key_file = xasprintf("%s/bundle.key", options->run_dir);
	const struct run_options run = {.log = options->log, .time_limit_ns = BRING_LIMIT_NS};
	CLEANUP_STRV struct strv argv = {0};
	struct err *err;

	TRY(live_key_file_write(key_file, options->config->key));
	make_arguments(options, key_file, &argv);
	strv_addf(&argv, "--bundle=%s", path);
	strv_add(&argv, "--");
	strv_add(&argv, options->config->server);
	err = run_argv((const char *const *)argv.items, &run, NULL);
	live_key_file_remove(key_file);
	return err;
}
