/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "iso/live.h"

#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "iso/live-end.h"
#include "iso/live-interface.h"
#include "iso/live-unattended.h"

#define LOOK_MS 500

bool live_is_image(void)
{
	struct statfs root;

	/* An initramfs is one of these; no system that is installed is. */
	return !statfs("/", &root) && (root.f_type == RAMFS_MAGIC || root.f_type == TMPFS_MAGIC);
}

static void tell_problem(struct err *err)
{
	if (!err)
		return;
	printf("p2v: %s\n", err_message(err));
	if (err_advice(err))
		printf("p2v: %s\n", err_advice(err));
	err_free(err);
}

/* Whatever does not work is told, and can be mended at the interface. */
static void set_up(struct live_state *state)
{
	for (size_t i = 0; i < state->config.complaints.count; i++)
		printf("p2v: configuration: %s\n", state->config.complaints.items[i]);
	tell_problem(live_state_set_up_network(state));
	tell_problem(live_state_find_disks(state));
	live_state_announce(state);
	printf("p2v: ready: %zu disk%s to take\n", state->chosen.count, state->chosen.count == 1 ? "" : "s");
	fflush(stdout);
}

/* True if there is nothing left for the interface to do. */
static bool do_after(struct live_state *state)
{
	switch (state->config.after) {
	case LIVE_AFTER_POWEROFF:
	case LIVE_AFTER_REBOOT:
		printf("p2v: %s\n", live_after_name(state->config.after));
		fflush(stdout);
		tell_problem(live_end_machine(state, state->config.after));
		return !state->options->may_end_machine;
	case LIVE_AFTER_SHELL:
		tell_problem(live_end_shell(state));
		return false;
	case LIVE_AFTER_WAIT:
		break;
	}
	return false;
}

/* The lines stay on the screen until somebody comes. */
static void wait_for_somebody(struct live_state *state)
{
	struct pollfd fd = {.fd = STDIN_FILENO, .events = POLLIN};
	struct live_progress progress;
	char keys[64];

	puts("p2v: press Enter for the interface");
	fflush(stdout);
	while (poll(&fd, 1, LOOK_MS) <= 0)
		live_state_keep(state, &progress);
	(void)!read(STDIN_FILENO, keys, sizeof keys);
}

static void do_nothing(int signal_number)
{
	(void)signal_number;
}

/* Nobody at a console shall stop or suspend it by a key: there is nothing else there.  Handlers, as what is
 * ignored would be so for a shell of ours, too. */
static void survive_keys(void)
{
	static const int signals[] = {SIGINT, SIGQUIT, SIGTSTP};
	struct sigaction action = {.sa_handler = do_nothing, .sa_flags = SA_RESTART};

	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		sigaction(signals[i], &action, NULL);
}

struct err *live_run(const struct live_options *options)
{
	CLEANUP_LIVE_STATE struct live_state state = {0};

	if (options->may_end_machine)
		survive_keys();

	TRY(live_state_begin(options, &state));
	set_up(&state);
	if (live_unattended_can(&state)) {
		enum live_unattended_end end = live_unattended_run(&state, stdout, STDIN_FILENO);

		if (end == LIVE_ALL_SENT && do_after(&state))
			return NULL;
		if (end != LIVE_KEY_PRESSED)
			wait_for_somebody(&state);
	}
	return live_interface_run(&state);
}
