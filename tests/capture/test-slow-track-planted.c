/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Faults planted while a mounted file system is written to and followed: whatever
 * goes wrong, the tracker is never certain of a copy that differs from the disk.  It
 * may be in doubt; then everything is read once more, and after that it must be certain
 * again, but where the disk is not what it was.
 *
 * P2V_LIVE_FAULTS: how many (12).
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

#include "p2v/base/blk.h"
#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "tests/base/lib-loop.h"
#include "tests/base/lib-must.h"
#include "tests/capture/lib-live-fs.h"
#include "tests/capture/lib-unhook.h"

#define GROWN_BYTES (8u << 20)
#define MAX_FAULT_MS 40
#define MAX_PAUSE_MS 150

struct scene {
	struct track_rig *rig;
	struct rng *rng;
	char *folder; /* where it is mounted */
	char *other_file, *other_device; /* of a disk that was added */
};

static void pause_ms(uint64_t ms)
{
	nanosleep(&(struct timespec){.tv_nsec = (long)ms * 1000000}, NULL);
}

static void pause_randomly(const struct scene *scene, uint64_t max_ms)
{
	pause_ms(rng_below(scene->rng, max_ms));
}

static void plant_nothing(struct scene *scene)
{
	(void)scene;
}

static void unhook_some(const struct scene *scene, const char *const *names, size_t count)
{
	struct unhooked off[3];

	for (size_t i = 0; i < count; i++)
		off[i] = unhook(names[i]);
	pause_randomly(scene, MAX_FAULT_MS);
	for (size_t i = 0; i < count; i++)
		hook_again(off[i]);
}

static void plant_all_dropped(struct scene *scene)
{
	unhook_some(scene, (const char *const[]){"track_queue", "track_issue", "track_complete"}, 3);
}

static void plant_ends_dropped(struct scene *scene)
{
	unhook_some(scene, (const char *const[]){"track_complete"}, 1);
}

static void plant_beginnings_dropped(struct scene *scene)
{
	unhook_some(scene, (const char *const[]){"track_queue", "track_issue"}, 2);
}

static void set_counting(const struct scene *scene, const char *value)
{
	CLEANUP_FREE char *path =
		xasprintf("/sys/block/%s/queue/iostats", strrchr(scene->rig->device, '/') + 1);
	CLEANUP_FD int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_int_equal(write(fd, value, 1), 1);
}

static void plant_not_counted(struct scene *scene)
{
	set_counting(scene, "0");
	pause_randomly(scene, MAX_FAULT_MS);
	set_counting(scene, "1");
}

static void set_size(const struct scene *scene, uint64_t bytes)
{
	CLEANUP_FD int fd = open(scene->rig->device, O_RDWR | O_CLOEXEC);

	assert_int_equal(truncate(scene->rig->file, bytes), 0);
	assert_int_equal(ioctl(fd, LOOP_SET_CAPACITY, 0), 0);
}

static void plant_resized(struct scene *scene)
{
	set_size(scene, scene->rig->size_bytes + GROWN_BYTES);
}

/* More than the map has cells for: behind what was the end. */
static void plant_overflow(struct scene *scene)
{
	CLEANUP_FREE uint8_t *buf = aligned_alloc(4096, 4096);
	CLEANUP_FD int fd = open(scene->rig->device, O_RDWR | O_CLOEXEC | O_DIRECT);

	memset(buf, 0x77, 4096);
	set_size(scene, scene->rig->size_bytes + GROWN_BYTES);
	assert_int_equal(pwrite(fd, buf, 4096, scene->rig->size_bytes + 4096), 4096);
	set_size(scene, scene->rig->size_bytes);
}

/* The next one begins anew: it reads everything. */
static void plant_restart(struct scene *scene)
{
	const char *tier = scene->rig->tier;

	tracker_stop(take_ptr(scene->rig->tracker));
	pause_randomly(scene, MAX_FAULT_MS);
	rig_start(scene->rig, tier);
}

static void plant_disk(struct scene *scene)
{
	CLEANUP_FREE uint8_t *buf = aligned_alloc(4096, 1 << 20);
	CLEANUP_BLK struct blk *blk = NULL;

	scene->other_file = xasprintf("%s/other", scene->rig->dir);
	must(blk_file_open(scene->other_file, BLK_FILE_CREATE, 16 << 20, &blk));
	scene->other_device = loop_make(scene->other_file);
	must(blk_close(take_ptr(blk)));
	must(blk_file_open(scene->other_device, BLK_FILE_WRITE, 0, &blk));
	memset(buf, 0x66, 1 << 20);
	for (uint64_t at = 0; at < 16 << 20; at += 1 << 20)
		must(blk_pwrite(blk, buf, 1 << 20, at, 0));
	must(blk_flush(blk));
}

static const struct fault {
	const char *name;
	const char *tier; /* NULL: of those whose programs run in the kernel, one by chance */
	void (*plant)(struct scene *scene);
	enum { MAY_DOUBT, HAS_NO_CAUSE, DOUBTS_FOR_GOOD } outcome;
} faults[] = {
	{"nothing", NULL, plant_nothing, HAS_NO_CAUSE},
	{"all events are dropped", NULL, plant_all_dropped, MAY_DOUBT},
	{"ends are dropped", NULL, plant_ends_dropped, MAY_DOUBT},
	{"beginnings are dropped", NULL, plant_beginnings_dropped, MAY_DOUBT},
	{"the kernel does not count", NULL, plant_not_counted, MAY_DOUBT},
	{"the disk grows", NULL, plant_resized, DOUBTS_FOR_GOOD},
	{"the map overflows", NULL, plant_overflow, MAY_DOUBT},
	{"the tracker is restarted", NULL, plant_restart, MAY_DOUBT},
	{"a disk is added", NULL, plant_disk, HAS_NO_CAUSE},
	{"blktrace: nothing", "blktrace", plant_nothing, HAS_NO_CAUSE},
	{"blktrace: the kernel does not count", "blktrace", plant_not_counted, MAY_DOUBT},
	{"blktrace: the tracker is restarted", "blktrace", plant_restart, MAY_DOUBT},
	{"blktrace: a disk is added", "blktrace", plant_disk, HAS_NO_CAUSE},
};
#define FAULTS (sizeof faults / sizeof *faults)

static const char *const kernel_tiers[] = {"bpf", "bpf,no-mmap", "tracepoints", "tracepoints,no-mmap"};
#define KERNEL_TIERS (sizeof kernel_tiers / sizeof *kernel_tiers)

struct tally {
	unsigned rounds, doubts, uncertain, causeless;
};

static void take(struct scene *scene, bool *doubted)
{
	rig_take(scene->rig);
	*doubted |= scene->rig->is_whole;
}

/* Frozen: what is certain must be equal.  Nothing may end the test while it is. */
static void cut_over(struct scene *scene, struct rig_end *ret_end)
{
	CLEANUP_FD int fd = open(scene->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(ioctl(fd, FIFREEZE, 0), 0);
	rig_end(scene->rig, ret_end);
	assert_int_equal(ioctl(fd, FITHAW, 0), 0);
}

static void set_up(struct scene *scene, size_t kind)
{
	scene->rig = rig_make_blank(LIVE_FS_DISK_BYTES);
	scene->folder = xasprintf("%s/mnt", scene->rig->dir);
	live_fs_make(scene->rig, kind);
	assert_int_equal(mkdir(scene->folder, 0700), 0);
	assert_int_equal(mount(scene->rig->device, scene->folder, live_fs_kinds[kind].name, 0,
			       live_fs_kinds[kind].options),
			 0);
}

static void tear_down(struct scene *scene)
{
	assert_int_equal(umount(scene->folder), 0);
	assert_int_equal(rmdir(scene->folder), 0);
	loop_remove(scene->other_device);
	free(scene->other_file);
	free(scene->folder);
	rig_remove(scene->rig);
}

static void try_fault(const struct fault *fault, const char *tier, size_t kind, struct rng *rng,
		      struct tally *tally)
{
	struct scene scene = {.rng = rng};
	pid_t writers[LIVE_WRITERS];
	bool doubted = false, is_certain;
	struct rig_end end;

	set_up(&scene, kind);
	live_fs_start_writers(scene.folder, rng, writers);
	pause_randomly(&scene, MAX_PAUSE_MS);
	rig_start(scene.rig, tier);
	take(&scene, &doubted);
	pause_randomly(&scene, MAX_PAUSE_MS);
	fault->plant(&scene);
	/* It may be noticed before the freeze, or only then. */
	if (rng_below(rng, 2)) {
		pause_randomly(&scene, MAX_PAUSE_MS);
		take(&scene, &doubted);
	}
	live_fs_kill_writers(writers);
	cut_over(&scene, &end);
	doubted |= end.was_doubted;
	is_certain = end.certainty == TRACKER_CERTAIN;
	tear_down(&scene);
	print_message("%u: %s by %s, %s: %s%s\n", tally->rounds, live_fs_kinds[kind].name, tier, fault->name,
		      is_certain ? "certain" : "uncertain", doubted ? ", after a doubt" : "");
	tally->rounds++;
	tally->doubts += doubted;
	tally->uncertain += !is_certain;
	if (is_certain)
		assert_int_equal(end.different, 0);
	assert_int_equal(is_certain, fault->outcome != DOUBTS_FOR_GOOD);
	/* On a machine that is very busy there are doubts without a cause, which cost a look at everything.
	 */
	tally->causeless += doubted && fault->outcome == HAS_NO_CAUSE;
}

static void test_planted(void **state)
{
	const char *count = getenv("P2V_LIVE_FAULTS");
	bool can_log = rig_can("blktrace");
	struct rng rng = {.state = time(NULL)};
	struct tally tally = {0};

	(void)state;
	if (getenv("P2V_TRACK_DEVICE"))
		skip();
	for (size_t i = 0; i < KERNEL_TIERS; i++)
		if (!rig_can(kernel_tiers[i]))
			skip();
	print_message("seed %llu\n", (unsigned long long)rng.state);
	/* Those that cannot be tried here do not count. */
	for (unsigned i = 0; tally.rounds < (count ? strtoul(count, NULL, 10) : FAULTS); i++) {
		const struct fault *fault = &faults[i % FAULTS];
		const char *tier = fault->tier ? fault->tier : kernel_tiers[rng_below(&rng, KERNEL_TIERS)];

		if (!fault->tier || can_log)
			try_fault(fault, tier, (i + i / FAULTS) % LIVE_FS_KINDS, &rng, &tally);
	}
	print_message("%u faults: %u in doubt, %u of them to the end, %u without a cause; never certain of a "
		      "difference\n",
		      tally.rounds, tally.doubts, tally.uncertain, tally.causeless);
}

/* The harness finds differences: of a copy that lacks a take. */
static void test_control(void **state)
{
	struct rng rng = {.state = time(NULL)};
	struct scene scene = {.rng = &rng};
	pid_t writers[LIVE_WRITERS];
	struct rig_end end;
	CLEANUP_EXTENTS struct extents changed = {0};

	(void)state;
	if (getenv("P2V_TRACK_DEVICE") || !rig_can("bpf"))
		skip();
	set_up(&scene, 0);
	live_fs_start_writers(scene.folder, &rng, writers);
	rig_start(scene.rig, "bpf");
	do
		pause_ms(MAX_PAUSE_MS);
	while (!rig_count_different(scene.rig));
	tracker_take(scene.rig->tracker, 0, &changed, &changed);
	live_fs_kill_writers(writers);
	cut_over(&scene, &end);
	tear_down(&scene);
	assert_int_equal(end.certainty, TRACKER_CERTAIN);
	assert_true(end.different > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_planted),
		cmocka_unit_test(test_control),
	};

	return cmocka_run_group_tests_name("planted faults", tests, NULL, NULL);
}
