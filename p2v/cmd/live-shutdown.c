/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The sender's side of a shutdown.
 *
 * Nothing of us may lie on the server's disks by then: we run from a copy in memory
 * (p2v/base/self.h), our folder is a tmpfs, and our output goes to the console, which
 * never makes us wait.  What ends with a login is what is in its cgroup, so we leave
 * ours.
 *
 * A tmpfs of our own, as /run is often one that nothing can be executed from; mounted
 * over what an initramfs may have left there, which stays as it is, and unused.
 */
#include "p2v/cmd/live-shutdown.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>

#include "capture/netkeep.h"
#include "capture/sysroot.h"
#include "p2v/base/file.h"
#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/base/self.h"
#include "p2v/cmd/live-shutdown-impl.h"

#define NS_PER_SECOND 1000000000ull
#define ORDER_LIMIT_NS (60 * NS_PER_SECOND)
#define STEP_NS 100000000
#define GRACE_NS (10 * NS_PER_SECOND) /* process 1 waits longer than we do */
#define OTHERWISE \
	"leave --mode out: the server is then frozen for the cutover; or send its disks from the ISO"

struct live_shutdown {
	const struct log *log;
	struct netkeep *network;
	uint64_t limit_ns, deadline_ns; /* the latter from the order on */
	int folder, lock; /* -1: not yet */
	bool is_mounted, is_ordered;
};

static bool is_same_namespace(const char *kind)
{
	CLEANUP_FREE char *ours = sysroot_link("", "/proc/self/ns/%s", kind);
	CLEANUP_FREE char *theirs = sysroot_link("", "/proc/1/ns/%s", kind);

	return ours && theirs && !strcmp(ours, theirs);
}

/* The unit that we are of: the last part of "0::/system.slice/cron.service". */
static char *find_unit(void)
{
	CLEANUP_STRV struct strv lines = {0};

	sysroot_lines("", &lines, "/proc/self/cgroup");
	for (size_t i = 0; i < lines.count; i++)
		if (str_ends_with(lines.items[i], ".service"))
			return xstrdup(strrchr(lines.items[i], '/') + 1);
	return NULL;
}

/* A service's main process is ended with it, whatever cgroup it is in. */
static struct err *check_service(void)
{
	CLEANUP_FREE char *unit = find_unit();
	const char *const argv[] = {"systemctl", "show", "--property", "MainPID", unit, NULL};
	const struct run_options options = {.time_limit_ns = ORDER_LIMIT_NS};
	CLEANUP_RUN_RESULT struct run_result result = {0};
	int pid = 0;

	if (!unit)
		return NULL;
	TRY(run_argv(argv, &options, &result));
	if (sscanf(result.out, "MainPID=%d", &pid) != 1 || pid != getpid())
		return NULL;
	return err_advise(err_refused("--mode shutdown: %s is ended too early", unit),
			  "run it from a login, or by 'systemd-run --scope'");
}

static struct err *check_program(void)
{
	CLEANUP_STRV struct strv mapped = {0};

	self_find_mapped(&mapped);
	if (!mapped.count)
		return NULL;
	return err_advise(
		err_refused("--mode shutdown: this program needs %s, which lies on a disk", mapped.items[0]),
		"use p2v-agent, which is one static file");
}

struct err *live_shutdown_check(void)
{
	if (!sysroot_has("", "/run/systemd/system") || !run_is_installed("systemctl"))
		return err_advise(err_refused("--mode shutdown: this machine does not run systemd"),
				  OTHERWISE);
	if (sysroot_has("", "/run/systemd/container") || !is_same_namespace("mnt") ||
	    !is_same_namespace("pid"))
		return err_advise(
			err_refused("--mode shutdown: this is not where the machine's process 1 is, "
				    "but a container"),
			"run it on the server itself");
	TRY(check_service());
	return check_program();
}

static struct err *mount_folder(struct live_shutdown *shutdown)
{
	if (mkdir(SHUTDOWN_FOLDER, 0755) && errno != EEXIST)
		return err_advise(err_from_errno(errno, SHUTDOWN_FOLDER), "run it as root");
	if (mount("tmpfs", SHUTDOWN_FOLDER, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755"))
		return err_advise(err_from_errno(errno, SHUTDOWN_FOLDER ": mount"), "run it as root");
	shutdown->is_mounted = true;
	return NULL;
}

static struct err *fill_folder(struct live_shutdown *shutdown)
{
	TRY(file_copy("/proc/self/exe", SHUTDOWN_FOLDER "/" SHUTDOWN_PROGRAM, 0755));
	shutdown->folder = open(SHUTDOWN_FOLDER, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (shutdown->folder < 0)
		return err_from_errno(errno, SHUTDOWN_FOLDER);
	shutdown->lock =
		openat(shutdown->folder, SHUTDOWN_SENDER, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (shutdown->lock < 0 || flock(shutdown->lock, LOCK_EX | LOCK_NB))
		return err_from_errno(errno, SHUTDOWN_FOLDER "/" SHUTDOWN_SENDER);
	return NULL;
}

struct err *live_shutdown_create(uint64_t limit_ns, const struct log *log,
				 struct live_shutdown **ret_shutdown)
{
	CLEANUP_LIVE_SHUTDOWN struct live_shutdown *shutdown = xcalloc(1, sizeof *shutdown);

	shutdown->log = log;
	shutdown->limit_ns = limit_ns;
	shutdown->folder = shutdown->lock = -1;
	TRY(mount_folder(shutdown));
	TRY(fill_folder(shutdown));
	TRY(netkeep_remember(&shutdown->network));
	*ret_shutdown = take_ptr(shutdown);
	return NULL;
}

void live_shutdown_destroy(struct live_shutdown *shutdown)
{
	if (!shutdown)
		return;
	netkeep_destroy(shutdown->network);
	/* What was ordered ends when the lock does: with us. */
	if (!shutdown->is_ordered) {
		if (shutdown->lock >= 0)
			close(shutdown->lock);
		if (shutdown->folder >= 0)
			close(shutdown->folder);
		if (shutdown->is_mounted)
			(void)umount2(SHUTDOWN_FOLDER, MNT_DETACH);
	}
	free(shutdown);
}

/* The first one there is: version 2, both, version 1. */
static struct err *leave_cgroup(void)
{
	static const char *const lists[] = {"/sys/fs/cgroup/cgroup.procs",
					    "/sys/fs/cgroup/unified/cgroup.procs",
					    "/sys/fs/cgroup/systemd/cgroup.procs"};
	bool has_left = false;

	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
		CLEANUP_FD int fd = open(lists[i], O_WRONLY | O_CLOEXEC);

		has_left |= fd >= 0 && write(fd, "0", 1) == 1;
	}
	return has_left ? NULL
			: err_advise(err_failed("the cgroup that ends with this login cannot be left"),
				     "run it as root");
}

static struct err *set_limit(struct live_shutdown *shutdown)
{
	CLEANUP_FREE char *text = NULL;

	shutdown->deadline_ns = run_now_ns() + shutdown->limit_ns;
	text = xasprintf("%llu", (unsigned long long)(shutdown->deadline_ns + GRACE_NS));
	(void)unlinkat(shutdown->folder, SHUTDOWN_LIMIT, 0);
	return symlinkat(text, shutdown->folder, SHUTDOWN_LIMIT)
		       ? err_from_errno(errno, SHUTDOWN_FOLDER "/" SHUTDOWN_LIMIT)
		       : NULL;
}

/* A file on a disk would keep it busy, and a terminal ends. */
static void speak_to_console(void)
{
	CLEANUP_FD int console = open("/dev/console", O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	CLEANUP_FD int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

	dup2(nothing, 0);
	dup2(console >= 0 ? console : nothing, 1);
	dup2(console >= 0 ? console : nothing, 2);
}

struct err *live_shutdown_order(struct live_shutdown *shutdown)
{
	/* If it ends in a start of the server, then by itself. */
	static const char *const argv[] = {"systemctl", "reboot", NULL};
	const struct run_options options = {.time_limit_ns = ORDER_LIMIT_NS, .log = shutdown->log};

	TRY(leave_cgroup());
	TRY(set_limit(shutdown));
	TRY(err_advise(run_argv(argv, &options, NULL), "see that 'systemctl reboot' works by itself"));
	shutdown->is_ordered = true;
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	speak_to_console();
	return chdir("/") ? err_from_errno(errno, "/") : NULL;
}

uint64_t live_shutdown_left_ns(const struct live_shutdown *shutdown)
{
	uint64_t now_ns = run_now_ns();

	return shutdown->deadline_ns > now_ns ? shutdown->deadline_ns - now_ns : 0;
}

static bool is_at_rest(const struct live_shutdown *shutdown)
{
	char any;

	return readlinkat(shutdown->folder, SHUTDOWN_AT_REST, &any, 1) > 0;
}

struct err *live_shutdown_wait(struct live_shutdown *shutdown)
{
	const struct timespec step = {.tv_nsec = STEP_NS};
	unsigned restored = 0;

	while (!is_at_rest(shutdown)) {
		if (!live_shutdown_left_ns(shutdown))
			return err_advise(err_failed("the server has not shut down within %.0f s",
						     shutdown->limit_ns / 1e9),
					  "see what does not stop, and allow a longer --max-freeze");
		restored += netkeep_restore(shutdown->network);
		nanosleep(&step, NULL);
	}
	if (restored)
		log_info(shutdown->log, "the network was taken down, and was set up again");
	return NULL;
}

struct err *live_shutdown_decide(struct live_shutdown *shutdown)
{
	if (!symlinkat(SHUTDOWN_OFF, shutdown->folder, SHUTDOWN_DECISION))
		return NULL;
	return err_from_errno(errno, "the server starts again: it took too long");
}
