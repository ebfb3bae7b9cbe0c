// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Power cuts at any moment in the life of a VHDX: lib-cut-worlds.h says what each
 * state must stand.  $P2V_POWER_CUTS different states are tried (default 1000);
 * the same with flushes that get lost at one place must fail.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/vhdx/lib-cut-worlds.h"
#include "tests/vhdx/lib-vhdx.h"

static const struct cut_world_kind kinds[] = {
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
			struct cut_world *world = cut_world_live(&kinds[i], seed, NULL);

			assert_no_error(cut_world_try(world, each, &tally));
			cut_world_destroy(world);
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

/* Where a file of ours has what, its BAT being small. */
static const struct planted_fault faults[] = {
	{"the BAT is written before its payload is durable", 4 * MIB, UINT64_MAX},
	{"the log is in use, and the BAT written, before the entry is durable", 1 * MIB, 2 * MIB},
};

/* Several states at each moment: a fault shows only within a step or two. */
#define PLANTED_STATES 4000

static void test_planted_faults(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(faults); i++) {
		struct err *err = NULL;

		for (uint64_t seed = 1; seed <= 16 && !err; seed++) {
			CLEANUP_CUT_TALLY struct cut_tally tally = {0};
			struct cut_world *world = cut_world_live(&kinds[0], seed, &faults[i]);

			err = cut_world_try(world, PLANTED_STATES, &tally);
			cut_world_destroy(world);
		}
		if (!err)
			fail_msg("not noticed: %s", faults[i].name);
		print_message("%s: %s\n", faults[i].name, err_message(err));
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
