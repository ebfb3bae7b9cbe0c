/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Mounted file systems are copied while processes write to them, take by take;
 * then the processes are killed at some moment, the file system is frozen, and
 * after the last take the copy must be the disk, byte by byte.
 *
 * Nothing may be in doubt on the way but by trace points, although a kernel that hides a process of its own
 * shows nobody what ends in that process's time: the tracker makes up for it, and says so.
 *
 * P2V_TRACK_ROUNDS: how often for each file system and tier (2).
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/base/strv.h"
#include "tests/base/lib-must.h"
#include "tests/base/lib-rng.h"
#include "tests/capture/lib-live-fs.h"
#include "tests/capture/lib-track.h"

#define MAX_ROUND_MS 600

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
	struct rig_end end;

	assert_int_equal(ioctl(fd, FIFREEZE, 0), 0);
	rig_end(rig, &end);
	assert_int_equal(ioctl(fd, FITHAW, 0), 0);
	totals->takes++;
	totals->whole += end.was_doubted;
	assert_int_equal(end.certainty, TRACKER_CERTAIN);
	assert_int_equal(end.different, 0);
}

/* How many takes were of everything. */
static unsigned try_round(size_t kind, const char *tier, struct rng *rng)
{
	struct track_rig *rig = rig_make_blank(LIVE_FS_DISK_BYTES);
	CLEANUP_FREE char *folder = xasprintf("%s/mnt", rig->dir);
	struct totals totals = {0};
	pid_t writers[LIVE_WRITERS];
	uint64_t end_ns;

	live_fs_make(rig, kind);
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_int_equal(mount(rig->device, folder, live_fs_kinds[kind].name, 0, live_fs_kinds[kind].options),
			 0);
	live_fs_start_writers(folder, rng, writers);
	rig_start(rig, tier);
	end_ns = run_now_ns() + rng_below(rng, MAX_ROUND_MS) * 1000000;
	do {
		pass(rig, &totals);
	} while (run_now_ns() < end_ns);
	live_fs_kill_writers(writers);
	cut_over(rig, folder, &totals);
	assert_int_equal(umount(folder), 0);
	assert_int_equal(rmdir(folder), 0);
	print_message("%s by %s: %u takes, %u of everything, %llu MiB\n", live_fs_kinds[kind].name, tier,
		      totals.takes, totals.whole, (unsigned long long)totals.told_bytes >> 20);
	rig_remove(rig);
	return totals.whole;
}

static void test_live(void **state)
{
	const char *rounds = getenv("P2V_TRACK_ROUNDS");
	struct rng rng = {.state = time(NULL)};
	unsigned tried = 0, doubted = 0;

	(void)state;
	print_message("seed %llu\n", (unsigned long long)rng.state);
	for (size_t tier = 0; rig_tiers[tier]; tier++) {
		/* Other programs and system calls on maps make the kernel skip these, which is seen. */
		bool may_skip = str_starts_with(rig_tiers[tier], "tracepoints");

		if (!rig_can(rig_tiers[tier]))
			continue;
		for (size_t kind = 0; kind < LIVE_FS_KINDS; kind++)
			for (int i = 0; i < (rounds ? atoi(rounds) : 2); i++) {
				bool has_doubt = try_round(kind, rig_tiers[tier], &rng) > 0;

				tried += !may_skip;
				doubted += has_doubt && !may_skip;
			}
	}
	print_message("%u captures, %u with a doubt, trace points apart\n", tried, doubted);
	assert_true(4 * doubted <= tried);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_live),
	};

	return cmocka_run_group_tests_name("track live", tests, NULL, NULL);
}
