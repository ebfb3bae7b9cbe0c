/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "iso/live-end.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "p2v/base/run.h"

#define LAST_LINES_SECONDS 1

struct err *live_end_machine(struct live_state *state, enum live_after after)
{
	if (!state->options->may_end_machine)
		return err_advise(err_refused("this machine was not started from p2v's ISO"),
				  "end it as you are used to");
	live_transfer_stop(take_ptr(state->transfer));
	/* The receiver hears the last words. */
	live_presence_stop(take_ptr(state->presence));
	/* What was printed last is still on its way to slow consoles. */
	sleep(LAST_LINES_SECONDS);
	reboot(after == LIVE_AFTER_REBOOT ? RB_AUTOBOOT : RB_POWER_OFF);
	return err_from_errno(errno, after == LIVE_AFTER_REBOOT ? "reboot" : "power off");
}

/* The terminal belongs to one group of processes at a time: the shell's, then ours again. */
static void give_terminal(pid_t group)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN}, old;

	sigaction(SIGTTOU, &ignore, &old);
	tcsetpgrp(STDIN_FILENO, group);
	sigaction(SIGTTOU, &old, NULL);
}

struct err *live_end_shell(const struct live_state *state)
{
	const struct run_options options = {.log = state->log};
	const char *const argv[] = {getenv("SHELL") ?: "/bin/sh", NULL};
	CLEANUP_FD int terminal = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	struct child *child;

	if (terminal < 0)
		return err_from_errno(errno, "terminal");
	TRY(child_start_on(argv, (const int[3]){terminal, terminal, terminal}, &options, &child));
	give_terminal(child_pid(child));
	/* It may have asked for its terminal before it had it, and was stopped. */
	kill(-child_pid(child), SIGCONT);
	while (child_wait(child, 1000000000) < 0)
		;
	child_stop(child, 0);
	give_terminal(getpgrp());
	return NULL;
}
