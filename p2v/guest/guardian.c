/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The guardian reads messages of one size from a socket; end of file without a
 * dismissal means that we are gone.  It is forked from a process that may have
 * threads: so it allocates nothing and calls nothing but the kernel.
 */
#include "p2v/guest/guardian.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "p2v/base/mem.h"

struct guardian {
	pid_t pid;
	int socket;
};

struct message {
	enum { MESSAGE_GROUP, MESSAGE_SOCKET, MESSAGE_DISMISS } kind;
	pid_t group;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

static void guard(int socket)
{
	struct message last_socket = {0};
	struct message message;
	pid_t group = 0;
	ssize_t got;

	setsid();
	prctl(PR_SET_NAME, "p2v-guardian");
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	dup2(socket, 0);
	close_range(1, ~0u, 0);
	while ((got = recv(0, &message, sizeof message, 0)) == sizeof message ||
	       (got < 0 && errno == EINTR)) {
		if (got < 0)
			continue;
		if (message.kind == MESSAGE_DISMISS)
			_exit(0);
		if (message.kind == MESSAGE_GROUP)
			group = message.group;
		else
			last_socket = message;
	}
	if (group > 1)
		kill(-group, SIGKILL);
	if (last_socket.path[0]) {
		char *slash = strrchr(last_socket.path, '/');

		unlink(last_socket.path);
		*slash = '\0';
		rmdir(last_socket.path);
	}
	_exit(0);
}

struct err *guardian_start(struct guardian **ret_guardian)
{
	struct guardian *guardian;
	int ends[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return err_from_errno(errno, "socketpair");
	pid = fork();
	if (pid == 0) {
		close(ends[1]);
		guard(ends[0]);
	}
	close(ends[0]);
	if (pid < 0) {
		close(ends[1]);
		return err_from_errno(errno, "fork");
	}
	guardian = xcalloc(1, sizeof *guardian);
	*guardian = (struct guardian){pid, ends[1]};
	*ret_guardian = guardian;
	return NULL;
}

/* Should the guardian be gone, there is nobody to tell. */
static void tell(struct guardian *guardian, const struct message *message)
{
	(void)!send(guardian->socket, message, sizeof *message, MSG_NOSIGNAL);
}

void guardian_watch_group(struct guardian *guardian, pid_t group)
{
	tell(guardian, &(struct message){.kind = MESSAGE_GROUP, .group = group});
}

void guardian_watch_socket(struct guardian *guardian, const char *path)
{
	struct message message = {.kind = MESSAGE_SOCKET};

	if (strlen(path) >= sizeof message.path || path[0] != '/')
		return;
	memcpy(message.path, path, strlen(path) + 1);
	tell(guardian, &message);
}

void guardian_dismiss(struct guardian *guardian)
{
	if (!guardian)
		return;
	tell(guardian, &(struct message){.kind = MESSAGE_DISMISS});
	close(guardian->socket);
	waitpid(guardian->pid, NULL, 0);
	free(guardian);
}
