/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * MariaDB, or MySQL: all tables are flushed and locked (FLUSH TABLES WITH READ LOCK,
 * which every version has) by a session that is held open up to the freeze; so tables
 * without a log of their own (MyISAM, Aria) are whole in the copy, too.  InnoDB would
 * be without that.
 *
 * The lock goes with the session, and the session with us, whatever ends us.  Who
 * cannot have the lock soon does not wait for it: all others would wait for him.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/cmd/live-quiesce-impl.h"

#define LOCKED_LINE "p2v: locked"
#define LOCK_WAIT_SECONDS "30"
#define END_NS 5000000000ull

/* A client that takes its orders from our end of a socket, and answers there. */
struct session {
	struct child *client;
	int fd;
};

static const char *client_name(void)
{
	return run_is_installed("mariadb") ? "mariadb" : "mysql";
}

static char *socket_option(const struct quiesce_service *service)
{
	return service->argument ? xasprintf("--socket=%s", service->argument) : NULL;
}

static struct err *check(const struct quiesce_service *service)
{
	CLEANUP_FREE char *socket = socket_option(service);
	const char *const argv[] = {client_name(), "--batch", "--execute=SELECT 1", socket, NULL};
	const struct run_options options = {.time_limit_ns = QUIESCE_LIMIT_NS, .log = service->log};

	return err_advise(run_argv(argv, &options, NULL),
			  "see that root can log in without a password, by its socket or /root/.my.cnf");
}

/* Up to the line that says so; what came instead is the last thing that the client has said. */
static struct err *wait_for_lock(int fd)
{
	uint64_t end_ns = run_now_ns() + QUIESCE_LIMIT_NS;
	CLEANUP_TEXT struct text said = {0};
	char piece[512];
	ssize_t got;

	for (;;) {
		struct pollfd input = {.fd = fd, .events = POLLIN};
		uint64_t now_ns = run_now_ns();

		if (now_ns >= end_ns || poll(&input, 1, (end_ns - now_ns) / 1000000 + 1) <= 0)
			return err_failed("its tables were not locked in time");
		got = read(fd, piece, sizeof piece);
		if (got <= 0)
			break;
		text_add(&said, piece, got);
		if (strstr(said.data, LOCKED_LINE "\n"))
			return NULL;
	}
	if (said.bytes && said.data[said.bytes - 1] == '\n')
		said.data[said.bytes - 1] = '\0';
	return err_failed("its tables cannot be locked: %s", said.bytes ? said.data : "the client has ended");
}

static struct err *begin(struct quiesce_service *service)
{
	static const char orders[] = "SET SESSION lock_wait_timeout=" LOCK_WAIT_SECONDS ";\n"
				     "FLUSH TABLES WITH READ LOCK;\n"
				     "SELECT '" LOCKED_LINE "';\n";
	CLEANUP_FREE char *socket = socket_option(service);
	const char *const argv[] = {
		client_name(), "--batch", "--skip-column-names", "--unbuffered", "--skip-reconnect",
		socket,	       NULL};
	struct session *session = xcalloc(1, sizeof *session);
	CLEANUP_FD int theirs = -1;
	int ends[2];

	session->fd = -1;
	service->state = session;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return err_from_errno(errno, "socketpair");
	session->fd = ends[0];
	theirs = ends[1];
	TRY(child_start_on(argv, (const int[3]){theirs, theirs, theirs}, NULL, &session->client));
	if (send(session->fd, orders, sizeof orders - 1, MSG_NOSIGNAL) != sizeof orders - 1)
		return err_failed("the client does not listen");
	close(theirs);
	theirs = -1;
	return wait_for_lock(session->fd);
}

/* The end of its orders is the end of the client. */
static struct err *undo(struct quiesce_service *service)
{
	struct session *session = take_ptr(service->state);

	if (!session)
		return NULL;
	if (session->fd >= 0)
		close(session->fd);
	if (session->client)
		(void)child_wait(session->client, END_NS);
	child_stop(session->client, END_NS);
	free(session);
	return NULL;
}

const struct quiesce_kind quiesce_mariadb = {.name = "mariadb", .check = check, .begin = begin, .undo = undo};
