/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/capture/lib-track.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "p2v/base/blk.h"
#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/base/strv.h"
#include "tests/base/lib-loop.h"
#include "tests/base/lib-must.h"
#include "tests/base/lib-nbd-server.h"
#include "tests/base/lib-rng.h"

#define READ_BYTES (1u << 20)
#define CELL TRACKER_CELL_BYTES
#define MAX_ENDS 10u
#define QUIET_LIMIT_NS 20000000000ull
#define PAUSE_NS 5000000

const char *const rig_tiers[] = {"bpf",	     "bpf,no-mmap", "tracepoints", "tracepoints,no-mmap",
				 "blktrace", NULL};

static bool has_to_be_there(const char *tier)
{
	const char *tiers = getenv("P2V_TRACK_TIERS");
	CLEANUP_STRV struct strv names = {0};

	/* Where there is the one, the kernel has what the others want. */
	if (!tiers)
		return strcmp(tier, "blktrace") && !access("/sys/kernel/btf/vmlinux", F_OK);
	strv_split(&names, tiers, " ");
	return strv_has(&names, tier);
}

static struct tracker_options options_of(const char *tier)
{
	struct tracker_options options = {0};

	must(tracker_options_parse(tier, &options));
	return options;
}

bool rig_can(const char *tier)
{
	struct tracker_options options = options_of(tier);
	struct track_rig *rig;
	const char *device;
	struct tracker *tracker = NULL;
	struct err *err;

	if (geteuid())
		return false;
	rig = rig_make_blank(1 << 20);
	if (!rig)
		return false;
	device = rig->device;
	err = tracker_start(&device, 1, &options, &tracker);
	if (err)
		print_message("  %s\n", err_message(err));
	tracker_stop(tracker);
	rig_remove(rig);
	if (err && has_to_be_there(tier))
		fail_msg("%s", err_message(err));
	err_free(err);
	return tracker != NULL;
}

/* False if there are none. */
static bool make_device(struct track_rig *rig)
{
	const char *given = getenv("P2V_TRACK_DEVICE");
	CLEANUP_BLK struct blk *blk = NULL;

	if (geteuid())
		return false;
	if (given) {
		rig->device = xstrdup(given);
		return true;
	}
	must(blk_file_open(rig->file, BLK_FILE_CREATE, rig->size_bytes, &blk));
	rig->device = loop_make(rig->file);
	return rig->device != NULL;
}

static void fill(struct track_rig *rig)
{
	struct rng rng = {.state = rig->size_bytes};
	CLEANUP_BLK struct blk *blk = NULL;

	rng_fill(&rng, rig->copy, rig->size_bytes);
	must(blk_file_open(rig->device, BLK_FILE_WRITE, 0, &blk));
	must(blk_pwrite(blk, rig->copy, rig->size_bytes, 0, 0));
	must(blk_flush(blk));
}

static struct track_rig *make(uint64_t size_bytes, bool is_random)
{
	struct track_rig *rig = xcalloc(1, sizeof *rig);

	rig->dir = test_dir_make();
	rig->file = test_path(rig->dir, "disk");
	rig->size_bytes = size_bytes;
	rig->direct_fd = -1;
	rig->copy = aligned_alloc(4096, (size_bytes + 4095) / 4096 * 4096);
	if (!make_device(rig)) {
		rig_remove(rig);
		return NULL;
	}
	if (is_random)
		fill(rig);
	rig->direct_fd = open(rig->device, O_RDONLY | O_DIRECT | O_CLOEXEC);
	assert_true(rig->direct_fd >= 0);
	return rig;
}

struct track_rig *rig_make(uint64_t size_bytes)
{
	return make(size_bytes, true);
}

struct track_rig *rig_make_blank(uint64_t size_bytes)
{
	return make(size_bytes, false);
}

void rig_read(const struct track_rig *rig, uint8_t *into, uint64_t start, uint64_t end)
{
	while (start < end) {
		size_t bytes = end - start < READ_BYTES ? end - start : READ_BYTES;

		assert_int_equal(pread(rig->direct_fd, into + start, bytes, start), bytes);
		start += bytes;
	}
}

static void show(void *arg, enum log_level level, const char *message)
{
	(void)arg;
	(void)level;
	print_message("  %s\n", message);
}

void rig_start(struct track_rig *rig, const char *tier)
{
	static const struct log log = {.write = show, .max_level = LOG_LEVEL_DEBUG};
	struct tracker_options options = options_of(tier);
	const char *device = rig->device;

	options.log = &log;
	must(tracker_start(&device, 1, &options, &rig->tracker));
	assert_int_equal(tracker_tier(rig->tracker), options.tier);
	rig->tier = tier;
	rig_read(rig, rig->copy, 0, rig->size_bytes);
}

void rig_remove(struct track_rig *rig)
{
	if (!rig)
		return;
	tracker_stop(rig->tracker);
	if (rig->direct_fd >= 0)
		close(rig->direct_fd);
	if (getenv("P2V_TRACK_DEVICE"))
		free(rig->device);
	else
		loop_remove(rig->device);
	test_dir_remove(rig->dir);
	free(rig->file);
	free(rig->copy);
	extents_deinit(&rig->changed);
	extents_deinit(&rig->discarded);
	extents_deinit(&rig->used);
	free(rig);
}

void rig_take(struct track_rig *rig)
{
	CLEANUP_EXTENTS struct extents all = {0};
	CLEANUP_EXTENTS struct extents emptied = {0};

	extents_deinit(&rig->changed);
	extents_deinit(&rig->discarded);
	rig->is_whole = !tracker_take(rig->tracker, 0, &rig->changed, &rig->discarded);
	extents_unite(&all, &rig->changed);
	if (rig->used.count) {
		extents_intersect(&rig->discarded, &rig->used, &emptied);
		extents_unite(&all, &emptied);
		extents_unite(&rig->used, &all);
	} else {
		extents_unite(&all, &rig->discarded);
	}
	for (size_t i = 0; i < all.count; i++)
		rig_read(rig, rig->copy, all.ranges[i].start, all.ranges[i].end);
}

void rig_wait_quiet(struct track_rig *rig)
{
	uint64_t limit_ns = run_now_ns() + QUIET_LIMIT_NS;

	while (!tracker_is_quiet(rig->tracker, 0)) {
		assert_true(run_now_ns() < limit_ns);
		nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
	}
}

static uint64_t cell_end(const struct track_rig *rig, uint64_t start)
{
	return rig->size_bytes - start < CELL ? rig->size_bytes : start + CELL;
}

uint64_t rig_count_different(struct track_rig *rig)
{
	uint8_t *now = aligned_alloc(4096, (rig->size_bytes + 4095) / 4096 * 4096);
	uint64_t different = 0;

	rig_read(rig, now, 0, rig->size_bytes);
	for (uint64_t at = 0; at < rig->size_bytes; at += CELL)
		if (memcmp(now + at, rig->copy + at, cell_end(rig, at) - at))
			different += cell_end(rig, at) - at;
	free(now);
	return different;
}

void rig_end(struct track_rig *rig, struct rig_end *ret_end)
{
	bool is_over = false;

	*ret_end = (struct rig_end){0};
	for (unsigned tries = 1; !is_over && tries <= MAX_ENDS; tries++) {
		struct tracker_verdict verdict;

		rig_wait_quiet(rig);
		rig_take(rig);
		ret_end->was_doubted |= rig->is_whole;
		tracker_check(rig->tracker, 0, &verdict);
		ret_end->certainty = verdict.certainty;
		ret_end->different = rig_count_different(rig);
		rig_take(rig);
		if (verdict.certainty == TRACKER_CERTAIN)
			is_over = !rig->changed.count && !rig->discarded.count;
		else
			is_over = tries > 1;
		if (!is_over)
			print_message("  while it is frozen: %s, %llu KiB discarded\n",
				      verdict.reason ? verdict.reason : "nothing is in doubt",
				      (unsigned long long)extents_total_bytes(&rig->discarded) >> 10);
	}
}

bool rig_take_covers_changes(struct track_rig *rig, const uint8_t *before)
{
	uint64_t changed = 0, told = extents_total_bytes(&rig->changed);
	bool covers = true;

	for (uint64_t at = 0; at < rig->size_bytes; at += CELL) {
		uint64_t end = cell_end(rig, at);

		if (!memcmp(before + at, rig->copy + at, end - at))
			continue;
		changed += end - at;
		if (!extents_contain(&rig->changed, at, end) && !extents_contain(&rig->discarded, at, end)) {
			print_message("  missed: %llu\n", (unsigned long long)at);
			covers = false;
		}
	}
	print_message("  %llu KiB changed, %llu KiB told, %llu KiB discarded\n",
		      (unsigned long long)changed >> 10, (unsigned long long)told >> 10,
		      (unsigned long long)extents_total_bytes(&rig->discarded) >> 10);
	return covers;
}

void rig_expect(struct track_rig *rig, enum tracker_certainty certainty, const char *words)
{
	struct tracker_verdict verdict;

	tracker_check(rig->tracker, 0, &verdict);
	if (verdict.certainty != certainty)
		fail_msg("certainty %d instead of %d: %s", verdict.certainty, certainty,
			 verdict.reason ? verdict.reason : "-");
	if (words && !strstr(verdict.reason, words))
		fail_msg("'%s' instead of '%s'", verdict.reason, words);
}
