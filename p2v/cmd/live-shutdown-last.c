/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The end of a machine: process 1, after systemd-shutdown has stopped everything
 * but the sender, and has made the folder that we lie in the root; what was the root
 * before is on /oldroot.
 *
 * Without a sender, or before it has decided, the machine ends as it was told to.
 * A watchdog that systemd has set for the shutdown we go on to feed: it would start
 * the machine again at any time, also after the decision that it must not.
 *
 * Leaves out what stands below file systems (volume groups, arrays): nobody writes
 * there any more, and the kernel has marked arrays clean by the time that the sender
 * finds the disks quiet.
 */
#include <fcntl.h>
#include <linux/watchdog.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <time.h>

#include "capture/mounted.h"
#include "capture/sysroot.h"
#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/cmd/live-shutdown-impl.h"
#include "p2v/cmd/live-shutdown.h"

#define OLD_ROOT "/oldroot"
#define TRIES 20u /* to unmount: what keeps a file system busy may be about to end */
#define STEP_NS 100000000

static void pause_a_step(void)
{
	const struct timespec step = {.tv_nsec = STEP_NS};

	nanosleep(&step, NULL);
}

static void stop_swapping(void)
{
	CLEANUP_STRV struct strv lines = {0};

	sysroot_lines("", &lines, "/proc/swaps");
	for (size_t i = 1; i < lines.count; i++) {
		lines.items[i][strcspn(lines.items[i], " \t")] = '\0';
		(void)!swapoff(lines.items[i]);
	}
}

/* How many are left. */
static size_t unmount_once(void)
{
	CLEANUP_STRV struct strv points = {0};
	size_t left = 0;

	mounted_below("", OLD_ROOT, &points);
	for (size_t i = 0; i < points.count; i++) {
		/* A server of files that is gone must not hold us. */
		if (!umount2(points.items[i], MNT_FORCE))
			continue;
		left++;
		(void)!mount(NULL, points.items[i], NULL, MS_REMOUNT | MS_RDONLY, NULL);
	}
	return left;
}

static void unmount_all(void)
{
	for (unsigned tries = 0; unmount_once() && tries < TRIES; tries++)
		pause_a_step();
	/* What is written out here would else be later. */
	sync();
}

static bool is_over(void)
{
	char text[32] = "";

	return readlink("/" SHUTDOWN_LIMIT, text, sizeof text - 1) > 0 &&
	       run_now_ns() > strtoull(text, NULL, 10);
}

/* Who was our child's child is our child. */
static void take_leave_of_children(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

/* systemd says whether it has set one (systemd-system.conf(5), RebootWatchdogSec=), and which. -1: none. */
static int open_watchdog(void)
{
	const char *device = getenv("WATCHDOG_DEVICE");

	if (!getenv("WATCHDOG_USEC"))
		return -1;
	return open(device ?: "/dev/watchdog0", O_WRONLY | O_CLOEXEC);
}

/* As the kernel wants it said that this is no accident (watchdog-api.rst, "magic close"). */
static void stop_watchdog(int watchdog)
{
	if (watchdog < 0)
		return;
	(void)!write(watchdog, "V", 1);
	close(watchdog);
}

/* From here on the sender cannot decide any more. */
static bool is_ours_to_decide(void)
{
	return !symlink(SHUTDOWN_AGAIN, "/" SHUTDOWN_DECISION);
}

static void wait_for_sender(int watchdog)
{
	CLEANUP_FD int sender = open("/" SHUTDOWN_SENDER, O_RDONLY | O_CLOEXEC);

	while (sender >= 0 && flock(sender, LOCK_EX | LOCK_NB)) {
		take_leave_of_children();
		if (watchdog >= 0)
			(void)ioctl(watchdog, WDIOC_KEEPALIVE, 0);
		/* Once it has decided it may take the time that it needs. */
		if (is_over() && is_ours_to_decide())
			return;
		pause_a_step();
	}
}

static bool goes_off(const char *verb)
{
	char decision[32] = "";

	(void)is_ours_to_decide();
	(void)!readlink("/" SHUTDOWN_DECISION, decision, sizeof decision - 1);
	if (!strcmp(decision, SHUTDOWN_OFF))
		return true;
	return !strcmp(verb, "poweroff") || !strcmp(verb, "halt");
}

bool live_shutdown_is_last(const char *program)
{
	return getpid() == 1 && !strcmp(program, "/" SHUTDOWN_PROGRAM);
}

void live_shutdown_be_last(const char *verb)
{
	int watchdog = open_watchdog();

	stop_swapping();
	unmount_all();
	(void)!symlink("yes", "/" SHUTDOWN_AT_REST);
	wait_for_sender(watchdog);
	sync();
	if (goes_off(verb)) {
		stop_watchdog(watchdog);
		puts("p2v: the machine goes off");
		reboot(RB_POWER_OFF);
		reboot(RB_HALT_SYSTEM);
	} else {
		puts("p2v: the machine starts again");
		reboot(RB_AUTOBOOT);
	}
	/* Process 1 must not end. */
	for (;;)
		pause();
}
