/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What mounted file systems say is free need not be brought over: of a disk that is
 * written to all the time a copy is made of what is used when tracking has begun and
 * of what is written since, and the rest of it is rubbish.  In the end its file
 * system must check clean, and every file be what it is on the frozen disk.
 *
 * P2V_LIVEMAP_ROUNDS: how often for each file system (1).
 */
#include <fcntl.h>
#include <linux/fs.h>
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

#include "capture/livemap.h"
#include "capture/mounted.h"
#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "tests/base/lib-loop.h"
#include "tests/base/lib-must.h"
#include "tests/capture/lib-live-fs.h"

#define GAP_BYTES (64u << 10)
#define MARK_BYTES (64u << 10)
#define RUBBISH 0xa5
#define WARM_UP_MS 300
#define MAX_TRIES 4
#define MAX_ROUND_MS 600

static void pause_ms(uint64_t ms)
{
	nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static char *run_shell(const char *command, const char *argument)
{
	const char *argv[] = {"sh", "-c", command, argument, NULL};
	CLEANUP_RUN_RESULT struct run_result result = {0};
	struct err *err = run_argv(argv, &(struct run_options){0}, &result);

	if (err) {
		print_message("  %s\n", err_message(err));
		err_free(err);
		return NULL;
	}
	return_ptr(result.out);
}

/* A file that stays as it is, and whose content can be found on the disk. */
static void write_mark(const char *folder, const uint8_t *mark)
{
	CLEANUP_FREE char *path = xasprintf("%s/mark", folder);
	CLEANUP_FD int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_int_equal(write(fd, mark, MARK_BYTES), MARK_BYTES);
	assert_int_equal(fsync(fd), 0);
}

static uint64_t find_mark(const struct track_rig *rig, const uint8_t *frozen, const uint8_t *mark)
{
	for (uint64_t at = 0; at < rig->size_bytes; at += 512)
		if (!memcmp(frozen + at, mark, 4096))
			return at;
	fail_msg("the file's content is not on the disk");
	return 0;
}

static void show(void *arg, enum log_level level, const char *message)
{
	(void)arg;
	(void)level;
	print_message("  %s\n", message);
}

/* What is used, all but what the file system says is free. */
static void find_used(struct track_rig *rig)
{
	static const struct log log = {.write = show, .max_level = LOG_LEVEL_DEBUG};
	CLEANUP_FREE char *number = mounted_device_number(rig->device);
	CLEANUP_EXTENTS struct extents all = {0};
	CLEANUP_EXTENTS struct extents left = {0};

	extents_add(&all, 0, rig->size_bytes);
	livemap_find_free(number, GAP_BYTES, &log, &left);
	extents_subtract(&all, &left, &rig->used);
	print_message("  %llu MiB are used\n", (unsigned long long)extents_total_bytes(&rig->used) >> 20);
	assert_true(extents_total_bytes(&rig->used) < rig->size_bytes / 2);
	memset(rig->copy, RUBBISH, rig->size_bytes);
	for (size_t i = 0; i < rig->used.count; i++)
		rig_read(rig, rig->copy, rig->used.ranges[i].start, rig->used.ranges[i].end);
}

/* The disk as it is when frozen; the caller frees it. */
static uint8_t *cut_over(struct track_rig *rig, const char *folder)
{
	CLEANUP_FD int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint8_t *frozen = aligned_alloc(4096, rig->size_bytes);
	struct tracker_verdict verdict;

	assert_int_equal(ioctl(fd, FIFREEZE, 0), 0);
	rig_wait_quiet(rig);
	rig_take(rig);
	tracker_check(rig->tracker, 0, &verdict);
	rig_read(rig, frozen, 0, rig->size_bytes);
	assert_int_equal(ioctl(fd, FITHAW, 0), 0);
	assert_int_equal(verdict.certainty, TRACKER_CERTAIN);
	return frozen;
}

/*
 * All of its files, with what is in them; NULL if that cannot be told.  It is checked behind the mount, which
 * brings the log of XFS to its end.
 */
static char *tell_files(const struct track_rig *rig, const uint8_t *content, size_t kind, bool is_checked)
{
	CLEANUP_FREE char *path = xasprintf("%s/content", rig->dir);
	CLEANUP_FREE char *folder = xasprintf("%s/mnt", rig->dir);
	CLEANUP_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	char *files = NULL, *device;

	for (uint64_t at = 0; at < rig->size_bytes; at += 1 << 20)
		assert_int_equal(pwrite(fd, content + at, 1 << 20, at), 1 << 20);
	device = loop_make(path);
	if (!mount(device, folder, live_fs_kinds[kind].name, 0, "")) {
		files = run_shell("cd $0 && find . -type f -printf '%p %s %T@ %n\\n' | sort && "
				  "find . -type f -print0 | sort -z | xargs -0 sha256sum",
				  folder);
		assert_int_equal(umount(folder), 0);
		if (is_checked && files) {
			CLEANUP_FREE char *report = run_shell(live_fs_kinds[kind].check, device);

			if (!report)
				free(take_ptr(files));
		}
	}
	loop_remove(device);
	assert_int_equal(unlink(path), 0);
	return files;
}

static void lie(struct track_rig *rig, const uint8_t *frozen, const uint8_t *mark)
{
	memset(rig->copy + find_mark(rig, frozen, mark), RUBBISH, 4096);
}

/* False if the disk came into doubt on the way: then all of it was read, which tells nothing of the map. */
static bool try_round(size_t kind, struct rng *rng, bool lies)
{
	struct track_rig *rig = rig_make(LIVE_FS_DISK_BYTES);
	CLEANUP_FREE char *folder = xasprintf("%s/mnt", rig->dir);
	CLEANUP_FREE char *wanted = NULL;
	CLEANUP_FREE char *found = NULL;
	CLEANUP_FREE uint8_t *frozen = NULL;
	uint8_t mark[MARK_BYTES];
	pid_t writers[LIVE_WRITERS];
	bool is_doubted = false;
	uint64_t end_ns;

	print_message("%s%s\n", live_fs_kinds[kind].name, lies ? ", with a lie" : "");
	rng_fill(rng, mark, sizeof mark);
	live_fs_make(rig, kind);
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_int_equal(mount(rig->device, folder, live_fs_kinds[kind].name, 0, live_fs_kinds[kind].options),
			 0);
	write_mark(folder, mark);
	live_fs_start_writers(folder, rng, writers);
	pause_ms(rng_below(rng, WARM_UP_MS));
	rig_start(rig, "bpf");
	find_used(rig);
	end_ns = run_now_ns() + rng_below(rng, MAX_ROUND_MS) * 1000000;
	do {
		rig_take(rig);
		is_doubted |= rig->is_whole;
	} while (run_now_ns() < end_ns);
	live_fs_kill_writers(writers);
	frozen = cut_over(rig, folder);
	is_doubted |= rig->is_whole;
	assert_int_equal(umount(folder), 0);
	if (lies)
		lie(rig, frozen, mark);
	wanted = tell_files(rig, frozen, kind, false);
	found = tell_files(rig, rig->copy, kind, true);
	assert_int_equal(rmdir(folder), 0);
	assert_non_null(wanted);
	assert_int_equal(found && !strcmp(wanted, found), !lies);
	rig_remove(rig);
	return !is_doubted;
}

static void try_rounds(size_t kind, struct rng *rng, bool lies)
{
	for (int i = 0; i < MAX_TRIES; i++)
		if (try_round(kind, rng, lies))
			return;
	fail_msg("the disk was in doubt %d times", MAX_TRIES);
}

static void test_live(void **state)
{
	const char *rounds = getenv("P2V_LIVEMAP_ROUNDS");
	struct rng rng = {.state = time(NULL)};

	(void)state;
	if (!rig_can("bpf") || getenv("P2V_TRACK_DEVICE"))
		skip();
	print_message("seed %llu\n", (unsigned long long)rng.state);
	for (int i = 0; i < (rounds ? atoi(rounds) : 1); i++)
		for (size_t kind = 0; kind < LIVE_FS_KINDS; kind++)
			try_rounds(kind, &rng, false);
}

/* What is left out although it is used must show. */
static void test_lie(void **state)
{
	struct rng rng = {.state = time(NULL)};

	(void)state;
	if (!rig_can("bpf") || getenv("P2V_TRACK_DEVICE"))
		skip();
	for (size_t kind = 0; kind < LIVE_FS_KINDS; kind++)
		try_rounds(kind, &rng, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_live),
		cmocka_unit_test(test_lie),
	};

	return cmocka_run_group_tests_name("livemap", tests, NULL, NULL);
}
