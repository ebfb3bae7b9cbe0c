/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tool-blktrace DEVICE MILLISECONDS: stops the kernel's log of a disk's requests for that time, whoever has
 * set it up: what happens meanwhile is in no log.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include <linux/blktrace_api.h>

int main(int argc, char **argv)
{
	int fd = argc == 3 ? open(argv[1], O_RDONLY | O_NONBLOCK) : -1;
	long ms = argc == 3 ? strtol(argv[2], NULL, 10) : 0;

	if (fd < 0 || ioctl(fd, BLKTRACESTOP)) {
		fprintf(stderr, "tool-blktrace: %s\n", strerror(errno));
		return 1;
	}
	nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
	if (ioctl(fd, BLKTRACESTART)) {
		fprintf(stderr, "tool-blktrace: %s\n", strerror(errno));
		return 1;
	}
	return 0;
}
