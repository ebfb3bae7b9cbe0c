/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is written to a disk, in every way there is, must be in the next take, by
 * every tier; and nothing must be left in doubt by that.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "tests/base/lib-must.h"
#include "tests/base/lib-rng.h"
#include "tests/capture/lib-track.h"

/* No multiple of a cell, nor of a page. */
#define DISK_BYTES ((48u << 20) + 12 * 512)
#define WRITES 100
#define MAX_BYTES (256u << 10)
#define PROCESSES 4

static uint8_t *random_buffer(struct rng *rng)
{
	uint8_t *buf = aligned_alloc(4096, MAX_BYTES);

	rng_fill(rng, buf, MAX_BYTES);
	return buf;
}

/* Random writes of whole units. */
static void write_some(int fd, struct rng *rng, uint64_t unit)
{
	CLEANUP_FREE uint8_t *buf = random_buffer(rng);

	for (int i = 0; i < WRITES; i++) {
		size_t bytes = (1 + rng_below(rng, MAX_BYTES / unit / 4)) * unit;
		uint64_t at = rng_below(rng, (DISK_BYTES - bytes) / unit + 1) * unit;

		assert_int_equal(pwrite(fd, buf, bytes, at), bytes);
	}
}

static void write_direct(int fd, struct rng *rng)
{
	(void)fd;
	write_some(fd, rng, 512);
}

static void write_buffered(int fd, struct rng *rng)
{
	write_some(fd, rng, 1);
	assert_int_equal(fsync(fd), 0);
}

static void write_last_bytes(int fd, struct rng *rng)
{
	CLEANUP_FREE uint8_t *buf = random_buffer(rng);

	assert_int_equal(pwrite(fd, buf, 512, DISK_BYTES - 512), 512);
	assert_int_equal(pwrite(fd, buf, 512, 0), 512);
}

static void write_mapped(int fd, struct rng *rng)
{
	uint8_t *map = mmap(NULL, DISK_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	assert_true(map != MAP_FAILED);
	for (int i = 0; i < WRITES; i++)
		map[rng_below(rng, DISK_BYTES)] ^= 0xff;
	assert_int_equal(msync(map, DISK_BYTES, MS_SYNC), 0);
	munmap(map, DISK_BYTES);
}

static void ranges(int fd, struct rng *rng, unsigned long request, uint64_t max_bytes)
{
	for (int i = 0; i < 10; i++) {
		uint64_t bytes = (1 + rng_below(rng, max_bytes / 4096)) * 4096;
		uint64_t range[2] = {rng_below(rng, (DISK_BYTES - bytes) / 4096) * 4096, bytes};

		assert_int_equal(ioctl(fd, request, range), 0);
	}
}

static void discard(int fd, struct rng *rng)
{
	ranges(fd, rng, BLKDISCARD, 1 << 20);
}

static void discard_much(int fd, struct rng *rng)
{
	ranges(fd, rng, BLKDISCARD, 40 << 20);
}

static void write_zeroes(int fd, struct rng *rng)
{
	ranges(fd, rng, BLKZEROOUT, 40 << 20);
}

static void punch(int fd, struct rng *rng)
{
	for (int i = 0; i < 10; i++) {
		int mode = i % 2 ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;
		uint64_t at = rng_below(rng, DISK_BYTES / 4096 - 300) * 4096;

		assert_int_equal(
			fallocate(fd, mode | FALLOC_FL_KEEP_SIZE, at, (1 + rng_below(rng, 256)) * 4096), 0);
	}
}

static void write_by_many(int fd, struct rng *rng)
{
	for (int i = 0; i < PROCESSES; i++) {
		struct rng own = {.state = rng_next(rng)};

		if (fork())
			continue;
		write_some(fd, &own, 4096);
		_exit(0);
	}
	for (int i = 0; i < PROCESSES; i++) {
		int status;

		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
}

static const struct {
	const char *name;
	int mode;
	void (*write)(int fd, struct rng *rng);
} ways[] = {
	{"direct", O_DIRECT, write_direct},
	{"buffered", 0, write_buffered},
	{"direct, durable", O_DIRECT | O_DSYNC, write_direct},
	{"first and last sector", O_DIRECT, write_last_bytes},
	{"mapped", 0, write_mapped},
	{"discard", O_DIRECT, discard},
	{"discard of much", O_DIRECT, discard_much},
	{"write zeroes", O_DIRECT, write_zeroes},
	{"fallocate", 0, punch},
	{"several processes", O_DIRECT, write_by_many},
};

static void try_way(struct track_rig *rig, size_t way, struct rng *rng)
{
	CLEANUP_FREE uint8_t *before = xmemdup(rig->copy, rig->size_bytes);
	CLEANUP_FD int fd = open(rig->device, O_RDWR | O_CLOEXEC | ways[way].mode);

	print_message("%s\n", ways[way].name);
	assert_true(fd >= 0);
	ways[way].write(fd, rng);
	rig_wait_quiet(rig);
	rig_take(rig);
	assert_false(rig->is_whole);
	assert_true(rig_take_covers_changes(rig, before));
	assert_true(rig->changed.count || rig->discarded.count);
	assert_int_equal(rig_count_different(rig), 0);
	rig_expect(rig, TRACKER_CERTAIN, NULL);
	rig_take(rig);
	assert_int_equal(rig->changed.count, 0);
}

/* What is in use is said: in words, and to programs. */
static void expect_told(const struct track_rig *rig)
{
	bool are_copied = strstr(rig->tier, ",no-mmap");
	json_t *json = tracker_to_json(rig->tracker);

	assert_int_equal(strstr(tracker_describe(rig->tracker), "copied") != NULL, are_copied);
	assert_string_equal(json_string_value(json_object_get(json, "tier")),
			    tracker_tier_name(tracker_tier(rig->tracker)));
	assert_string_equal(json_string_value(json_object_get(json, "guarantee")),
			    tracker_describe(rig->tracker));
	json_decref(json);
}

static void test_every_way(void **state)
{
	struct rng rng = {.state = 17};

	(void)state;
	for (size_t i = 0; rig_tiers[i]; i++) {
		struct track_rig *rig;

		print_message("--- %s\n", rig_tiers[i]);
		if (!rig_can(rig_tiers[i]))
			continue;
		rig = rig_make(DISK_BYTES);
		rig_start(rig, rig_tiers[i]);
		expect_told(rig);
		for (size_t way = 0; way < sizeof ways / sizeof *ways; way++)
			try_way(rig, way, &rng);
		rig_remove(rig);
	}
}

/* What is told must not be much more than what was written. */
static void test_no_more_than_that(void **state)
{
	(void)state;
	for (size_t i = 0; rig_tiers[i]; i++) {
		CLEANUP_FREE uint8_t *buf = aligned_alloc(4096, 4096);
		CLEANUP_FD int fd = -1;
		struct track_rig *rig;

		if (!rig_can(rig_tiers[i]))
			continue;
		rig = rig_make(DISK_BYTES);
		rig_start(rig, rig_tiers[i]);
		fd = open(rig->device, O_RDWR | O_CLOEXEC | O_DIRECT);
		memset(buf, 1, 4096);
		assert_int_equal(pread(fd, buf, 4096, 9 << 20), 4096);
		assert_int_equal(pwrite(fd, buf, 4096, 5 << 20), 4096);
		rig_wait_quiet(rig);
		rig_take(rig);
		assert_int_equal(rig->changed.count, 1);
		assert_int_equal(rig->changed.ranges[0].start, 5 << 20);
		assert_int_equal(rig->changed.ranges[0].end, (5 << 20) + TRACKER_CELL_BYTES);
		assert_int_equal(rig->discarded.count, 0);
		rig_remove(rig);
	}
}

/* Without a tier everything is given, each time, with the reason. */
static void test_hash(void **state)
{
	struct track_rig *rig = rig_make(DISK_BYTES);

	(void)state;
	if (!rig)
		skip();
	rig_start(rig, "hash");
	for (int i = 0; i < 2; i++) {
		rig_take(rig);
		assert_true(rig->is_whole);
		assert_true(extents_contain(&rig->changed, 0, DISK_BYTES));
		rig_expect(rig, TRACKER_IN_DOUBT, "asked not to be");
	}
	rig_remove(rig);
}

static void expect_refused(const char *device, const char *words)
{
	struct tracker *tracker = NULL;
	struct err *err = tracker_start(&device, 1, &(struct tracker_options){0}, &tracker);

	assert_non_null(err);
	assert_non_null(strstr(err_message(err), words));
	err_free(err);
}

static void test_refusals(void **state)
{
	(void)state;
	expect_refused("/dev/null", "no block device");
	expect_refused("/dev/there-is-no-such-disk", "No such file");
}

static void test_tier_names(void **state)
{
	static const char *const refused[] = {"magic",
					      "",
					      "bpf,",
					      "bpf,no-btf",
					      "no-mmap",
					      "hash,no-mmap",
					      "blktrace,no-mmap",
					      "bpf,no-mmap,no-mmap"};
	struct tracker_options options = {0};

	(void)state;
	for (int i = TRACKER_AUTO; i <= TRACKER_HASH; i++) {
		must(tracker_options_parse(tracker_tier_name(i), &options));
		assert_int_equal(options.tier, i);
		assert_int_equal(options.flags, 0);
	}
	must(tracker_options_parse("tracepoints,no-mmap", &options));
	assert_int_equal(options.tier, TRACKER_POINTS);
	assert_int_equal(options.flags, TRACKER_NO_MMAP);
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		must_fail(tracker_options_parse(refused[i], &options), ERR_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_way),  cmocka_unit_test(test_no_more_than_that),
		cmocka_unit_test(test_hash),	   cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_tier_names),
	};

	return cmocka_run_group_tests_name("track", tests, NULL, NULL);
}
