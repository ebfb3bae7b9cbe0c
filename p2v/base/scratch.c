/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The guardian is a forked copy of us in a session of its own, so that Ctrl-C
 * does not reach it.  It waits on a socket: a byte means that there is nothing
 * left to remove, end of file means that we are gone, however that came about.
 * Our end closes on exec, so no child of ours keeps it open.
 */
#include "p2v/base/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "p2v/base/mem.h"

struct scratch {
	char *path;
	pid_t guardian;
	int socket; /* to the guardian */
};

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	/* What cannot be removed stays; the walk goes on. */
	(void)!remove(path);
	return 0;
}

static void remove_tree(const char *path)
{
	nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static void guard(const char *path, int socket)
{
	char byte;
	ssize_t got;

	setsid();
	prctl(PR_SET_NAME, "p2v-guardian");
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	dup2(socket, 0);
	close_range(1, ~0u, 0);
	do {
		got = read(0, &byte, 1);
	} while (got < 0 && errno == EINTR);
	if (got <= 0)
		remove_tree(path);
	_exit(0);
}

static struct err *start_guardian(struct scratch *scratch)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return err_from_errno(errno, "socket");
	scratch->guardian = fork();
	if (!scratch->guardian) {
		close(ends[1]);
		guard(scratch->path, ends[0]);
	}
	close(ends[0]);
	scratch->socket = ends[1];
	if (scratch->guardian < 0) {
		close(ends[1]);
		return err_from_errno(errno, "fork");
	}
	return NULL;
}

struct err *scratch_create(const char *parent, const char *prefix, struct scratch **ret_scratch)
{
	struct scratch *scratch = xcalloc(1, sizeof *scratch);
	struct err *err = NULL;

	scratch->path = xasprintf("%s/%s.XXXXXX", parent, prefix);
	if (!mkdtemp(scratch->path)) {
		err = err_advise(err_from_errno(errno, "%s: cannot make a working folder there", parent),
				 "name a folder that exists and can be written, with space for the result");
	} else {
		err = start_guardian(scratch);
		if (err)
			rmdir(scratch->path);
	}
	if (err) {
		free(scratch->path);
		free(scratch);
		return err;
	}
	*ret_scratch = scratch;
	return NULL;
}

const char *scratch_path(const struct scratch *scratch)
{
	return scratch->path;
}

char *scratch_file(const struct scratch *scratch, const char *name)
{
	return xasprintf("%s/%s", scratch->path, name);
}

/* Ends the guardian and the struct; the folder is somebody else's from here on. */
static void scratch_release(struct scratch *scratch)
{
	/* Should the guardian be gone, there is nobody to tell. */
	if (send(scratch->socket, "x", 1, MSG_NOSIGNAL) == 1)
		waitpid(scratch->guardian, NULL, 0);
	close(scratch->socket);
	free(scratch->path);
	free(scratch);
}

struct err *scratch_commit(struct scratch **scratch, const char *final_path)
{
	if (chmod((*scratch)->path, 0755) ||
	    renameat2(AT_FDCWD, (*scratch)->path, AT_FDCWD, final_path, RENAME_NOREPLACE))
		return err_from_errno(errno, "%s", final_path);
	scratch_release(take_ptr(*scratch));
	return NULL;
}

void scratch_destroy(struct scratch *scratch)
{
	if (!scratch)
		return;
	remove_tree(scratch->path);
	scratch_release(scratch);
}
