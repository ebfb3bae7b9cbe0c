/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Machines that announce themselves, and what the receiver remembers of them: the
 * honest ones here, with lines that break, and limits; liars in
 * test-sync-announce-hostile.c, support bundles in test-sync-bundle.c.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "p2v/base/remove-tree.h"
#include "p2v/sync/greeting.h"
#include "tests/base/lib-must.h"
#include "tests/sync/lib-sync-announcing.h"

#define MS 1000000ull

static void cut(struct machine_there *machine, bool is_cut)
{
	LOCKED(&machine->line);

	machine->is_cut = is_cut;
}

static void test_life(void **state)
{
	CLEANUP_WORLD struct sync_world world = {0};
	CLEANUP_ANNOUNCED struct announced known = {0}, gone = {0};
	struct machine_there machine;
	time_t before = time(NULL);

	(void)state;
	sync_world_init(&world);
	announcing_init(&machine, &world, 1);
	announcing_start(&machine);
	announced_wait_for(&world, 1, WIRE_PHASE_BOOTED, true);
	announcer_tell(machine.announcer, WIRE_PHASE_FAILED, "no\x1b[2J disk\n");
	announced_wait_for(&world, 1, WIRE_PHASE_FAILED, true);
	assert_true(announced_find(&world, 1, &known));
	assert_string_equal(known.texts[WIRE_TEXT_NAME], "web");
	assert_string_equal(known.texts[WIRE_TEXT_VENDOR], "Vendor");
	assert_string_equal(known.texts[WIRE_TEXT_MODEL], "Model 1");
	assert_string_equal(known.texts[WIRE_TEXT_SERIAL], "");
	assert_string_equal(known.texts[WIRE_TEXT_ADDRESSES], "192.0.2.7/24 2001:db8::7/64");
	assert_string_equal(known.texts[WIRE_TEXT_REASON], "no [2J disk ");
	assert_string_equal(known.peer, "test");
	assert_true(known.phase_since >= before && known.last_heard >= before);
	assert_true(known.booted >= before - 100 && known.booted <= time(NULL) - 100);
	assert_true(announced_is_here(&known, known.last_heard + WIRE_SILENCE_SECONDS));
	assert_false(announced_is_here(&known, known.last_heard + WIRE_SILENCE_SECONDS + 1));
	/* What is told last is known when it has ended. */
	announcer_tell(machine.announcer, WIRE_PHASE_DONE, NULL);
	assert_null(announcing_end(&machine));
	sync_world_settle(&world);
	assert_true(announced_find(&world, 1, &gone));
	assert_int_equal(gone.phase, WIRE_PHASE_DONE);
	assert_string_equal(gone.texts[WIRE_TEXT_REASON], "");
	assert_false(announced_is_here(&gone, gone.last_heard));
	assert_int_equal(world.warnings, 0);
}

static void test_long_texts(void **state)
{
	CLEANUP_WORLD struct sync_world world = {0};
	CLEANUP_ANNOUNCED struct announced known = {0};
	CLEANUP_FREE char *words = xcalloc(1, 100000);
	struct machine_there machine;

	(void)state;
	sync_world_init(&world);
	memset(words, 'x', 99999);
	memcpy(words, "M\xc3\xbcller", 7);
	announcing_init(&machine, &world, 1);
	machine.vendor = words;
	announcing_start(&machine);
	announcer_tell(machine.announcer, WIRE_PHASE_WAITING, words);
	assert_null(announcing_end(&machine));
	assert_true(announced_find(&world, 1, &known));
	assert_int_equal(strlen(known.texts[WIRE_TEXT_VENDOR]), wire_max_text_bytes(WIRE_TEXT_VENDOR));
	assert_int_equal(strlen(known.texts[WIRE_TEXT_REASON]), wire_max_text_bytes(WIRE_TEXT_REASON));
	assert_int_equal(strncmp(known.texts[WIRE_TEXT_REASON], "M??llerx", 8), 0);
}

static void test_two_of_one_name(void **state)
{
	CLEANUP_WORLD struct sync_world world = {0};
	struct machine_there one, other;

	(void)state;
	sync_world_init(&world);
	announcing_init(&one, &world, 1);
	announcing_init(&other, &world, 2);
	announcing_start(&one);
	announcing_start(&other);
	announcer_tell(one.announcer, WIRE_PHASE_SENDING, NULL);
	announcer_tell(other.announcer, WIRE_PHASE_WAITING, NULL);
	assert_null(announcing_end(&one));
	announced_wait_for(&world, 1, WIRE_PHASE_SENDING, false);
	announced_wait_for(&world, 2, WIRE_PHASE_WAITING, true);
	assert_int_equal(announced_count(&world), 2);
	assert_null(announcing_end(&other));
}

/* The receiver restarts; meanwhile nobody answers; and what was told in the meantime gets there. */
static void test_restart(void **state)
{
	CLEANUP_WORLD struct sync_world world = {0};
	struct machine_there machine;

	(void)state;
	sync_world_init(&world);
	announcing_init(&machine, &world, 1);
	announcing_start(&machine);
	for (unsigned round = 0; round < 5; round++) {
		enum wire_phase phase = round % 2 ? WIRE_PHASE_WAITING : WIRE_PHASE_SENDING;
		unsigned lost = machine.lost, connected = machine.connected;

		cut(&machine, true);
		sync_world_restart(&world);
		announcer_tell(machine.announcer, phase, NULL);
		while (machine.lost < lost + 2)
			sync_wait_a_moment();
		cut(&machine, false);
		announced_wait_for(&world, 1, phase, true);
		while (machine.connected == connected)
			sync_wait_a_moment();
	}
	assert_null(announcing_end(&machine));
}

/* A line that is cut after so many bytes, wherever that is. */
static void test_cuts(void **state)
{
	CLEANUP_WORLD struct sync_world world = {0};
	struct machine_there machine;

	(void)state;
	sync_world_init(&world);
	announcing_init(&machine, &world, 1);
	machine.options.alive_ns = MS;
	world.fault = LINE_CUT;
	for (unsigned bytes = 100; bytes < 2600; bytes += 97) {
		unsigned lost = machine.lost;

		world.fault_after_bytes = bytes;
		announcing_start(&machine);
		announcer_tell(machine.announcer, WIRE_PHASE_SENDING, NULL);
		while (machine.lost == lost)
			sync_wait_a_moment();
		world.fault_after_bytes = INT64_MAX;
		announced_wait_for(&world, 1, WIRE_PHASE_SENDING, true);
		announcer_end(machine.announcer);
		pthread_join(machine.thread, NULL);
		announcer_destroy(machine.announcer);
		assert_null(machine.err);
	}
	pthread_mutex_destroy(&machine.line);
}

static void test_no_answer(void **state)
{
	CLEANUP_WORLD struct sync_world world = {0};
	struct machine_there machine;

	(void)state;
	sync_world_init(&world);
	announcing_init(&machine, &world, 1);
	machine.is_cut = true;
	announcing_start(&machine);
	while (machine.lost < 10)
		sync_wait_a_moment();
	must_fail(announcing_end(&machine), ERR_FAILED);
	assert_int_equal(machine.connected, 0);
}

static void test_wrong_key(void **state)
{
	CLEANUP_WORLD struct sync_world world = {0};
	CLEANUP_KEY struct key *other = NULL;
	struct machine_there machine;

	(void)state;
	sync_world_init(&world);
	assert_null(key_make(&other));
	announcing_init(&machine, &world, 1);
	machine.options.key = other;
	announcing_start(&machine);
	/* By itself. */
	pthread_join(machine.thread, NULL);
	assert_non_null(machine.err);
	assert_int_equal(err_kind(machine.err), ERR_REFUSED);
	assert_non_null(strstr(err_message(machine.err), "another pairing key"));
	err_free(machine.err);
	announcer_destroy(machine.announcer);
	assert_int_equal(machine.lost, 0);
	assert_int_equal(announced_count(&world), 0);
}

/* Who removes the folder makes the receiver forget, and the machine tells again that it is there. */
static void test_removed_folder(void **state)
{
	CLEANUP_WORLD struct sync_world world = {0};
	CLEANUP_FREE char *all = NULL;
	struct machine_there machine;

	(void)state;
	sync_world_init(&world);
	all = xasprintf("%s/.machines", scratch_path(world.scratch));
	announcing_init(&machine, &world, 1);
	machine.options.alive_ns = MS;
	announcing_start(&machine);
	announced_wait_for(&world, 1, WIRE_PHASE_BOOTED, true);
	remove_tree(all);
	while (!announced_count(&world))
		sync_wait_a_moment();
	announced_wait_for(&world, 1, WIRE_PHASE_BOOTED, true);
	assert_null(announcing_end(&machine));
}

/* So many and no more; who is gone longest makes room. */
static void test_limit(void **state)
{
	CLEANUP_WORLD struct sync_world world = {0};
	struct machine_there machines[5];
	CLEANUP_ANNOUNCED struct announced known = {0};

	(void)state;
	sync_world_init(&world);
	world.receiver_options.max_machines = 3;
	sync_world_restart(&world);
	for (unsigned i = 0; i < 5; i++)
		announcing_init(&machines[i], &world, i + 1);
	for (unsigned i = 0; i < 3; i++) {
		announcing_start(&machines[i]);
		announced_wait_for(&world, 1, WIRE_PHASE_BOOTED, true);
		while (!machines[i].connected)
			sync_wait_a_moment();
	}
	announcing_start(&machines[3]);
	while (machines[3].lost < 2)
		sync_wait_a_moment();
	assert_int_equal(machines[3].connected, 0);
	assert_int_equal(announced_count(&world), 3);
	/* One goes: it is still known until another one comes. */
	assert_null(announcing_end(&machines[1]));
	while (!machines[3].connected)
		sync_wait_a_moment();
	assert_int_equal(announced_count(&world), 3);
	announced_wait_for(&world, 1, WIRE_PHASE_BOOTED, true);
	announced_wait_for(&world, 3, WIRE_PHASE_BOOTED, true);
	announced_wait_for(&world, 4, WIRE_PHASE_BOOTED, true);
	assert_null(announcing_end(&machines[0]));
	assert_null(announcing_end(&machines[2]));
	assert_null(announcing_end(&machines[3]));
	sync_world_settle(&world);
	assert_true(announced_find(&world, 3, &known));
	assert_false(known.is_connected);
	/* A week is over. */
	world.receiver_options.max_machines = 0;
	world.receiver_options.forget_seconds = 1;
	sync_world_restart(&world);
	while (time(NULL) <= known.last_heard + 2)
		sync_wait_a_moment();
	announcing_start(&machines[4]);
	assert_null(announcing_end(&machines[4]));
	assert_int_equal(announced_count(&world), 1);
	pthread_mutex_destroy(&machines[1].line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_long_texts),
		cmocka_unit_test(test_two_of_one_name),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_no_answer),
		cmocka_unit_test(test_wrong_key),
		cmocka_unit_test(test_removed_folder),
		cmocka_unit_test(test_limit),
	};

	/* Each waits for what must come. */
	alarm(240);
	return cmocka_run_group_tests(tests, NULL, NULL);
}