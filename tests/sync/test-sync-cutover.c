// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The end of a cutover, between two processes: whatever breaks, and at whichever message, a server that goes
 * on and a complete copy of it are never there at once; and where both ends live, or come back, it ends well.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sync/lib-cutover-rig.h"

static const char *const message_names[] = {"COMMIT (HOLD)", "its COMMITTED", "COMMIT", "its COMMITTED"};

/* Always true, whatever happened; says which case it was. */
static void assert_never_two(const struct cutover_rig *rig, const struct cutover_facts *wanted, int status)
{
	const struct cutover_facts *facts = rig->facts;
	CLEANUP_FREE char *messages = cutover_rig_messages(rig);

	if (facts->violations || facts->fault)
		fail_msg("fault %d %s %d (%s): status %d, %u violations, %u thaws%s:\n%s", wanted->fault,
			 wanted->behind ? "behind" : "before", wanted->at, message_names[wanted->at], status,
			 facts->violations, facts->thaws, facts->fault ? ", it did not happen" : "",
			 messages);
}

static void assert_status(const struct cutover_rig *rig, int wanted, int status)
{
	CLEANUP_FREE char *messages = cutover_rig_messages(rig);

	if (status != wanted)
		fail_msg("status %d, not %d:\n%s", status, wanted, messages);
}

/* Whether the server was let go on. */
static void assert_thawed(const struct cutover_rig *rig, const struct cutover_facts *wanted, bool is_wanted)
{
	CLEANUP_FREE char *messages = cutover_rig_messages(rig);

	if (is_wanted != (rig->facts->thaws > 0))
		fail_msg("fault %d %s %s: %u thaws:\n%s", wanted->fault, wanted->behind ? "behind" : "before",
			 message_names[wanted->at], rig->facts->thaws, messages);
}

/* What happens where both ends live, or come back: it ends complete, however often it takes. */
static void end_well(struct cutover_facts facts)
{
	CLEANUP_CUTOVER_RIG struct cutover_rig rig = {0};
	CLEANUP_CHECKPOINT struct checkpoint job = {0};
	int status;

	facts.patience_ms = 60000;
	cutover_rig_init(&rig, facts);
	status = cutover_rig_run(&rig);
	assert_never_two(&rig, &facts, status);
	assert_status(&rig, 0, status);
	cutover_rig_load_job(&rig, &job);
	assert_true(job.complete && !job.held_since);
	assert_true(rig.facts->is_frozen && rig.facts->is_equal);
	assert_int_equal(rig.facts->fate, CUTOVER_KEPT);
	/* It was let go on where nothing was decided, and nowhere else.  HELD that the line has handed on
	 * right before it broke, or before its receiver was killed, may have come, or not: what resets a
	 * connection discards what was not read.
	 */
	if (facts.fault && (facts.at == CUTOVER_HOLD || (facts.at == CUTOVER_HELD && !facts.behind)))
		assert_thawed(&rig, &facts, true);
	else if (facts.fault != CUTOVER_TIME_OUT && facts.at != CUTOVER_HELD)
		assert_thawed(&rig, &facts, false);
}

static void at_each_message(enum cutover_fault fault)
{
	for (int at = CUTOVER_HOLD; at <= CUTOVER_COMMITTED; at++)
		for (int behind = 0; behind < 2; behind++)
			end_well((struct cutover_facts){.at = at, .fault = fault, .behind = behind});
}

static void test_sound(void **state)
{
	(void)state;
	end_well((struct cutover_facts){0});
}

static void test_line_is_cut(void **state)
{
	(void)state;
	at_each_message(CUTOVER_CUT);
}

static void test_receiver_is_killed(void **state)
{
	(void)state;
	at_each_message(CUTOVER_KILL_RECEIVER);
}

/* A receiver that is slow: from the decision on it may be. */
static void test_time_is_over(void **state)
{
	(void)state;
	at_each_message(CUTOVER_TIME_OUT);
}

static void test_sender_is_killed(void **state)
{
	(void)state;
	for (int at = CUTOVER_HOLD; at <= CUTOVER_COMMITTED; at++)
		for (int behind = 0; behind < 2; behind++) {
			const struct cutover_facts facts = {
				.at = at, .fault = CUTOVER_KILL_SENDER, .behind = behind};
			CLEANUP_CUTOVER_RIG struct cutover_rig rig = {0};
			CLEANUP_CHECKPOINT struct checkpoint job = {0};
			int status;

			cutover_rig_init(&rig, facts);
			status = cutover_rig_run(&rig);
			cutover_rig_settle(&rig);
			assert_never_two(&rig, &facts, status);
			/* How far it has come behind an answer nobody can tell. */
			if (behind && (at == CUTOVER_HELD || at == CUTOVER_COMMITTED))
				continue;
			assert_status(&rig, 128 + SIGKILL, status);
			cutover_rig_load_job(&rig, &job);
			assert_int_equal(job.complete,
					 at == CUTOVER_COMMITTED || (at == CUTOVER_COMMIT && behind));
			if (at > CUTOVER_HOLD)
				assert_true(job.complete || job.held_since);
			assert_int_equal(rig.facts->is_frozen, at >= CUTOVER_COMMIT);
		}
}

/* The receiver never comes back: the server stays as it is, and the sender says so. */
static void test_receiver_is_lost(void **state)
{
	(void)state;
	for (int at = CUTOVER_COMMIT; at <= CUTOVER_COMMITTED; at++) {
		const struct cutover_facts facts = {
			.at = at, .fault = CUTOVER_LOSE_RECEIVER, .patience_ms = 100};
		CLEANUP_CUTOVER_RIG struct cutover_rig rig = {0};
		CLEANUP_CHECKPOINT struct checkpoint job = {0};
		CLEANUP_FREE char *messages = NULL;
		int status;

		cutover_rig_init(&rig, facts);
		status = cutover_rig_run(&rig);
		assert_never_two(&rig, &facts, status);
		assert_status(&rig, ERR_REFUSED, status);
		cutover_rig_load_job(&rig, &job);
		assert_int_equal(job.complete, at == CUTOVER_COMMITTED);
		assert_int_equal(!!job.held_since, at == CUTOVER_COMMIT);
		assert_true(rig.facts->is_frozen);
		messages = cutover_rig_messages(&rig);
		assert_non_null(strstr(messages, "has not confirmed that the copy is complete"));
	}
}

/* Somebody else lets it go on while the last word is said again and again: then it is not any more. */
static void test_thawed_by_somebody_else(void **state)
{
	const struct cutover_facts facts = {
		.at = CUTOVER_COMMIT, .fault = CUTOVER_FOREIGN_THAW, .patience_ms = 60000};
	CLEANUP_CUTOVER_RIG struct cutover_rig rig = {0};
	CLEANUP_CHECKPOINT struct checkpoint job = {0};
	int status;

	(void)state;
	cutover_rig_init(&rig, facts);
	status = cutover_rig_run(&rig);
	assert_never_two(&rig, &facts, status);
	assert_status(&rig, ERR_REFUSED, status);
	cutover_rig_load_job(&rig, &job);
	assert_true(!job.complete && job.held_since);
}

/* The negative control: who commits at once, and thaws when the answer is lost, is found out. */
static void test_thaw_after_commit(void **state)
{
	CLEANUP_CUTOVER_RIG struct cutover_rig rig = {0};

	(void)state;
	cutover_rig_init(&rig, (struct cutover_facts){
				       .at = CUTOVER_HELD, .fault = CUTOVER_CUT, .thaws_after_commit = true});
	assert_status(&rig, 0, cutover_rig_run(&rig));
	assert_true(rig.facts->violations > 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sound),
		cmocka_unit_test(test_line_is_cut),
		cmocka_unit_test(test_receiver_is_killed),
		cmocka_unit_test(test_time_is_over),
		cmocka_unit_test(test_sender_is_killed),
		cmocka_unit_test(test_receiver_is_lost),
		cmocka_unit_test(test_thawed_by_somebody_else),
		cmocka_unit_test(test_thaw_after_commit),
	};

	cutover_be_child(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
