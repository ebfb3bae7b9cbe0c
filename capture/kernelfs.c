/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "capture/kernelfs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/vfs.h>

#include "p2v/base/cleanup.h"

static struct err *open_folder(const char *path, int *ret_fd)
{
	*ret_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret_fd < 0 ? err_from_errno(errno, "%s", path) : NULL;
}

/* The mount goes from sight at once, and from the kernel with the descriptor. */
static struct err *mount_and_open(const char *type, int *ret_fd)
{
	char folder[] = "/tmp/p2v-kernelfs.XXXXXX";
	struct err *err;

	if (!mkdtemp(folder))
		return err_from_errno(errno, "%s", folder);
	if (mount(type, folder, type, MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL)) {
		err = err_from_errno(errno, "mounting %s", type);
	} else {
		err = open_folder(folder, ret_fd);
		umount2(folder, MNT_DETACH);
	}
	rmdir(folder);
	return err;
}

static struct err *open_or_mount(const char *usual_place, const char *type, long magic, int *ret_fd)
{
	struct statfs fs;

	if (!statfs(usual_place, &fs) && fs.f_type == magic)
		return open_folder(usual_place, ret_fd);
	return mount_and_open(type, ret_fd);
}

struct err *kernelfs_open_debugfs(int *ret_fd)
{
	return open_or_mount("/sys/kernel/debug", "debugfs", DEBUGFS_MAGIC, ret_fd);
}

struct err *kernelfs_open_tracefs(int *ret_fd)
{
	return open_or_mount("/sys/kernel/tracing", "tracefs", TRACEFS_MAGIC, ret_fd);
}
