/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A claim is a line in a file: the process, when it was started, and which log it
 * is.  A number of a process is used again, but not with the same start; the same
 * goes for a log, by the inode of a file that the kernel makes with it, and when.
 */
#include "capture/track-claim.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capture/sysroot.h"
#include "p2v/base/mem.h"

#define FOLDER "/run/p2v" /* for root alone */
#define START_FIELD 22 /* of /proc/PID/stat, proc(5) */

struct claim {
	unsigned process;
	uint64_t start; /* in ticks since boot */
	uint64_t inode, made_ns;
};

static char *claim_path(const char *disk)
{
	return xasprintf(FOLDER "/blktrace-%s", disk);
}

/* 0: there is no such process. */
static uint64_t process_start(unsigned process)
{
	CLEANUP_FREE char *text = sysroot_read("", "/proc/%u/stat", process);
	char *at = text ? strrchr(text, ')') : NULL;
	uint64_t start = 0;

	/* The name, which is in brackets, can have anything in it; behind it begins the third field. */
	for (int field = 2; at && field < START_FIELD; field++)
		at = strchr(at + 1, ' ');
	return at && sscanf(at, "%" SCNu64, &start) == 1 ? start : 0;
}

static bool look_at_log(int debugfs, const char *disk, struct claim *claim)
{
	CLEANUP_FREE char *path = xasprintf("block/%s/dropped", disk);
	struct stat st;

	if (fstatat(debugfs, path, &st, 0))
		return false;
	claim->inode = st.st_ino;
	claim->made_ns = st.st_mtim.tv_sec * 1000000000ull + st.st_mtim.tv_nsec;
	return true;
}

void track_claim_make(int debugfs, const char *disk)
{
	struct claim claim = {.process = getpid(), .start = process_start(getpid())};
	CLEANUP_FREE char *path = claim_path(disk);
	CLEANUP_FD int fd = -1;

	if (!look_at_log(debugfs, disk, &claim) || (mkdir(FOLDER, 0700) && errno != EEXIST))
		return;
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd >= 0)
		dprintf(fd, "%u %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", claim.process, claim.start,
			claim.inode, claim.made_ns);
}

bool track_claim_is_left(int debugfs, const char *disk)
{
	CLEANUP_FREE char *path = claim_path(disk);
	CLEANUP_FREE char *text = sysroot_read("", "%s", path);
	struct claim made, is;

	if (!text || sscanf(text, "%u %" SCNu64 " %" SCNu64 " %" SCNu64, &made.process, &made.start,
			    &made.inode, &made.made_ns) != 4)
		return false;
	return look_at_log(debugfs, disk, &is) && is.inode == made.inode && is.made_ns == made.made_ns &&
	       process_start(made.process) != made.start;
}

void track_claim_remove(const char *disk)
{
	CLEANUP_FREE char *path = claim_path(disk);

	unlink(path);
}
