/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/iso/lib-net.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/base/strv.h"

static struct {
	struct child *there, *server;
	char *folder;
} net;

static void run_words(const char *before, const char *command)
{
	CLEANUP_STRV struct strv words = {0};
	CLEANUP_ERR struct err *err = NULL;

	strv_split(&words, before, " ");
	strv_split(&words, command, " ");
	err = run_argv((const char *const *)words.items, NULL, NULL);
	if (err)
		fail_msg("%s: %s", command, err_message(err));
}

void net_here(const char *command)
{
	run_words("", command);
}

void net_there(const char *command)
{
	CLEANUP_FREE char *before = xasprintf("nsenter -n -t %d", (int)child_pid(net.there));

	run_words(before, command);
}

static bool enter(void)
{
	if (unshare(CLONE_NEWNET | CLONE_NEWNS)) {
		print_message("skipped: no namespaces here\n");
		return false;
	}
	/* What is below /sys/class/net depends on when it was mounted. */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("sysfs", "/sys", "sysfs", 0, NULL)) {
		print_message("skipped: cannot mount /sys here\n");
		return false;
	}
	return true;
}

/* The namespace exists once the command in it runs. */
static void wait_for_namespace(void)
{
	CLEANUP_FREE char *path = xasprintf("/proc/%d/ns/net", (int)child_pid(net.there));
	char ours[64] = "", theirs[64] = "";

	(void)!readlink("/proc/self/ns/net", ours, sizeof ours - 1);
	do {
		usleep(10000);
		(void)!readlink(path, theirs, sizeof theirs - 1);
	} while (!*theirs || !strcmp(ours, theirs));
}

bool net_begin(const char *folder)
{
	static const char *const argv[] = {"unshare", "-n", "sleep", "600", NULL};

	if (!enter())
		return false;
	net.folder = xstrdup(folder);
	assert_null(child_start(argv, NULL, NULL, &net.there));
	wait_for_namespace();
	for (unsigned i = 0; i < 2; i++) {
		CLEANUP_FREE char *add = xasprintf("ip link add eth%u type veth peer name far%u netns %d", i,
						   i, (int)child_pid(net.there));
		CLEANUP_FREE char *up = xasprintf("ip link set far%u up", i);

		net_here(add);
		net_there(up);
	}
	net_here("ip link set lo up");
	return true;
}

void net_serve_dhcp(const char *interface)
{
	CLEANUP_FREE char *pid = xasprintf("%d", (int)child_pid(net.there));
	CLEANUP_FREE char *path = xasprintf("%s/udhcpd.conf", net.folder);
	CLEANUP_FREE char *address = xasprintf("ip address add 192.0.2.1/24 dev %s", interface);
	const char *const argv[] = {"nsenter", "-n", "-t", pid, "busybox", "udhcpd", "-f", path, NULL};
	CLEANUP_FCLOSE FILE *file = fopen(path, "w");

	assert_non_null(file);
	fprintf(file,
		"start 192.0.2.50\nend 192.0.2.59\ninterface %s\nlease_file %s/leases\npidfile %s/pid\n"
		"option subnet 255.255.255.0\noption router 192.0.2.1\noption dns 192.0.2.3\noption lease "
		"3600\n",
		interface, net.folder, net.folder);
	fflush(file);
	net_there(address);
	child_stop(net.server, 0);
	assert_null(child_start(argv, NULL, NULL, &net.server));
}

void net_end(void)
{
	child_stop(net.server, 0);
	child_stop(net.there, 0);
	free(net.folder);
	memset(&net, 0, sizeof net);
}
