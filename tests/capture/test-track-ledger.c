/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the ledger answers, given what is counted, seen and skipped: each a case of its own, from sums. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "capture/track-cells.h"
#include "capture/track-ledger.h"
#include "p2v/base/mem.h"
#include "tests/base/lib-rng.h"

/* Of one kind of sectors; a second look is the same. */
struct side {
	uint64_t counted, queued, issued, completed;
	uint64_t in_flight;
	uint64_t queue_misses, issue_misses, complete_misses;
};

struct fake {
	struct side side;
	bool is_discard, is_steady, is_gone, are_ends_vague;
};

static bool look(void *arg, struct ledger_look *ret_look)
{
	const struct fake *fake = arg;
	__u64 *seen = fake->is_discard ? ret_look->seen.discarded_sectors : ret_look->seen.written_sectors;

	*ret_look =
		(struct ledger_look){.is_steady = fake->is_steady, .are_ends_vague = fake->are_ends_vague};
	if (fake->is_discard)
		ret_look->stat.discarded_sectors = fake->side.counted;
	else
		ret_look->stat.written_sectors = fake->side.counted;
	ret_look->stat.writes_in_flight = fake->side.in_flight;
	seen[TRACK_QUEUE] = fake->side.queued;
	seen[TRACK_ISSUE] = fake->side.issued;
	seen[TRACK_COMPLETE] = fake->side.completed;
	ret_look->misses[TRACK_QUEUE] = fake->side.queue_misses;
	ret_look->misses[TRACK_ISSUE] = fake->side.issue_misses;
	ret_look->misses[TRACK_COMPLETE] = fake->side.complete_misses;
	return !fake->is_gone;
}

/* From the first side on, at rest: what the second one is. */
static const struct {
	const char *name;
	struct side before, after;
	enum ledger_answer answer;
	uint64_t sectors, unshown;
} cases[] = {
	{"nothing happened", {700, 5, 5, 5}, {700, 5, 5, 5}, LEDGER_EXACT, 0, 0},
	{"all was seen", {700, 5, 5, 5}, {708, 13, 13, 13}, LEDGER_EXACT, 0, 0},
	{"all was lost", {700, 5, 5, 5}, {708, 5, 5, 5}, LEDGER_SHORT, 8, 8},
	{"ends were lost", {700, 5, 5, 5}, {708, 13, 13, 5}, LEDGER_EXACT, 0, 8},
	{"ends and another were lost", {700, 5, 5, 5}, {716, 13, 13, 5}, LEDGER_SHORT, 16, 16},
	{"beginnings were lost", {700, 5, 5, 5}, {708, 5, 5, 13}, LEDGER_EXACT, 0, 0},
	{"not all was counted", {700, 5, 5, 5}, {704, 13, 13, 13}, LEDGER_OVER, 4, 0},
	{"in flight", {700, 5, 5, 5}, {700, 13, 13, 5, 1}, LEDGER_OPEN, 0, 0},
	{"an end lost while in flight", {700, 5, 5, 5}, {708, 21, 21, 5, 1}, LEDGER_OPEN, 8, 8},
	{"a loss while in flight", {700, 5, 5, 5}, {716, 5, 5, 5, 1}, LEDGER_SHORT, 16, 16},
	{"ends skipped", {700, 5, 5, 5}, {708, 13, 13, 5, 0, 0, 0, 1}, LEDGER_EXACT, 0, 8},
	{"ends skipped, in flight", {700, 5, 5, 5}, {708, 13, 13, 5, 1, 0, 0, 1}, LEDGER_OPEN, 8, 8},
	{"ends skipped, given twice", {700, 5, 5, 5}, {708, 13, 21, 5, 0, 0, 0, 1}, LEDGER_EXACT, 0, 8},
	{"ends skipped, failed early", {700, 5, 5, 5}, {708, 21, 5, 5, 0, 0, 0, 1}, LEDGER_SHORT, 8, 8},
	{"ends skipped, and lost", {700, 5, 5, 5}, {716, 13, 13, 5, 0, 0, 0, 1}, LEDGER_SHORT, 16, 16},
	{"all skipped", {700, 5, 5, 5}, {708, 13, 13, 5, 0, 1, 1, 1}, LEDGER_SHORT, 8, 8},
	{"all skipped, in flight", {700, 5, 5, 5}, {708, 13, 13, 5, 1, 1, 1, 1}, LEDGER_SHORT, 8, 8},
	{"others skipped at all stages", {700, 5, 5, 5}, {708, 13, 13, 13, 0, 1, 1, 1}, LEDGER_OVER, 0, 0},
	{"skipped before", {700, 5, 5, 5, 0, 9, 9, 9}, {708, 13, 13, 13, 0, 9, 9, 9}, LEDGER_EXACT, 0, 0},
};

/* Where a discard's end does not tell all that was discarded, and its beginning can be skipped. */
static const struct {
	const char *name;
	bool is_discard;
	struct side before, after;
	enum ledger_answer answer;
} vague_cases[] = {
	{"a discard was seen", true, {700, 5, 5, 5}, {708, 13, 5, 13}, LEDGER_EXACT},
	{"its end was not", true, {700, 5, 5, 5}, {708, 13, 5, 5}, LEDGER_EXACT},
	{"its beginning was not", true, {700, 5, 5, 5}, {708, 5, 5, 13}, LEDGER_OVER},
	{"others' beginnings were skipped", true, {700, 5, 5, 5}, {708, 13, 5, 13, 0, 1}, LEDGER_OVER},
	{"none while others were skipped", true, {700, 5, 5, 5}, {700, 5, 5, 5, 0, 1, 1}, LEDGER_EXACT},
	{"a write's beginning was not seen", false, {700, 5, 5, 5}, {708, 5, 5, 13}, LEDGER_EXACT},
};

static void test_vague_ends(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof vague_cases / sizeof *vague_cases; i++) {
		struct fake fake = {vague_cases[i].before, vague_cases[i].is_discard, true, false, true};
		struct ledger ledger;
		uint64_t sectors;

		print_message("%s\n", vague_cases[i].name);
		assert_true(ledger_open(&ledger, look, &fake));
		fake.side = vague_cases[i].after;
		assert_int_equal(ledger_check(&ledger, look, &fake, &sectors), vague_cases[i].answer);
	}
}

static void test_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
		size_t k = i / 2;
		struct fake fake = {cases[k].before, i % 2, true, false};
		struct ledger ledger;
		uint64_t sectors = 77;

		print_message("%s\n", cases[k].name);
		assert_true(ledger_open(&ledger, look, &fake));
		fake.side = cases[k].after;
		fake.is_steady = !fake.side.in_flight;
		assert_int_equal(ledger_check(&ledger, look, &fake, &sectors), cases[k].answer);
		assert_int_equal(sectors, cases[k].sectors);
		assert_int_equal(ledger.unshown, cases[k].unshown);
	}
}

/* Each kind is proved by what saw all of it. */
static bool look_both(void *arg, struct ledger_look *ret_look)
{
	*ret_look = *(const struct ledger_look *)arg;
	return true;
}

static void test_kinds(void **state)
{
	static const struct {
		struct track_counts seen; /* each 8 too few where it was lost */
		enum ledger_answer answer;
	} losses[] = {
		{{.written_sectors = {8, 16, 8}, .discarded_sectors = {16, 16, 16}}, LEDGER_EXACT},
		{{.written_sectors = {8, 16, 8}, .discarded_sectors = {16, 16, 8}}, LEDGER_EXACT},
		{{.written_sectors = {16, 16, 8}, .discarded_sectors = {8, 16, 16}}, LEDGER_EXACT},
		{{.written_sectors = {16, 16, 8}, .discarded_sectors = {8, 8, 8}}, LEDGER_SHORT},
		{{.written_sectors = {8, 8, 8}, .discarded_sectors = {16, 16, 16}}, LEDGER_SHORT},
		{{.written_sectors = {8, 8, 16}, .discarded_sectors = {8, 8, 16}}, LEDGER_EXACT},
	};

	(void)state;
	for (size_t i = 0; i < sizeof losses / sizeof *losses; i++) {
		struct ledger_look now = {.is_steady = true};
		struct ledger ledger;
		uint64_t sectors;

		assert_true(ledger_open(&ledger, look_both, &now));
		now.stat.written_sectors = now.stat.discarded_sectors = 16;
		now.seen = losses[i].seen;
		assert_int_equal(ledger_check(&ledger, look_both, &now, &sectors), losses[i].answer);
	}
}

/* What is unshown adds up, each sector once; and only where the beginnings prove it is all settled. */
static void test_unshown(void **state)
{
	static const struct {
		struct side side;
		uint64_t unshown;
		bool is_settled;
	} steps[] = {
		{{700, 5, 5, 5}, 0, true},
		{{708, 21, 21, 5, 1}, 8, false},
		{{708, 21, 21, 5, 1}, 8, false},
		{{716, 21, 21, 5}, 16, true},
		{{716, 21, 21, 5}, 16, true},
		{{724, 29, 29, 13}, 16, true},
		{{732, 37, 37, 13}, 24, true},
		{{740, 37, 37, 21, 0, 0, 0, 0}, 24, false},
		{{740, 37, 37, 21, 0, 0, 0}, 24, true},
	};
	struct fake fake = {steps[0].side, false, true, false};
	struct ledger ledger;
	uint64_t sectors;

	(void)state;
	assert_true(ledger_open(&ledger, look, &fake));
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		enum ledger_answer wanted = steps[i].side.in_flight ? LEDGER_OPEN : LEDGER_EXACT;

		fake.side = steps[i].side;
		assert_int_equal(ledger_check(&ledger, look, &fake, &sectors), wanted);
		assert_int_equal(ledger.unshown, steps[i].unshown);
		assert_int_equal(ledger.is_settled, steps[i].is_settled);
	}
}

static void test_gone(void **state)
{
	struct fake fake = {.is_gone = true};
	struct ledger ledger = {0};
	uint64_t sectors;

	(void)state;
	assert_false(ledger_open(&ledger, look, &fake));
	assert_int_equal(ledger_check(&ledger, look, &fake, &sectors), LEDGER_GONE);
}

/* On a disk that never rests: between what is counted and seen is a request, but not always. */
static bool look_busy(void *arg, struct ledger_look *ret_look)
{
	unsigned *looks = arg;
	uint64_t counted = 8 * *looks;

	*ret_look = (struct ledger_look){.stat.written_sectors = counted, .stat.writes_in_flight = 1};
	ret_look->seen.written_sectors[TRACK_COMPLETE] = counted + 100 + (*looks % 5 ? 8 : 0);
	(*looks)++;
	return true;
}

/* *looks: at which of them it begins. */
static void open_exactly(struct ledger *ledger, ledger_look_fn opening, unsigned *looks, struct fake *rest)
{
	uint64_t sectors;

	assert_true(ledger_open(ledger, opening, looks));
	assert_int_equal(ledger_check(ledger, look, rest, &sectors), LEDGER_EXACT);
}

static void expect_short(struct ledger *ledger, struct fake *rest, uint64_t wanted_sectors)
{
	uint64_t sectors;

	assert_int_equal(ledger_check(ledger, look, rest, &sectors), LEDGER_SHORT);
	assert_int_equal(sectors, wanted_sectors);
}

static void test_opened_busy(void **state)
{
	struct fake rest = {{.counted = 80000, .completed = 80100}, false, true, false};
	struct ledger ledger;
	unsigned looks = 1;

	(void)state;
	open_exactly(&ledger, look_busy, &looks, &rest);
	looks = 1;
	assert_true(ledger_open(&ledger, look_busy, &looks));
	rest.side.completed--;
	expect_short(&ledger, &rest, 1);
}

/* Whoever completes a request stands still between showing and counting it: nothing is in flight. */
static bool look_interrupted(void *arg, struct ledger_look *ret_look)
{
	unsigned *looks = arg;

	*ret_look = (struct ledger_look){.is_steady = true};
	ret_look->stat.discarded_sectors = 700 + (*looks > 3 ? 8 : 0);
	for (int event = 0; event < TRACK_EVENTS; event++)
		ret_look->seen.discarded_sectors[event] = 108;
	(*looks)++;
	return true;
}

static void test_opened_between(void **state)
{
	struct fake rest = {
		{.counted = 708, .queued = 108, .issued = 108, .completed = 108}, true, true, false};
	struct ledger ledger;
	unsigned looks = 0;

	(void)state;
	open_exactly(&ledger, look_interrupted, &looks, &rest);
	rest.side.counted += 8;
	expect_short(&ledger, &rest, 8);
}

/* What is marked is taken once, whatever the disk's size. */
static void test_cells(void **state)
{
	static const uint64_t sizes[] = {512, 65536, 65536 * 300 + 512, 1ull << 30, (5ull << 30) + 4096};
	struct rng rng = {.state = 3};

	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct track_area area, next;
		uint64_t at = 8, behind;
		CLEANUP_FREE uint8_t *cells = NULL;

		track_area_place(&area, sizes[i], 65536, &at);
		behind = at;
		track_area_place(&next, sizes[i], 65536, &at);
		cells = xcalloc(1, at);
		for (int round = 0; round < 50; round++) {
			CLEANUP_EXTENTS struct extents marked = {0};
			CLEANUP_EXTENTS struct extents taken = {0};

			for (int k = 0; k < 3; k++) {
				uint64_t start = rng_below(&rng, sizes[i]), end;

				end = start + 1 +
				      rng_below(&rng, 1 + ((sizes[i] - start) >> rng_below(&rng, 20)));
				end = end < sizes[i] ? end : sizes[i];
				track_area_mark(&area, cells, start, end);
				extents_add(&marked, start, end);
			}
			extents_align(&marked, 65536);
			track_area_take(&area, cells, sizes[i], &taken);
			if (marked.ranges[marked.count - 1].end > sizes[i])
				extents_remove(&marked, sizes[i], UINT64_MAX);
			assert_int_equal(taken.count, marked.count);
			assert_memory_equal(taken.ranges, marked.ranges, taken.count * sizeof *taken.ranges);
			for (uint64_t k = 0; k < at; k++)
				assert_int_equal(cells[k], 0);
		}
		assert_true(behind <= next.fine_at);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),	       cmocka_unit_test(test_vague_ends),
		cmocka_unit_test(test_kinds),	       cmocka_unit_test(test_unshown),
		cmocka_unit_test(test_gone),	       cmocka_unit_test(test_opened_busy),
		cmocka_unit_test(test_opened_between), cmocka_unit_test(test_cells),
	};

	return cmocka_run_group_tests_name("track ledger", tests, NULL, NULL);
}
