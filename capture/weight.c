/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A weight is of all processes of a cgroup.  So only one that has no other process
 * is touched: a login's shell is not to become slow because of us.  Which weights
 * there are depends on the controllers that are in use.
 */
#include "capture/weight.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "capture/sysroot.h"
#include "p2v/base/mem.h"

#define LOW "10" /* of 1 to 10000; 100 is usual */
#define ADVICE "'systemd-run --scope -p IOWeight=10 -p CPUWeight=10 p2v send ...' gives it one that is small"

static const char *const names[] = {"io.weight", "cpu.weight"};
#define WEIGHTS (sizeof names / sizeof *names)

struct weight {
	struct weight_file {
		char *path, *usual;
	} files[WEIGHTS];
	bool is_low;
};

/* The line of version 2 has no controllers: "0::/user.slice". */
static char *find_cgroup(const char *sysroot)
{
	CLEANUP_STRV struct strv lines = {0};

	sysroot_lines(sysroot, &lines, "/proc/self/cgroup");
	for (size_t i = 0; i < lines.count; i++)
		if (!strncmp(lines.items[i], "0::/", 4))
			return xasprintf("/sys/fs/cgroup%s", lines.items[i] + 3);
	return NULL;
}

static bool is_ours_alone(const char *sysroot, const char *folder)
{
	CLEANUP_STRV struct strv processes = {0};

	sysroot_lines(sysroot, &processes, "%s/cgroup.procs", folder);
	return processes.count == 1 && strtol(processes.items[0], NULL, 10) == getpid();
}

/* "100", or "default 100" and lines for devices that have another one. */
static char *read_usual(const char *sysroot, const char *folder, const char *name)
{
	CLEANUP_STRV struct strv lines = {0};
	unsigned value;

	sysroot_lines(sysroot, &lines, "%s/%s", folder, name);
	if (!lines.count ||
	    (sscanf(lines.items[0], "default %u", &value) != 1 && sscanf(lines.items[0], "%u", &value) != 1))
		return NULL;
	return xasprintf("%u", value);
}

static bool write_weight(const char *path, const char *value)
{
	CLEANUP_FD int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	return fd >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value);
}

struct weight *weight_create(const char *sysroot, const struct log *log)
{
	struct weight *weight = xcalloc(1, sizeof *weight);
	CLEANUP_FREE char *folder = find_cgroup(sysroot);
	size_t found = 0;

	if (!folder || !sysroot_has(sysroot, "%s/cgroup.procs", folder)) {
		log_info(log, "there are no cgroups (version 2) here: the sender's weight stays as it is");
		return weight;
	}
	if (!is_ours_alone(sysroot, folder)) {
		log_info(log,
			 "other processes are in the sender's cgroup, too, so that its weight stays as it "
			 "is; " ADVICE);
		return weight;
	}
	for (size_t i = 0; i < WEIGHTS; i++) {
		weight->files[i].usual = read_usual(sysroot, folder, names[i]);
		weight->files[i].path = sysroot_path(sysroot, "%s/%s", folder, names[i]);
		found += weight->files[i].usual && !access(weight->files[i].path, W_OK);
	}
	if (!found)
		log_info(log, "the weights of the sender's cgroup cannot be set here");
	return weight;
}

static void set_all(struct weight *weight, bool is_low)
{
	if (!weight || weight->is_low == is_low)
		return;
	weight->is_low = is_low;
	for (size_t i = 0; i < WEIGHTS; i++)
		if (weight->files[i].usual)
			write_weight(weight->files[i].path, is_low ? LOW : weight->files[i].usual);
}

void weight_lower(struct weight *weight)
{
	set_all(weight, true);
}

void weight_restore(struct weight *weight)
{
	set_all(weight, false);
}

void weight_destroy(struct weight *weight)
{
	if (!weight)
		return;
	weight_restore(weight);
	for (size_t i = 0; i < WEIGHTS; i++) {
		free(weight->files[i].path);
		free(weight->files[i].usual);
	}
	free(weight);
}
