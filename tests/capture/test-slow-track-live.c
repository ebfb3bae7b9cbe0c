/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Mounted file systems are copied while processes write to them, take by take;
 * then the processes are killed at some moment, the file system is frozen, and
 * after the last take the copy must be the disk, byte by byte.
 *
 * P2V_TRACK_ROUNDS: how often for each file system and tier (2).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "tests/base/lib-blk-conformance.h"
#include "tests/capture/lib-must.h"
#include "tests/capture/lib-track.h"

#define DISK_BYTES (320u << 20) /* XFS wants 300 MiB */
#define WRITERS 3
#define FILES 12
#define MAX_FILE_BYTES (2u << 20)
#define MAX_ROUND_MS 600

static const struct {
	const char *name;
	const char *mkfs[6]; /* the device follows */
	const char *options;
} kinds[] = {
	{"ext4", {"mkfs.ext4", "-q", "-F"}, "discard"},
	{"xfs", {"mkfs.xfs", "-q", "-f"}, ""},
	{"btrfs", {"mkfs.btrfs", "-q", "-f"}, ""},
};

static void make_file_system(const struct track_rig *rig, size_t kind)
{
	const char *argv[8] = {NULL};
	size_t count = 0;

	for (; kinds[kind].mkfs[count]; count++)
		argv[count] = kinds[kind].mkfs[count];
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

static void start_writers(const char *folder, struct rng *rng, pid_t ret_pids[WRITERS])
{
	for (int i = 0; i < WRITERS; i++) {
		uint64_t seed = rng_next(rng);

		ret_pids[i] = fork();
		if (!ret_pids[i])
			keep_writing(folder, seed);
	}
}

static void kill_writers(const pid_t pids[WRITERS])
{
	for (int i = 0; i < WRITERS; i++)
		kill(pids[i], SIGKILL);
	for (int i = 0; i < WRITERS; i++)
		assert_int_equal(waitpid(pids[i], NULL, 0), pids[i]);
}

struct totals {
	unsigned takes, whole;
	uint64_t told_bytes;
};

static void pass(struct track_rig *rig, struct totals *totals)
{
	rig_take(rig);
	totals->takes++;
	totals->whole += rig->is_whole;
	totals->told_bytes += extents_total_bytes(&rig->changed);
}

/* Nothing may end the test while the file system is frozen. */
static void cut_over(struct track_rig *rig, const char *folder, struct totals *totals)
{
	CLEANUP_FD int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct tracker_verdict verdict;
	uint64_t different, more;

	assert_int_equal(ioctl(fd, FIFREEZE, 0), 0);
	rig_wait_quiet(rig);
	pass(rig, totals);
	tracker_check(rig->tracker, 0, &verdict);
	different = rig_count_different(rig);
	rig_take(rig);
	more = rig->changed.count;
	assert_int_equal(ioctl(fd, FITHAW, 0), 0);
	assert_int_equal(different, 0);
	assert_int_equal(more, 0);
	if (verdict.certainty != TRACKER_CERTAIN)
		fail_msg("%s", verdict.reason);
}

static void try_round(size_t kind, enum tracker_tier tier, struct rng *rng)
{
	struct track_rig *rig = rig_make_blank(DISK_BYTES);
	CLEANUP_FREE char *folder = xasprintf("%s/mnt", rig->dir);
	struct totals totals = {0};
	pid_t writers[WRITERS];
	uint64_t end_ns;

	make_file_system(rig, kind);
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_int_equal(mount(rig->device, folder, kinds[kind].name, 0, kinds[kind].options), 0);
	start_writers(folder, rng, writers);
	rig_start(rig, tier);
	end_ns = run_now_ns() + rng_below(rng, MAX_ROUND_MS) * 1000000;
	do {
		pass(rig, &totals);
	} while (run_now_ns() < end_ns);
	kill_writers(writers);
	cut_over(rig, folder, &totals);
	assert_int_equal(umount(folder), 0);
	assert_int_equal(rmdir(folder), 0);
	print_message("%s by %s: %u takes, %u of everything, %llu MiB\n", kinds[kind].name,
		      tracker_tier_name(tier), totals.takes, totals.whole,
		      (unsigned long long)totals.told_bytes >> 20);
	assert_int_equal(totals.whole, 0);
	rig_remove(rig);
}

static void test_live(void **state)
{
	static const enum tracker_tier tiers[] = {TRACKER_BPF, TRACKER_BLKTRACE};
	const char *rounds = getenv("P2V_TRACK_ROUNDS");
	struct rng rng = {.state = time(NULL)};

	(void)state;
	print_message("seed %llu\n", (unsigned long long)rng.state);
	for (size_t tier = 0; tier < sizeof tiers / sizeof *tiers; tier++) {
		if (!rig_can(tiers[tier]))
			continue;
		for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; kind++)
			for (int i = 0; i < (rounds ? atoi(rounds) : 2); i++)
				try_round(kind, tiers[tier], &rng);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_live),
	};

	return cmocka_run_group_tests_name("track live", tests, NULL, NULL);
}
