/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/guest/lib-disk.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "tests/base/lib-must.h"

char *disk_create(const struct tree *tree, const char *name, unsigned size_mib)
{
	char *path = xasprintf("%s/../%s", tree->root, name);
	CLEANUP_FD int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size_mib << 20), 0);
	return path;
}

void run_tool(const char *const *argv)
{
	must(run_argv(argv, &(struct run_options){0}, NULL));
}

void disk_partition(const char *disk, const char *script)
{
	const char *argv[] = {"sfdisk", "-q", disk, NULL};
	struct run_options options = {.input = script, .input_bytes = strlen(script)};

	must(run_argv(argv, &options, NULL));
}

void disk_make_ext4(const char *disk, unsigned start_mib, unsigned size_mib, const char *folder,
		    const char *uuid)
{
	CLEANUP_FREE char *options = xasprintf("offset=%llu", (unsigned long long)start_mib << 20);
	CLEANUP_FREE char *size = xasprintf("%uM", size_mib);
	const char *argv[] = {"mke2fs",
			      "-q",
			      "-F",
			      "-t",
			      "ext4",
			      "-E",
			      options,
			      "-d",
			      folder,
			      uuid ? "-U" : disk,
			      uuid ? uuid : size,
			      uuid ? disk : NULL,
			      size,
			      NULL};

	run_tool(argv);
}

void disk_check_ext4(const char *disk, unsigned start_mib)
{
	CLEANUP_FREE char *device = xasprintf("%s?offset=%llu", disk, (unsigned long long)start_mib << 20);
	const char *argv[] = {"e2fsck", "-f", "-n", device, NULL};

	run_tool(argv);
}

void disk_debugfs(const char *disk, unsigned start_mib, const char *request)
{
	CLEANUP_FREE char *device = xasprintf("%s?offset=%llu", disk, (unsigned long long)start_mib << 20);
	const char *argv[] = {"debugfs", "-w", "-R", request, device, NULL};

	run_tool(argv);
}
