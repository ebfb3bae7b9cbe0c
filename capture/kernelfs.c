/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "capture/kernelfs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/vfs.h>

#include "p2v/base/cleanup.h"

#define USUAL_PLACE "/sys/kernel/debug"

static struct err *open_folder(const char *path, int *ret_fd)
{
	*ret_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret_fd < 0 ? err_from_errno(errno, "%s", path) : NULL;
}

/* The mount goes from sight at once, and from the kernel with the descriptor. */
static struct err *mount_and_open(int *ret_fd)
{
	char folder[] = "/tmp/p2v-debugfs.XXXXXX";
	struct err *err;

	if (!mkdtemp(folder))
		return err_from_errno(errno, "%s", folder);
	if (mount("debugfs", folder, "debugfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL)) {
		err = err_from_errno(errno, "mounting debugfs");
	} else {
		err = open_folder(folder, ret_fd);
		umount2(folder, MNT_DETACH);
	}
	rmdir(folder);
	return err;
}

struct err *kernelfs_open_debugfs(int *ret_fd)
{
	struct statfs fs;

	if (!statfs(USUAL_PLACE, &fs) && fs.f_type == DEBUGFS_MAGIC)
		return open_folder(USUAL_PLACE, ret_fd);
	return mount_and_open(ret_fd);
}
