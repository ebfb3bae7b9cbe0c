/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The guardian is a forked copy of us in a session of its own, so that Ctrl-C
 * does not reach it.  It reads messages of one size from a socket; end of file
 * without a dismissal means that we are gone.  Our end closes on exec, so no
 * child of ours keeps it open.
 *
 * It is forked from a process that may have threads: so it allocates nothing
 * and calls nothing but the kernel.
 */
#include "p2v/base/guardian.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "p2v/base/mem.h"
#include "p2v/base/remove-tree.h"

/* Our other children die with us, but not before us: what they still make in a tree is removed as well. */
#define REMOVE_ATTEMPTS 100
#define REMOVE_INTERVAL_NS 50000000

struct guardian {
	pid_t pid;
	int socket;
};

struct message {
	enum { MESSAGE_MAKE_TREE, MESSAGE_SOCKET, MESSAGE_DISMISS } kind;
	int errnum; /* the answer to MESSAGE_MAKE_TREE */
	char path[PATH_MAX];
};

/* What is to be taken away; empty strings for nothing. */
struct charge {
	char tree[PATH_MAX];
	char socket[PATH_MAX];
};

static void take_away(struct charge *charge)
{
	if (charge->socket[0]) {
		unlink(charge->socket);
		*strrchr(charge->socket, '/') = '\0';
		rmdir(charge->socket);
	}
	for (int i = 0; charge->tree[0] && i < REMOVE_ATTEMPTS && !remove_tree(charge->tree); i++)
		nanosleep(&(struct timespec){.tv_nsec = REMOVE_INTERVAL_NS}, NULL);
}

/* The owner waits for the answer: so it knows that we hear no signal any more, and we of its folder. */
static void make_tree(struct charge *charge, struct message *message)
{
	message->errnum = mkdtemp(message->path) ? 0 : errno;
	if (!message->errnum)
		memcpy(charge->tree, message->path, sizeof message->path);
	(void)!send(0, message, sizeof *message, MSG_NOSIGNAL);
}

static void guard(int socket, void *arg)
{
	struct charge charge = {0};
	struct message message;
	ssize_t got;

	(void)arg;
	while ((got = recv(socket, &message, sizeof message, 0)) == sizeof message ||
	       (got < 0 && errno == EINTR)) {
		if (got < 0)
			continue;
		if (message.kind == MESSAGE_DISMISS)
			return;
		if (message.kind == MESSAGE_MAKE_TREE)
			make_tree(&charge, &message);
		else
			memcpy(charge.socket, message.path, sizeof charge.socket);
	}
	take_away(&charge);
}

/* All but 0 and those of the ascending list. */
static void close_others(const int *keep, size_t keep_count)
{
	unsigned next = 1;

	for (size_t i = 0; i < keep_count; i++) {
		if ((unsigned)keep[i] > next)
			close_range(next, keep[i] - 1, 0);
		next = keep[i] + 1;
	}
	close_range(next, ~0u, 0);
}

__attribute__((noreturn)) static void be_guardian(int socket, const struct guardian_charge *charge)
{
	setsid();
	prctl(PR_SET_NAME, charge->name);
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	dup2(socket, 0);
	close_others(charge->keep, charge->keep_count);
	charge->guard(0, charge->arg);
	_exit(0);
}

struct err *guardian_fork(const struct guardian_charge *charge, struct guardian **ret_guardian)
{
	struct guardian *guardian;
	int ends[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return err_from_errno(errno, "socketpair");
	pid = fork();
	if (pid == 0)
		be_guardian(ends[0], charge);
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

struct err *guardian_start(struct guardian **ret_guardian)
{
	const struct guardian_charge charge = {.name = "p2v-guardian", .guard = guard};

	return guardian_fork(&charge, ret_guardian);
}

void guardian_become(const char *const *argv)
{
	int null = open("/dev/null", O_RDWR);

	for (int fd = 0; fd < 3 && null >= 0; fd++)
		dup2(null, fd);
	signal(SIGHUP, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	execvp(argv[0], (char *const *)argv);
}

int guardian_socket(const struct guardian *guardian)
{
	return guardian->socket;
}

void guardian_let_go(struct guardian *guardian)
{
	close(guardian->socket);
	waitpid(guardian->pid, NULL, 0);
	free(guardian);
}

/* Should the guardian be gone, there is nobody to tell. */
static void tell(struct guardian *guardian, const struct message *message)
{
	(void)!send(guardian->socket, message, sizeof *message, MSG_NOSIGNAL);
}

int guardian_make_tree(struct guardian *guardian, char *template)
{
	struct message message = {.kind = MESSAGE_MAKE_TREE};
	size_t bytes = strlen(template) + 1;
	ssize_t got;

	if (bytes > sizeof message.path)
		return ENAMETOOLONG;
	memcpy(message.path, template, bytes);
	tell(guardian, &message);
	do
		got = recv(guardian->socket, &message, sizeof message, 0);
	while (got < 0 && errno == EINTR);
	if (got != sizeof message)
		return EPIPE;
	if (!message.errnum)
		memcpy(template, message.path, bytes);
	return message.errnum;
}

void guardian_watch_socket(struct guardian *guardian, const char *path)
{
	struct message message = {.kind = MESSAGE_SOCKET};
	size_t bytes = strlen(path) + 1;

	/* A path that no system call would take names nothing to remove. */
	if (path[0] != '/' || bytes > sizeof message.path)
		return;
	memcpy(message.path, path, bytes);
	tell(guardian, &message);
}

void guardian_dismiss(struct guardian *guardian)
{
	if (!guardian)
		return;
	tell(guardian, &(struct message){.kind = MESSAGE_DISMISS});
	guardian_let_go(guardian);
}
