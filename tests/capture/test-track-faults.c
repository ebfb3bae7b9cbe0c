/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What can go wrong with tracking is noticed, said, and made good by a look at everything. */
#include <fcntl.h>
#include <linux/blkpg.h>
#include <linux/blktrace_api.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "tests/base/lib-must.h"
#include "tests/capture/lib-track.h"
#include "tests/capture/lib-unhook.h"

#define DISK_BYTES (32u << 20)

static void write_one(const struct track_rig *rig, uint64_t at, uint8_t value)
{
	CLEANUP_FREE uint8_t *buf = aligned_alloc(4096, 4096);
	CLEANUP_FD int fd = open(rig->device, O_RDWR | O_CLOEXEC | O_DIRECT);

	memset(buf, value, 4096);
	assert_int_equal(pwrite(fd, buf, 4096, at), 4096);
}

static struct track_rig *make_tracked(const char *tier)
{
	struct track_rig *rig;

	print_message("  by %s\n", tier);
	if (!rig_can(tier))
		skip();
	rig = rig_make(DISK_BYTES);
	rig_start(rig, tier);
	return rig;
}

/* What is written from now on is told as if nothing had been. */
static void expect_followed(struct track_rig *rig)
{
	write_one(rig, 7 << 20, 0x22);
	rig_wait_quiet(rig);
	rig_take(rig);
	assert_int_equal(rig_count_different(rig), 0);
	rig_expect(rig, TRACKER_CERTAIN, NULL);
}

/* Everything is given, and then the disk is trusted again. */
static void expect_made_good(struct track_rig *rig)
{
	rig_take(rig);
	assert_true(rig->is_whole);
	assert_int_equal(extents_total_bytes(&rig->changed), rig->size_bytes);
	assert_int_equal(rig_count_different(rig), 0);
	write_one(rig, 2 << 20, 0x33);
	rig_wait_quiet(rig);
	rig_expect(rig, TRACKER_CERTAIN, NULL);
	rig_take(rig);
	assert_false(rig->is_whole);
	assert_int_equal(rig->changed.count, 1);
	assert_int_equal(rig_count_different(rig), 0);
}

static void test_all_programs_off(void **state)
{
	static const char *const names[] = {"track_queue", "track_issue", "track_complete"};
	struct track_rig *rig = make_tracked(*state);
	struct unhooked off[3];

	write_one(rig, 1 << 20, 0x11);
	rig_take(rig);
	for (int i = 0; i < 3; i++)
		off[i] = unhook(names[i]);
	write_one(rig, 7 << 20, 0x22);
	for (int i = 0; i < 3; i++)
		hook_again(off[i]);
	rig_wait_quiet(rig);
	assert_int_equal(rig_count_different(rig), TRACKER_CELL_BYTES);
	rig_expect(rig, TRACKER_IN_DOUBT, "not seen");
	expect_made_good(rig);
	rig_remove(rig);
}

static void expect_counters_needed(const char *tier, const char *map)
{
	struct track_rig *rig = make_tracked(tier);

	expect_followed(rig);
	lose_map(map);
	rig_expect(rig, TRACKER_IN_DOUBT, "counters in the kernel cannot be read");
	rig_remove(rig);
}

static void test_counters_lost(void **state)
{
	expect_counters_needed(*state, "counts");
}

static void test_calls_lost(void **state)
{
	expect_counters_needed(*state, "calls");
}

/* What was written is marked all the same, but might have been too early: so what was taken before is given
 * once more. */
static void test_end_not_seen(void **state)
{
	struct track_rig *rig = make_tracked(*state);
	struct unhooked off;

	write_one(rig, 3 << 20, 0x11);
	rig_wait_quiet(rig);
	rig_take(rig);
	assert_int_equal(rig->changed.count, 1);
	off = unhook("track_complete");
	write_one(rig, 7 << 20, 0x22);
	hook_again(off);
	rig_wait_quiet(rig);
	rig_expect(rig, TRACKER_SO_FAR, "did not show the end");
	rig_take(rig);
	assert_false(rig->is_whole);
	assert_int_equal(rig->changed.count, 2);
	assert_int_equal(rig->changed.ranges[0].start, 3 << 20);
	assert_int_equal(rig->changed.ranges[1].start, 7 << 20);
	assert_int_equal(rig_count_different(rig), 0);
	rig_expect(rig, TRACKER_CERTAIN, NULL);
	rig_take(rig);
	assert_int_equal(rig->changed.count, 0);
	expect_followed(rig);
	rig_remove(rig);
}

/* False where there are none on such disks. */
static bool make_partition(const struct track_rig *rig, int number, uint64_t start, uint64_t bytes)
{
	struct blkpg_partition partition = {.start = start, .length = bytes, .pno = number};
	struct blkpg_ioctl_arg call = {
		.op = BLKPG_ADD_PARTITION, .datalen = sizeof partition, .data = &partition};
	struct loop_info64 info;
	CLEANUP_FD int fd = open(rig->device, O_RDWR | O_CLOEXEC);

	assert_int_equal(ioctl(fd, LOOP_GET_STATUS64, &info), 0);
	info.lo_flags |= LO_FLAGS_PARTSCAN;
	return !ioctl(fd, LOOP_SET_STATUS64, &info) && !ioctl(fd, BLKPG, &call);
}

/* When it is queued, a write to a partition may be named by that: it is known all the same. */
static void test_partition(void **state)
{
	struct track_rig *rig = make_tracked(*state), part = {0};
	struct unhooked issue, complete;

	tracker_stop(take_ptr(rig->tracker));
	if (!make_partition(rig, 1, 4 << 20, 8 << 20)) {
		rig_remove(rig);
		skip();
	}
	rig_start(rig, *state);
	issue = unhook("track_issue");
	complete = unhook("track_complete");
	part.device = xasprintf("%sp1", rig->device);
	write_one(&part, 3 << 20, 0x22);
	free(part.device);
	hook_again(issue);
	hook_again(complete);
	rig_wait_quiet(rig);
	rig_expect(rig, TRACKER_SO_FAR, "did not show the end");
	rig_take(rig);
	assert_false(rig->is_whole);
	assert_int_equal(rig->changed.count, 1);
	assert_int_equal(rig->changed.ranges[0].start, 7 << 20);
	assert_int_equal(rig_count_different(rig), 0);
	rig_remove(rig);
}

/* Those that come later were not known when they were first written to. */
static void test_new_partition(void **state)
{
	struct track_rig *rig = make_tracked(*state);

	if (!make_partition(rig, 1, 4 << 20, 8 << 20)) {
		rig_remove(rig);
		skip();
	}
	rig_expect(rig, TRACKER_IN_DOUBT, "partitions");
	expect_made_good(rig);
	rig_remove(rig);
}

/* A request's end alone is enough. */
static void test_beginning_not_seen(void **state)
{
	struct track_rig *rig = make_tracked(*state);
	struct unhooked queue = unhook("track_queue"), issue = unhook("track_issue");

	write_one(rig, 7 << 20, 0x22);
	hook_again(queue);
	hook_again(issue);
	rig_wait_quiet(rig);
	rig_expect(rig, TRACKER_CERTAIN, NULL);
	rig_take(rig);
	assert_false(rig->is_whole);
	assert_int_equal(rig_count_different(rig), 0);
	rig_remove(rig);
}

static void set_flag(const struct track_rig *rig, const char *name, const char *value)
{
	CLEANUP_FREE char *path = xasprintf("/sys/block/%s/queue/%s", strrchr(rig->device, '/') + 1, name);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(value, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void test_not_counted(void **state)
{
	struct track_rig *rig = make_tracked(*state);

	set_flag(rig, "iostats", "0");
	write_one(rig, 7 << 20, 0x22);
	rig_expect(rig, TRACKER_IN_DOUBT, "iostats");
	rig_take(rig);
	assert_true(rig->is_whole);
	rig_expect(rig, TRACKER_IN_DOUBT, "iostats");
	set_flag(rig, "iostats", "1");
	expect_made_good(rig);
	rig_remove(rig);
}

/* Also if it was switched back before anybody looked. */
static void test_not_counted_for_a_moment(void **state)
{
	struct track_rig *rig = make_tracked(*state);

	set_flag(rig, "iostats", "0");
	write_one(rig, 7 << 20, 0x22);
	set_flag(rig, "iostats", "1");
	rig_wait_quiet(rig);
	rig_expect(rig, TRACKER_IN_DOUBT, "did not count");
	expect_made_good(rig);
	rig_remove(rig);
}

static void test_resized(void **state)
{
	struct track_rig *rig = make_tracked(*state);
	CLEANUP_FD int fd = open(rig->device, O_RDWR | O_CLOEXEC);

	assert_int_equal(truncate(rig->file, DISK_BYTES + (8 << 20)), 0);
	assert_int_equal(ioctl(fd, LOOP_SET_CAPACITY, 0), 0);
	for (int i = 0; i < 2; i++) {
		rig_expect(rig, TRACKER_IN_DOUBT, "its size was 32");
		rig_take(rig);
		assert_true(rig->is_whole);
	}
	rig_remove(rig);
}

/* Written behind the end that was, then cut back to it. */
static void test_resized_for_a_moment(void **state)
{
	struct track_rig *rig = make_tracked(*state);
	CLEANUP_FD int fd = open(rig->device, O_RDWR | O_CLOEXEC);

	assert_int_equal(truncate(rig->file, DISK_BYTES + (8 << 20)), 0);
	assert_int_equal(ioctl(fd, LOOP_SET_CAPACITY, 0), 0);
	write_one(rig, DISK_BYTES + (1 << 20), 0x22);
	assert_int_equal(truncate(rig->file, DISK_BYTES), 0);
	assert_int_equal(ioctl(fd, LOOP_SET_CAPACITY, 0), 0);
	rig_wait_quiet(rig);
	rig_expect(rig, TRACKER_IN_DOUBT, "behind the end");
	expect_made_good(rig);
	rig_remove(rig);
}

static void test_exchanged(void **state)
{
	struct track_rig *rig = make_tracked(*state);
	CLEANUP_FD int fd = open(rig->device, O_RDWR | O_CLOEXEC), file = open(rig->file, O_RDWR | O_CLOEXEC);
	struct loop_config config = {.fd = file};

	/* Free only once nobody has it open. */
	close(rig->direct_fd);
	rig->direct_fd = -1;
	assert_int_equal(ioctl(fd, LOOP_CLR_FD, 0), 0);
	close(fd);
	fd = open(rig->device, O_RDWR | O_CLOEXEC);
	if (ioctl(fd, LOOP_CONFIGURE, &config)) {
		rig_remove(rig);
		skip(); /* somebody else was faster */
	}
	rig_expect(rig, TRACKER_IN_DOUBT, "another disk");
	rig_remove(rig);
}

/* The kernel keeps no requests for such a disk. */
static void test_no_requests(void **state)
{
	const char *device = "/dev/zram0";
	struct tracker_verdict verdict;
	struct tracker *tracker;

	(void)state;
	if (geteuid() || access(device, F_OK))
		skip();
	must(tracker_start(&device, 1, &(struct tracker_options){0}, &tracker));
	tracker_check(tracker, 0, &verdict);
	assert_int_equal(verdict.certainty, TRACKER_IN_DOUBT);
	assert_non_null(strstr(verdict.reason, "no requests"));
	tracker_stop(tracker);
}

/* Starts tracking this disk, and is killed at once. */
static void track_and_die(const char *device, const char *tier)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		struct tracker_options options = {0};
		struct tracker *tracker;

		err_free(tracker_options_parse(tier, &options));
		err_free(tracker_start(&device, 1, &options, &tracker));
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
}

/* Killed at once; whoever comes next tracks again. */
static void test_killed(void **state)
{
	struct track_rig *rig = make_tracked(*state);

	track_and_die(rig->device, *state);
	write_one(rig, 7 << 20, 0x22);
	tracker_stop(take_ptr(rig->tracker));
	rig_start(rig, *state);
	write_one(rig, 9 << 20, 0x22);
	rig_wait_quiet(rig);
	rig_take(rig);
	assert_false(rig->is_whole);
	assert_int_equal(rig_count_different(rig), 0);
	rig_expect(rig, TRACKER_CERTAIN, NULL);
	rig_remove(rig);
}

/* The reader does not get to read, until the kernel's log of requests is full. */
static void test_log_full(void **state)
{
	struct track_rig *rig = make_tracked("blktrace");
	CLEANUP_FD int fd = open(rig->device, O_RDWR | O_CLOEXEC | O_DIRECT);
	CLEANUP_FREE uint8_t *buf = aligned_alloc(4096, 4096);
	pid_t tracked = getpid(), writer = fork();
	int status;

	(void)state;
	memset(buf, 0x44, 4096);
	if (!writer) {
		kill(tracked, SIGSTOP);
		for (int i = 0; i < 60000; i++)
			if (pwrite(fd, buf, 512, i % 1000 * 512) != 512)
				break;
		kill(tracked, SIGCONT);
		_exit(0);
	}
	assert_int_equal(waitpid(writer, &status, 0), writer);
	assert_int_equal(status, 0);
	rig_wait_quiet(rig);
	rig_expect(rig, TRACKER_IN_DOUBT, "dropped");
	expect_made_good(rig);
	rig_remove(rig);
}

/* What is left of a log of requests whose reader was killed is taken over. */
static void test_log_left(void **state)
{
	struct track_rig *rig;

	(void)state;
	if (!rig_can("blktrace"))
		skip();
	rig = rig_make(DISK_BYTES);
	track_and_die(rig->device, "blktrace");
	rig_start(rig, "blktrace");
	expect_followed(rig);
	rig_remove(rig);
}

static bool can_be_traced(const char *device)
{
	struct tracker *tracker = NULL;
	struct err *err =
		tracker_start(&device, 1, &(struct tracker_options){.tier = TRACKER_BLKTRACE}, &tracker);

	err_free(err);
	tracker_stop(tracker);
	return !err;
}

/* Somebody else's is not, even where one of ours was before. */
static void test_log_of_others(void **state)
{
	struct blk_user_trace_setup setup = {.act_mask = BLK_TC_WRITE, .buf_size = 4096, .buf_nr = 2};
	struct track_rig *rig;
	int fd;

	(void)state;
	if (!rig_can("blktrace"))
		skip();
	rig = rig_make(DISK_BYTES);
	fd = open(rig->device, O_RDONLY | O_CLOEXEC);
	track_and_die(rig->device, "blktrace");
	ioctl(fd, BLKTRACESTOP);
	assert_int_equal(ioctl(fd, BLKTRACETEARDOWN), 0);
	assert_int_equal(ioctl(fd, BLKTRACESETUP, &setup), 0);
	assert_false(can_be_traced(rig->device));
	assert_int_equal(ioctl(fd, BLKTRACETEARDOWN), 0);
	assert_true(can_be_traced(rig->device));
	close(fd);
	rig_remove(rig);
}

/* Two at once are one too many; what to do is said. */
static void test_log_taken(void **state)
{
	struct track_rig *rig = make_tracked("blktrace");
	const char *device = rig->device;
	struct tracker *second = NULL;
	struct err *err =
		tracker_start(&device, 1, &(struct tracker_options){.tier = TRACKER_BLKTRACE}, &second);

	(void)state;
	assert_non_null(err);
	assert_non_null(strstr(err_advice(err), "another program"));
	err_free(err);
	expect_followed(rig);
	rig_remove(rig);
}

/* The test is told the tier. */
#define BY(test, tier) cmocka_unit_test_prestate(test, (char[]){tier})
#define BY_EACH(test) \
	BY(test, "bpf"), BY(test, "bpf,no-mmap"), BY(test, "tracepoints"), BY(test, "tracepoints,no-mmap")

int main(void)
{
	const struct CMUnitTest tests[] = {
		BY_EACH(test_all_programs_off),
		BY(test_counters_lost, "bpf,no-mmap"),
		BY(test_counters_lost, "tracepoints,no-mmap"),
		BY(test_calls_lost, "tracepoints,no-mmap"),
		BY_EACH(test_end_not_seen),
		BY_EACH(test_beginning_not_seen),
		BY_EACH(test_partition),
		BY(test_new_partition, "tracepoints"),
		BY(test_new_partition, "tracepoints,no-mmap"),
		BY_EACH(test_not_counted),
		BY_EACH(test_not_counted_for_a_moment),
		BY_EACH(test_resized),
		BY_EACH(test_resized_for_a_moment),
		BY_EACH(test_exchanged),
		cmocka_unit_test(test_no_requests),
		BY_EACH(test_killed),
		cmocka_unit_test(test_log_full),
		cmocka_unit_test(test_log_left),
		cmocka_unit_test(test_log_of_others),
		cmocka_unit_test(test_log_taken),
	};

	return cmocka_run_group_tests_name("track faults", tests, NULL, NULL);
}
