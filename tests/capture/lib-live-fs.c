/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/capture/lib-live-fs.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "tests/base/lib-must.h"

#define FILES 12
#define MAX_FILE_BYTES (2u << 20)

const struct live_fs_kind live_fs_kinds[LIVE_FS_KINDS] = {
	{"ext4", {"mkfs.ext4", "-q", "-F"}, "discard", "e2fsck -f -n $0"},
	{"xfs", {"mkfs.xfs", "-q", "-f"}, "", "xfs_repair -n $0"},
	{"btrfs", {"mkfs.btrfs", "-q", "-f"}, "", "btrfs check $0"},
};

void live_fs_make(const struct track_rig *rig, size_t kind)
{
	const char *argv[8] = {NULL};
	size_t count = 0;

	for (; live_fs_kinds[kind].mkfs[count]; count++)
		argv[count] = live_fs_kinds[kind].mkfs[count];
	argv[count] = rig->device;
	must_run(argv);
}

static void write_file(int fd, struct rng *rng)
{
	size_t bytes = 4096 * (1 + rng_below(rng, MAX_FILE_BYTES / 4096));
	uint64_t at = rng_below(rng, MAX_FILE_BYTES / 512) * 512;
	CLEANUP_FREE uint8_t *buf = aligned_alloc(4096, bytes);
	uint8_t *map;

	rng_fill(rng, buf, bytes);
	if (pwrite(fd, buf, bytes, at) < 0 || ftruncate(fd, at + bytes))
		return;
	map = mmap(NULL, at + bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return;
	for (int i = 0; i < 20; i++)
		map[rng_below(rng, at + bytes)] = i;
	munmap(map, at + bytes);
}

/* Until it is killed, also by itself: a mapped page for which there is no space any more.  What does not fit
 * any more does not matter. */
static void keep_writing(const char *folder, uint64_t seed)
{
	struct rng rng = {.state = seed};

	signal(SIGBUS, SIG_DFL);
	/* Nor without who looks after it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		CLEANUP_FREE char *path =
			xasprintf("%s/%llu", folder, (unsigned long long)rng_below(&rng, FILES));
		unsigned choice = rng_below(&rng, 10);
		CLEANUP_FD int fd = open(path, O_RDWR | O_CREAT | (choice == 1 ? O_DIRECT : 0), 0600);

		if (fd < 0)
			continue;
		write_file(fd, &rng);
		if (choice < 4)
			fsync(fd);
		if (choice == 4)
			unlink(path);
		if (choice == 5)
			ioctl(fd, FITRIM, &(struct fstrim_range){.len = UINT64_MAX});
	}
}

void live_fs_start_writers(const char *folder, struct rng *rng, pid_t ret_pids[LIVE_WRITERS])
{
	for (int i = 0; i < LIVE_WRITERS; i++) {
		uint64_t seed = rng_next(rng);

		ret_pids[i] = fork();
		if (!ret_pids[i])
			keep_writing(folder, seed);
	}
}

void live_fs_kill_writers(const pid_t pids[LIVE_WRITERS])
{
	for (int i = 0; i < LIVE_WRITERS; i++)
		kill(pids[i], SIGKILL);
	for (int i = 0; i < LIVE_WRITERS; i++)
		assert_int_equal(waitpid(pids[i], NULL, 0), pids[i]);
}
