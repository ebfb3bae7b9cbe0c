/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * No mark is lost between two takes, however fast these come: processes write each
 * cell of a disk once, and what all takes gave together must be all cells.  The
 * programs for a request's beginning are taken off, so that a cell is marked once,
 * when it is done.  What a kernel does not show of that is found by the ledger.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "tests/base/lib-must.h"
#include "tests/base/lib-rng.h"
#include "tests/capture/lib-track.h"
#include "tests/capture/lib-unhook.h"

#define CELL 4096u
#define DISK_BYTES (48u << 20)
#define CELLS (DISK_BYTES / CELL)
#define WRITERS 4
#define MAX_ROUNDS 20

struct round {
	unsigned takes;
	uint64_t missing; /* bytes that no take gave */
	bool was_doubted;
};

/* Every WRITERS-th cell from the first on, in any order. */
static int write_each(const char *device, unsigned first, uint64_t seed)
{
	CLEANUP_FREE uint8_t *buf = aligned_alloc(CELL, CELL);
	CLEANUP_FD int fd = open(device, O_RDWR | O_CLOEXEC | O_DIRECT);
	unsigned cells[CELLS / WRITERS];
	struct rng rng = {.state = seed};

	rng_fill(&rng, buf, CELL);
	for (unsigned i = 0; i < CELLS / WRITERS; i++) {
		unsigned k = rng_below(&rng, i + 1);

		cells[i] = cells[k];
		cells[k] = i * WRITERS + first;
	}
	for (unsigned i = 0; i < CELLS / WRITERS; i++)
		if (pwrite(fd, buf, CELL, (off_t)cells[i] * CELL) != CELL)
			return 1;
	return 0;
}

static void start_writers(const char *device, struct rng *rng, pid_t writers[WRITERS])
{
	for (unsigned i = 0; i < WRITERS; i++) {
		uint64_t seed = rng_next(rng);

		writers[i] = fork();
		assert_true(writers[i] >= 0);
		if (!writers[i])
			_exit(write_each(device, i, seed));
	}
}

static unsigned reap_ended(pid_t writers[WRITERS])
{
	unsigned ended = 0;

	for (unsigned i = 0; i < WRITERS; i++) {
		int status;

		if (writers[i] < 0 || waitpid(writers[i], &status, WNOHANG) != writers[i])
			continue;
		assert_int_equal(status, 0);
		writers[i] = -1;
		ended++;
	}
	return ended;
}

/* skip: no take is lost but this one, so that the test can be seen to notice. */
static struct round take_all_the_time(struct track_rig *rig, struct rng *rng, unsigned skip)
{
	CLEANUP_EXTENTS struct extents told = {0};
	struct round round = {0};
	pid_t writers[WRITERS];
	unsigned left = WRITERS;
	struct tracker_verdict verdict;

	start_writers(rig->device, rng, writers);
	for (bool is_last = false; !is_last;) {
		CLEANUP_EXTENTS struct extents changed = {0};

		left -= reap_ended(writers);
		is_last = !left;
		if (is_last)
			rig_wait_quiet(rig);
		round.was_doubted |= !tracker_take(rig->tracker, 0, &changed, &changed);
		round.takes += changed.count > 0;
		if (round.takes != skip || !changed.count)
			extents_unite(&told, &changed);
	}
	tracker_check(rig->tracker, 0, &verdict);
	round.was_doubted |= verdict.certainty != TRACKER_CERTAIN;
	round.missing = DISK_BYTES - extents_total_bytes(&told);
	return round;
}

static struct round try_round(const char *tier, struct rng *rng, unsigned skip)
{
	struct track_rig *rig = rig_make_blank(DISK_BYTES);
	struct tracker_options options = {.cell_bytes = CELL};
	const char *device = rig->device;
	struct unhooked queue, issue;
	struct round round;

	must(tracker_options_parse(tier, &options));
	must(tracker_start(&device, 1, &options, &rig->tracker));
	queue = unhook("track_queue");
	issue = unhook("track_issue");
	round = take_all_the_time(rig, rng, skip);
	hook_again(queue);
	hook_again(issue);
	print_message("%s: %u takes, %llu KiB missing%s\n", tier, round.takes,
		      (unsigned long long)round.missing >> 10, round.was_doubted ? ", with a doubt" : "");
	rig_remove(rig);
	return round;
}

/* Until a round had no doubt, which a busy kernel may give a reason for. */
static void test_no_mark_is_lost(void **state)
{
	struct rng rng = {.state = 5};

	if (getenv("P2V_TRACK_DEVICE") || !rig_can(*state))
		skip();
	for (int i = 0; i < MAX_ROUNDS; i++) {
		struct round round = try_round(*state, &rng, 0);

		assert_true(round.takes > 1);
		if (round.was_doubted)
			continue;
		assert_int_equal(round.missing, 0);
		return;
	}
	fail_msg("each of %d rounds had a doubt", MAX_ROUNDS);
}

static void test_control(void **state)
{
	struct rng rng = {.state = 7};
	struct round round;

	if (getenv("P2V_TRACK_DEVICE") || !rig_can(*state))
		skip();
	for (int i = 0; i < MAX_ROUNDS; i++) {
		round = try_round(*state, &rng, 1);
		if (!round.was_doubted)
			break;
	}
	assert_true(round.missing > 0);
}

#define BY(test, tier) cmocka_unit_test_prestate(test, (char[]){tier})
#define BY_EACH(test) \
	BY(test, "bpf"), BY(test, "bpf,no-mmap"), BY(test, "tracepoints"), BY(test, "tracepoints,no-mmap")

int main(void)
{
	const struct CMUnitTest tests[] = {
		BY_EACH(test_no_mark_is_lost),
		BY_EACH(test_control),
	};

	return cmocka_run_group_tests_name("takes under load", tests, NULL, NULL);
}
