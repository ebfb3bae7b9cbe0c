// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Power cuts at any moment in the life of a VHDX: lib-cut-judge.h says what each
 * state must stand.  $P2V_POWER_CUTS different states are tried (default 1000);
 * the same with flushes that get lost at one place must fail.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/base/lib-must.h"
#include "tests/vhdx/lib-cut-judge.h"
#include "tests/vhdx/lib-vhdx.h"

static const struct cut_kind kinds[] = {
	{"mixed", {.size_bytes = 3 * MIB + 1536, .block_bytes = MIB}, MIB, MIB, 90, 6, 1},
	{"fixed",
	 {.size_bytes = 3 * MIB + 1536, .block_bytes = MIB, .flags = VHDX_FIXED},
	 MIB,
	 MIB,
	 60,
	 6,
	 1},
	{"4 KiB sectors", {.size_bytes = 4 * MIB, .logical_sector_bytes = 4096}, 2 * MIB, 2 * MIB, 60, 8, 1},
	/* Each window has a page of the BAT of its own: entries of many pages, and after a few flushes the
	 * log has wrapped. */
	{"many pages", {.size_bytes = 40 * GIB, .block_bytes = MIB}, 16384, 512 * MIB, 300, 60, 1},
	/* More than 128 flushes that change the BAT: the log wraps in small steps. */
	{"wrapped log", {.size_bytes = 8 * MIB, .block_bytes = MIB}, 16384, MIB, 700, 3, 1},
	{"marked again", {.size_bytes = 3 * MIB + 1536, .block_bytes = MIB}, MIB, MIB, 60, 6, 1, CUT_AGAIN},
	{"child", {.size_bytes = 3 * MIB + 1536, .block_bytes = MIB}, MIB, MIB, 90, 6, 1, CUT_CHILD},
	{"merge", {.size_bytes = 3 * MIB + 1536, .block_bytes = MIB}, MIB, MIB, 60, 6, 1, CUT_MERGE},
	{"threads in a child", {.size_bytes = 6 * MIB, .block_bytes = MIB}, 65536, MIB, 120, 8, 3, CUT_CHILD},
	{"threads", {.size_bytes = 12 * MIB, .block_bytes = MIB}, 65536, MIB, 240, 8, 3},
};

static size_t wanted_states(void)
{
	const char *text = getenv("P2V_POWER_CUTS");
	unsigned long wanted = text ? strtoul(text, NULL, 10) : 1000;

	assert_true(wanted > 0);
	return wanted;
}

static void test_power_cuts(void **state)
{
	CLEANUP_CUT_TALLY struct cut_tally tally = {0};
	size_t wanted = wanted_states(), each = wanted / COUNT_OF(kinds) / 2 + 1, distinct = 0;

	(void)state;
	if (each > 400)
		each = 400;
	for (uint64_t seed = 1; distinct < wanted; seed++) {
		for (size_t i = 0; i < COUNT_OF(kinds); i++) {
			struct cut_life *life = cut_life_create(&kinds[i], seed, NULL);

			must(cut_life_try(life, each, &tally));
			cut_life_destroy(life);
		}
		distinct = cut_tally_distinct(&tally);
		assert_true(seed < wanted);
	}
	print_message(
		"%zu distinct states: %zu complete files, %zu with a log to replay, %zu cuts in a replay\n",
		distinct, tally.complete, tally.replayed, tally.in_replay);
	assert_true(tally.complete && tally.complete < tally.count);
	assert_true(tally.replayed && tally.in_replay);
}

/* Where a file of ours has what, its BAT being small; and in which kind of life that matters. */
static const struct {
	struct planted_fault fault;
	enum cut_story story;
} faults[] = {
	{{"the BAT is written before its payload is durable", 4 * MIB, UINT64_MAX}, CUT_ALONE},
	{{"the log is in use, and the BAT written, before the entry is durable", 1 * MIB, 2 * MIB},
	 CUT_ALONE},
	{{"a parent's flushes get lost while its child is merged", 0, UINT64_MAX}, CUT_MERGE},
};

/* Several states at each moment: a fault shows only within a step or two. */
#define PLANTED_STATES 4000

static void test_planted_faults(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(faults); i++) {
		const struct planted_fault *fault = &faults[i].fault;
		const struct cut_kind *kind = &kinds[0];
		struct err *err = NULL;

		while (kind->story != faults[i].story)
			kind++;

		for (uint64_t seed = 1; seed <= 8 && !err; seed++) {
			CLEANUP_CUT_TALLY struct cut_tally tally = {0};
			struct cut_life *life = cut_life_create(kind, seed, fault);

			err = cut_life_try(life, PLANTED_STATES, &tally);
			cut_life_destroy(life);
		}
		if (!err)
			fail_msg("not noticed: %s", fault->name);
		print_message("%s: %s\n", fault->name, err_message(err));
		err_free(err);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_power_cuts),
		cmocka_unit_test(test_planted_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
