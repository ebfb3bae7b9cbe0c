/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "capture/changes.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "capture/sysroot.h"
#include "p2v/base/mem.h"

#define SECTOR_BYTES 512u /* of the counters, whatever the disk has */
#define NS_PER_SECOND 1000000000ll

/* Fields 7 and 14 are sectors written and discarded; kernels before 4.18 have eleven fields. */
static uint64_t written_bytes(dev_t device)
{
	CLEANUP_FREE char *text = sysroot_read("", "/sys/dev/block/%u:%u/stat", major(device), minor(device));
	uint64_t written = 0, discarded = 0;

	if (text)
		(void)!sscanf(text, "%*u %*u %*u %*u %*u %*u %" SCNu64 " %*u %*u %*u %*u %*u %*u %" SCNu64,
			      &written, &discarded);
	return (written + discarded) * SECTOR_BYTES;
}

static int64_t to_ns(struct timespec time)
{
	return time.tv_sec * NS_PER_SECOND + time.tv_nsec;
}

void changes_look(const char *path, struct changes_look *ret_look)
{
	struct stat st;

	*ret_look = (struct changes_look){0};
	if (stat(path, &st))
		return;
	if (S_ISBLK(st.st_mode)) {
		ret_look->written_bytes = written_bytes(st.st_rdev);
		return;
	}
	ret_look->size_bytes = st.st_size;
	ret_look->modified_ns = to_ns(st.st_mtim);
	ret_look->changed_ns = to_ns(st.st_ctim);
}

bool changes_between(const struct changes_look *before, const struct changes_look *after, uint64_t *ret_bytes)
{
	*ret_bytes = after->written_bytes - before->written_bytes;
	return memcmp(before, after, sizeof *before) != 0;
}
