/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * proc(5): /proc/self/exe and /proc/self/maps; memfd_create(2), whose files the
 * kernel names "/memfd:NAME (deleted)".
 */
#include "p2v/base/self.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#define MEMORY_FILE "/memfd:"
#define NAME "p2v-agent"

static bool runs_from_memory(void)
{
	char path[PATH_MAX] = "";

	return readlink("/proc/self/exe", path, sizeof path - 1) > 0 && str_starts_with(path, MEMORY_FILE);
}

static struct err *copy_to_memory(int *ret_fd)
{
	CLEANUP_FD int in = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	CLEANUP_FD int out = memfd_create(NAME, MFD_CLOEXEC);
	struct stat st;

	if (in < 0 || fstat(in, &st))
		return err_from_errno(errno, "/proc/self/exe");
	if (out < 0)
		return err_from_errno(errno, "a file in memory");
	for (off_t done = 0; done < st.st_size;)
		if (sendfile(out, in, &done, st.st_size - done) <= 0)
			return err_from_errno(errno, "copying the program to memory");
	*ret_fd = take_fd(&out);
	return NULL;
}

struct err *self_move_to_memory(char *const *argv)
{
	CLEANUP_FD int fd = -1;

	if (runs_from_memory()) {
		/* Else it would be a number. */
		prctl(PR_SET_NAME, NAME);
		return NULL;
	}
	TRY(copy_to_memory(&fd));
	fexecve(fd, argv, environ);
	return err_from_errno(errno, "running the program from memory");
}

void self_find_mapped(struct strv *ret_paths)
{
	CLEANUP_FCLOSE FILE *maps = fopen("/proc/self/maps", "re");
	CLEANUP_FREE char *line = NULL;
	size_t bytes = 0;

	while (maps && getline(&line, &bytes, maps) > 0) {
		/* Only paths have one: "7f…-7f… r--p 00000000 08:01 1234   /lib/libc.so.6". */
		const char *path = strchr(line, '/');

		line[strcspn(line, "\n")] = '\0';
		if (path && !str_starts_with(path, MEMORY_FILE) && !str_starts_with(path, "/dev/") &&
		    !strv_has(ret_paths, path))
			strv_add(ret_paths, path);
	}
}
