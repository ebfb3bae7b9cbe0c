/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The lines are a promise: "p2v: sending", "p2v: waiting", "p2v: done" and "p2v: failed" begin a line
 * whenever that changes, for tests and for who reads a serial console's record.
 */
#include "iso/live-unattended.h"

#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "p2v/base/format.h"
#include "p2v/base/mem.h"
#include "p2v/base/run.h"

#define LOOK_MS 250
#define REPEAT_NS 10000000000 /* of a line that says the same */
#define FIND_AGAIN_NS 3000000000

struct unattended {
	struct live_state *state;
	FILE *out;
	int key_fd;
	char *last; /* the beginning of the last line, which says what is going on */
	uint64_t last_ns;
	uint64_t next_find_ns, next_network_ns; /* when disks and network are tried again */
};

bool live_unattended_can(const struct live_state *state)
{
	return state->config.server && state->config.key && !state->config.complaints.count;
}

/* A line, unless the last one was of the same kind a short time ago. */
static void say(struct unattended *run, const char *kind, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void say(struct unattended *run, const char *kind, const char *format, ...)
{
	CLEANUP_FREE char *text = NULL;
	va_list args;

	if (run->last && !strcmp(run->last, kind) && run_now_ns() - run->last_ns < REPEAT_NS)
		return;
	va_start(args, format);
	text = xvasprintf(format, args);
	va_end(args);
	fprintf(run->out, "p2v: %s\n", text);
	fflush(run->out);
	free(run->last);
	run->last = xstrdup(kind);
	run->last_ns = run_now_ns();
}

/* True if a key was pressed; the key itself is taken. */
static bool pause_for_key(struct unattended *run)
{
	struct pollfd fd = {.fd = run->key_fd, .events = POLLIN};
	char keys[64];

	if (poll(&fd, 1, LOOK_MS) <= 0)
		return false;
	if (read(run->key_fd, keys, sizeof keys) > 0)
		return true;
	run->key_fd = -1; /* nobody is there any more */
	return false;
}

static bool have_network(const struct live_state *state)
{
	CLEANUP_LIVE_LINKS struct live_links links = {0};

	live_state_look_at_links(state, &links);
	return state->options->keeps_network || live_links_have_address(&links);
}

/* Disks whose driver or path comes late. */
static void look_for_disks(struct unattended *run)
{
	struct live_state *state = run->state;

	if ((state->chosen.count && !state->disk_problem) || run_now_ns() < run->next_find_ns)
		return;
	err_free(live_state_find_disks(state));
	run->next_find_ns = run_now_ns() + FIND_AGAIN_NS;
}

/* An interface whose driver comes late, too. */
static void look_for_network(struct unattended *run)
{
	struct live_state *state = run->state;

	if (state->network || state->options->keeps_network || run_now_ns() < run->next_network_ns)
		return;
	err_free(live_state_set_up_network(state));
	run->next_network_ns = run_now_ns() + FIND_AGAIN_NS;
}

/* NULL, or what is waited for. */
static const char *find_what_lacks(struct unattended *run)
{
	const struct live_state *state = run->state;

	look_for_disks(run);
	look_for_network(run);
	if (state->disk_problem)
		return state->disk_problem;
	if (!state->chosen.count)
		return "for a disk that belongs to the machine";
	if (!have_network(state))
		return "for an address in the network: is a cable connected, and a DHCP server there?";
	return NULL;
}

/* True when all is there, false when a key was pressed. */
static bool wait_for_all(struct unattended *run)
{
	struct live_progress progress;
	const char *lacks;

	while ((lacks = find_what_lacks(run))) {
		say(run, lacks, "waiting %s", lacks);
		live_state_keep(run->state, &progress);
		if (pause_for_key(run))
			return false;
	}
	return true;
}

static void say_sending(struct unattended *run, const struct live_progress *progress)
{
	char done[FORMAT_BYTES], total[FORMAT_BYTES], rate[FORMAT_BYTES], left[FORMAT_BYTES];

	say(run, "sending", "sending: %.0f %% (%s of %s), %s/s, %s left",
	    progress->total_bytes ? progress->done_bytes * 100.0 / progress->total_bytes : 0.0,
	    format_size(progress->done_bytes, done), format_size(progress->total_bytes, total),
	    format_size(progress->bytes_per_second, rate),
	    progress->remaining_seconds ? format_seconds(progress->remaining_seconds, left) : "?");
}

static void say_begin(struct unattended *run)
{
	const struct live_state *state = run->state;
	CLEANUP_TEXT struct text disks = {0};

	for (size_t i = 0; i < state->chosen.count; i++)
		text_addf(&disks, "%s%s", i ? ", " : "", state->chosen.items[i]);
	say(run, "begin", "sending %s to %s as job %s; press Enter for the interface", disks.data,
	    state->config.server, state->name);
}

/* What a look showed; false when it is over. */
static bool tell(struct unattended *run, const struct live_progress *progress)
{
	switch (progress->phase) {
	case LIVE_CONNECTING:
		say(run, "connecting", "connecting to %s", run->state->config.server);
		return true;
	case LIVE_SENDING:
		say_sending(run, progress);
		return true;
	case LIVE_PAUSED:
		say(run, "waiting", "waiting: %s: trying again", progress->message);
		return true;
	case LIVE_DONE:
		say(run, "done", "done: all is at %s as job %s", run->state->config.server, run->state->name);
		return false;
	case LIVE_REFUSED:
		say(run, "failed", "failed: %s%s%s", progress->message, progress->advice ? "; " : "",
		    progress->advice ? progress->advice : "");
		return false;
	}
	return false;
}

static enum live_unattended_end send_all(struct unattended *run)
{
	struct live_progress progress;

	for (;;) {
		if (!live_state_keep(run->state, &progress))
			return LIVE_NOT_SENT;
		if (!tell(run, &progress))
			return progress.phase == LIVE_DONE ? LIVE_ALL_SENT : LIVE_NOT_SENT;
		if (pause_for_key(run))
			return LIVE_KEY_PRESSED;
	}
}

static enum live_unattended_end begin_and_send(struct unattended *run)
{
	struct err *err;

	if (!run->state->transfer) {
		if (!wait_for_all(run))
			return LIVE_KEY_PRESSED;
		say_begin(run);
		err = live_state_send(run->state);
		if (err) {
			say(run, "failed", "failed: %s", err_message(err));
			err_free(err);
			return LIVE_NOT_SENT;
		}
	}
	return send_all(run);
}

enum live_unattended_end live_unattended_run(struct live_state *state, FILE *out, int key_fd)
{
	struct unattended run = {.state = state, .out = out, .key_fd = key_fd};
	enum live_unattended_end end = begin_and_send(&run);

	free(run.last);
	return end;
}
