/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A systemd unit is stopped, and started again where the cutover fails.  Should we
 * be killed meanwhile, a process of its own starts it (p2v/base/guardian.h).
 *
 * One that is not active is left alone.  The copy starts what is enabled there.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "p2v/base/guardian.h"
#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/cmd/live-quiesce-impl.h"

static struct err *systemctl(const struct quiesce_service *service, const char *verb, unsigned flags,
			     struct run_result *ret_result)
{
	const char *const argv[] = {"systemctl", verb, "--", service->argument, NULL};
	const struct run_options options = {
		.flags = flags, .time_limit_ns = QUIESCE_LIMIT_NS, .log = service->log};

	return run_argv(argv, &options, ret_result);
}

static struct err *check(const struct quiesce_service *service)
{
	CLEANUP_RUN_RESULT struct run_result result = {0};

	TRY(systemctl(service, "show", 0, &result));
	if (!strstr(result.out, "LoadState=loaded\n"))
		return err_advise(err_failed("there is no such unit"), "'systemctl list-units' shows all");
	return NULL;
}

/* Any word says that there is nothing to start. */
static void start_if_alone(int socket, void *arg)
{
	const char *const argv[] = {"systemctl", "start", "--", arg, NULL};
	char word;
	ssize_t got;

	do
		got = recv(socket, &word, 1, 0);
	while (got < 0 && errno == EINTR);
	if (got <= 0)
		guardian_become(argv);
}

static struct err *begin(struct quiesce_service *service)
{
	const struct guardian_charge charge = {
		.name = "p2v-start", .guard = start_if_alone, .arg = service->argument};
	CLEANUP_RUN_RESULT struct run_result result = {0};
	struct guardian *guardian;

	TRY(systemctl(service, "is-active", RUN_ANY_STATUS, &result));
	if (result.status) {
		log_info(service->log, "%s: is not active: it need not be stopped", service->argument);
		return NULL;
	}
	TRY(guardian_fork(&charge, &guardian));
	service->state = guardian;
	return systemctl(service, "stop", 0, NULL);
}

static void keep(struct quiesce_service *service)
{
	struct guardian *guardian = take_ptr(service->state);

	if (!guardian)
		return;
	(void)!send(guardian_socket(guardian), "", 1, MSG_NOSIGNAL);
	guardian_let_go(guardian);
}

static struct err *undo(struct quiesce_service *service)
{
	struct err *err;

	if (!service->state)
		return NULL;
	err = systemctl(service, "start", 0, NULL);
	keep(service);
	return err;
}

const struct quiesce_kind quiesce_unit = {
	.name = "unit", .needs_argument = true, .check = check, .begin = begin, .undo = undo, .keep = keep};
