/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Machines that announce themselves, and what the receiver remembers of them: the
 * honest ones here, with lines that break, and limits; liars in
 * test-sync-announce-hostile.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "p2v/base/remove-tree.h"
#include "p2v/sync/announce.h"
#include "p2v/sync/announced.h"
#include "p2v/sync/greeting.h"
#include "tests/sync/lib-sync-world.h"

#define MS 1000000ull

/* A machine with its announcer, in a thread. */
struct machine_there {
	struct sync_world *world;
	struct announce_options options;
	struct announcer *announcer;
	pthread_t thread;
	struct err *err; /* that it has ended with */
	char id;
	const char *name, *vendor;
	pthread_mutex_t line; /* who holds it is the only one to connect */
	bool is_cut;
	atomic_uint connected, lost; /* how often */
};

static struct err *connect_to(void *arg, int *ret_fd)
{
	struct machine_there *machine = arg;
	LOCKED(&machine->line);

	return machine->is_cut ? err_failed("the line is cut") : sync_world_connect(machine->world, ret_fd);
}

static void describe(void *arg, struct announcement *ret_announcement)
{
	const struct machine_there *machine = arg;

	ret_announcement->id[0] = machine->id;
	ret_announcement->name = xstrdup(machine->name);
	ret_announcement->vendor = xstrdup(machine->vendor);
	ret_announcement->model = xstrdup("Model 1");
	ret_announcement->addresses = xstrdup("192.0.2.7/24 2001:db8::7/64");
	ret_announcement->up_seconds = 100;
}

static void count_change(void *arg, const struct err *err)
{
	struct machine_there *machine = arg;

	if (err)
		machine->lost++;
	else
		machine->connected++;
}

static void machine_init(struct machine_there *machine, struct sync_world *world, char id)
{
	*machine = (struct machine_there){.world = world, .id = id, .name = "web", .vendor = "Vendor"};
	pthread_mutex_init(&machine->line, NULL);
	machine->options = (struct announce_options){
		.key = world->key,
		.connect = connect_to,
		.connect_arg = machine,
		.describe = describe,
		.describe_arg = machine,
		.changed = count_change,
		.changed_arg = machine,
		.first_pause_ns = MS,
		.longest_pause_ns = 8 * MS,
	};
}

static void *run(void *arg)
{
	struct machine_there *machine = arg;

	machine->err = announcer_run(machine->announcer);
	return NULL;
}

static void machine_start(struct machine_there *machine)
{
	assert_null(announcer_create(&machine->options, &machine->announcer));
	assert_int_equal(pthread_create(&machine->thread, NULL, run, machine), 0);
}

/* What it ends with when it is to end, or has ended with. */
static struct err *machine_end(struct machine_there *machine)
{
	announcer_end(machine->announcer);
	pthread_join(machine->thread, NULL);
	announcer_destroy(take_ptr(machine->announcer));
	pthread_mutex_destroy(&machine->line);
	return machine->err;
}

static void cut(struct machine_there *machine, bool is_cut)
{
	LOCKED(&machine->line);

	machine->is_cut = is_cut;
}

static void wait_a_moment(void)
{
	nanosleep(&(struct timespec){0, MS}, NULL);
}

static const char *dir_of(const struct sync_world *world)
{
	return scratch_path(world->scratch);
}

/* False: it is not known, or not yet. */
static bool load(const struct sync_world *world, char id, struct announced *ret_machine)
{
	const uint8_t bytes[WIRE_MACHINE_ID_BYTES] = {id};
	char text[ANNOUNCED_ID_BYTES];
	struct err *err;

	announced_format_id(bytes, text);
	err = announced_load(dir_of(world), text, ret_machine);
	if (err && err_errno(err) != ENOENT)
		fail_msg("%s", err_message(err));
	err_free(err);
	return !err;
}

static size_t count_known(const struct sync_world *world)
{
	CLEANUP_FREE struct announced_entry *entries = NULL;
	size_t count = 0;

	assert_null(announced_list(dir_of(world), &entries, &count));
	return count;
}

/* Until the receiver knows this of it; the test as a whole has a time limit. */
static void wait_for_phase(const struct sync_world *world, char id, enum wire_phase phase, bool connected)
{
	for (;;) {
		CLEANUP_ANNOUNCED struct announced machine = {0};

		if (load(world, id, &machine) && machine.phase == phase && machine.is_connected == connected)
			return;
		wait_a_moment();
	}
}

static void test_life(void **state)
{
	CLEANUP(sync_world_deinit) struct sync_world world = {0};
	CLEANUP_ANNOUNCED struct announced known = {0}, gone = {0};
	struct machine_there machine;
	time_t before = time(NULL);

	(void)state;
	sync_world_init(&world);
	machine_init(&machine, &world, 1);
	machine_start(&machine);
	wait_for_phase(&world, 1, WIRE_PHASE_BOOTED, true);
	announcer_tell(machine.announcer, WIRE_PHASE_FAILED, "no\x1b[2J disk\n");
	wait_for_phase(&world, 1, WIRE_PHASE_FAILED, true);
	assert_true(load(&world, 1, &known));
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
	assert_null(machine_end(&machine));
	sync_world_settle(&world);
	assert_true(load(&world, 1, &gone));
	assert_int_equal(gone.phase, WIRE_PHASE_DONE);
	assert_string_equal(gone.texts[WIRE_TEXT_REASON], "");
	assert_false(announced_is_here(&gone, gone.last_heard));
	assert_int_equal(world.warnings, 0);
}

static void test_long_texts(void **state)
{
	CLEANUP(sync_world_deinit) struct sync_world world = {0};
	CLEANUP_ANNOUNCED struct announced known = {0};
	CLEANUP_FREE char *words = xcalloc(1, 100000);
	struct machine_there machine;

	(void)state;
	sync_world_init(&world);
	memset(words, 'x', 99999);
	memcpy(words, "M\xc3\xbcller", 7);
	machine_init(&machine, &world, 1);
	machine.vendor = words;
	machine_start(&machine);
	announcer_tell(machine.announcer, WIRE_PHASE_WAITING, words);
	assert_null(machine_end(&machine));
	assert_true(load(&world, 1, &known));
	assert_int_equal(strlen(known.texts[WIRE_TEXT_VENDOR]), wire_max_text_bytes(WIRE_TEXT_VENDOR));
	assert_int_equal(strlen(known.texts[WIRE_TEXT_REASON]), wire_max_text_bytes(WIRE_TEXT_REASON));
	assert_int_equal(strncmp(known.texts[WIRE_TEXT_REASON], "M??llerx", 8), 0);
}

static void test_two_of_one_name(void **state)
{
	CLEANUP(sync_world_deinit) struct sync_world world = {0};
	struct machine_there one, other;

	(void)state;
	sync_world_init(&world);
	machine_init(&one, &world, 1);
	machine_init(&other, &world, 2);
	machine_start(&one);
	machine_start(&other);
	announcer_tell(one.announcer, WIRE_PHASE_SENDING, NULL);
	announcer_tell(other.announcer, WIRE_PHASE_WAITING, NULL);
	assert_null(machine_end(&one));
	wait_for_phase(&world, 1, WIRE_PHASE_SENDING, false);
	wait_for_phase(&world, 2, WIRE_PHASE_WAITING, true);
	assert_int_equal(count_known(&world), 2);
	assert_null(machine_end(&other));
}

/* The receiver restarts; meanwhile nobody answers; and what was told in the meantime gets there. */
static void test_restart(void **state)
{
	CLEANUP(sync_world_deinit) struct sync_world world = {0};
	struct machine_there machine;

	(void)state;
	sync_world_init(&world);
	machine_init(&machine, &world, 1);
	machine_start(&machine);
	for (unsigned round = 0; round < 5; round++) {
		enum wire_phase phase = round % 2 ? WIRE_PHASE_WAITING : WIRE_PHASE_SENDING;
		unsigned lost = machine.lost, connected = machine.connected;

		cut(&machine, true);
		sync_world_restart(&world);
		announcer_tell(machine.announcer, phase, NULL);
		while (machine.lost < lost + 2)
			wait_a_moment();
		cut(&machine, false);
		wait_for_phase(&world, 1, phase, true);
		while (machine.connected == connected)
			wait_a_moment();
	}
	assert_null(machine_end(&machine));
}

/* A line that is cut after so many bytes, wherever that is. */
static void test_cuts(void **state)
{
	CLEANUP(sync_world_deinit) struct sync_world world = {0};
	struct machine_there machine;

	(void)state;
	sync_world_init(&world);
	machine_init(&machine, &world, 1);
	machine.options.alive_ns = MS;
	world.fault = LINE_CUT;
	for (unsigned bytes = 100; bytes < 2600; bytes += 97) {
		unsigned lost = machine.lost;

		world.fault_after_bytes = bytes;
		machine_start(&machine);
		announcer_tell(machine.announcer, WIRE_PHASE_SENDING, NULL);
		while (machine.lost == lost)
			wait_a_moment();
		world.fault_after_bytes = INT64_MAX;
		wait_for_phase(&world, 1, WIRE_PHASE_SENDING, true);
		announcer_end(machine.announcer);
		pthread_join(machine.thread, NULL);
		announcer_destroy(machine.announcer);
		assert_null(machine.err);
	}
	pthread_mutex_destroy(&machine.line);
}

static void test_no_answer(void **state)
{
	CLEANUP(sync_world_deinit) struct sync_world world = {0};
	struct machine_there machine;
	struct err *err;

	(void)state;
	sync_world_init(&world);
	machine_init(&machine, &world, 1);
	machine.is_cut = true;
	machine_start(&machine);
	while (machine.lost < 10)
		wait_a_moment();
	err = machine_end(&machine);
	assert_non_null(err);
	assert_int_equal(err_kind(err), ERR_FAILED);
	err_free(err);
	assert_int_equal(machine.connected, 0);
}

static void test_wrong_key(void **state)
{
	CLEANUP(sync_world_deinit) struct sync_world world = {0};
	CLEANUP_KEY struct key *other = NULL;
	struct machine_there machine;

	(void)state;
	sync_world_init(&world);
	assert_null(key_make(&other));
	machine_init(&machine, &world, 1);
	machine.options.key = other;
	machine_start(&machine);
	/* By itself. */
	pthread_join(machine.thread, NULL);
	assert_non_null(machine.err);
	assert_int_equal(err_kind(machine.err), ERR_REFUSED);
	assert_non_null(strstr(err_message(machine.err), "another pairing key"));
	err_free(machine.err);
	announcer_destroy(machine.announcer);
	assert_int_equal(machine.lost, 0);
	assert_int_equal(count_known(&world), 0);
}

/* Who removes the folder makes the receiver forget, and the machine tells again that it is there. */
static void test_removed_folder(void **state)
{
	CLEANUP(sync_world_deinit) struct sync_world world = {0};
	CLEANUP_FREE char *all = NULL;
	struct machine_there machine;

	(void)state;
	sync_world_init(&world);
	all = xasprintf("%s/.machines", dir_of(&world));
	machine_init(&machine, &world, 1);
	machine.options.alive_ns = MS;
	machine_start(&machine);
	wait_for_phase(&world, 1, WIRE_PHASE_BOOTED, true);
	remove_tree(all);
	while (!count_known(&world))
		wait_a_moment();
	wait_for_phase(&world, 1, WIRE_PHASE_BOOTED, true);
	assert_null(machine_end(&machine));
}

/* So many and no more; who is gone longest makes room. */
static void test_limit(void **state)
{
	CLEANUP(sync_world_deinit) struct sync_world world = {0};
	struct machine_there machines[5];
	CLEANUP_ANNOUNCED struct announced known = {0};

	(void)state;
	sync_world_init(&world);
	world.receiver_options.max_machines = 3;
	sync_world_restart(&world);
	for (unsigned i = 0; i < 5; i++)
		machine_init(&machines[i], &world, i + 1);
	for (unsigned i = 0; i < 3; i++) {
		machine_start(&machines[i]);
		wait_for_phase(&world, 1, WIRE_PHASE_BOOTED, true);
		while (!machines[i].connected)
			wait_a_moment();
	}
	machine_start(&machines[3]);
	while (machines[3].lost < 2)
		wait_a_moment();
	assert_int_equal(machines[3].connected, 0);
	assert_int_equal(count_known(&world), 3);
	/* One goes: it is still known until another one comes. */
	assert_null(machine_end(&machines[1]));
	while (!machines[3].connected)
		wait_a_moment();
	assert_int_equal(count_known(&world), 3);
	wait_for_phase(&world, 1, WIRE_PHASE_BOOTED, true);
	wait_for_phase(&world, 3, WIRE_PHASE_BOOTED, true);
	wait_for_phase(&world, 4, WIRE_PHASE_BOOTED, true);
	assert_null(machine_end(&machines[0]));
	assert_null(machine_end(&machines[2]));
	assert_null(machine_end(&machines[3]));
	sync_world_settle(&world);
	assert_true(load(&world, 3, &known));
	assert_false(known.is_connected);
	/* A week is over. */
	world.receiver_options.max_machines = 0;
	world.receiver_options.forget_seconds = 1;
	sync_world_restart(&world);
	while (time(NULL) <= known.last_heard + 2)
		wait_a_moment();
	machine_start(&machines[4]);
	assert_null(machine_end(&machines[4]));
	assert_int_equal(count_known(&world), 1);
	pthread_mutex_destroy(&machines[1].line);
}

/* A file of random bytes, open at its start. */
static int make_file(const struct sync_world *world, size_t bytes, uint64_t seed)
{
	CLEANUP_FREE char *path = xasprintf("%s/.bundle", dir_of(world));
	CLEANUP_FREE uint8_t *data = xmalloc(bytes + 1);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	sync_fill_random(data, bytes, seed);
	assert_int_equal(write(fd, data, bytes), bytes);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static bool has_bundle(const struct sync_world *world, const char *file, size_t bytes, uint64_t seed)
{
	CLEANUP_FREE char *path =
		xasprintf("%s/.machines/01000000000000000000000000000000/%s", dir_of(world), file);
	CLEANUP_FREE uint8_t *data = xmalloc(bytes + 1), *found = xmalloc(bytes + 1);
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);

	sync_fill_random(data, bytes, seed);
	return fd >= 0 && read(fd, found, bytes + 1) == (ssize_t)bytes && !memcmp(data, found, bytes);
}

static struct err *bring(struct machine_there *machine, size_t bytes, uint64_t seed)
{
	CLEANUP_FD int fd = make_file(machine->world, bytes, seed);

	return announce_bundle(&machine->options, fd);
}

static void test_bundles(void **state)
{
	static const size_t sizes[] = {1, 100000, 3 << 20, 256 << 10};
	CLEANUP(sync_world_deinit) struct sync_world world = {0};
	struct machine_there machine, known;

	(void)state;
	sync_world_init(&world);
	machine_init(&machine, &world, 1);
	machine_init(&known, &world, 1);
	machine_start(&known);
	announcer_tell(known.announcer, WIRE_PHASE_FAILED, "why");
	wait_for_phase(&world, 1, WIRE_PHASE_FAILED, true);
	for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		CLEANUP_ANNOUNCED struct announced told = {0};

		assert_null(bring(&machine, sizes[i], i + 1));
		assert_true(has_bundle(&world, ANNOUNCED_BUNDLE_FILE, sizes[i], i + 1));
		if (i)
			assert_true(has_bundle(&world, ANNOUNCED_OLDER_BUNDLE_FILE, sizes[i - 1], i));
		assert_false(has_bundle(&world, "support.part", 0, 0));
		/* Another connection of the machine has come and gone. */
		while (world.connections > 1)
			wait_a_moment();
		assert_true(load(&world, 1, &told));
		assert_int_equal(told.phase, WIRE_PHASE_FAILED);
		assert_string_equal(told.texts[WIRE_TEXT_REASON], "why");
		assert_true(told.is_connected);
	}
	assert_null(machine_end(&known));
	pthread_mutex_destroy(&machine.line);
}

static void test_bundle_refusals(void **state)
{
	CLEANUP(sync_world_deinit) struct sync_world world = {0};
	struct machine_there machine;
	struct err *err;

	(void)state;
	sync_world_init(&world);
	machine_init(&machine, &world, 1);
	err = bring(&machine, 0, 1);
	assert_int_equal(err_kind(err), ERR_REFUSED);
	err_free(err);
	err = bring(&machine, WIRE_MAX_BUNDLE_BYTES + 1, 1);
	assert_int_equal(err_kind(err), ERR_REFUSED);
	assert_non_null(strstr(err_message(err), "at most"));
	err_free(err);
	assert_int_equal(count_known(&world), 0);
	/* No disk has so much. */
	world.receiver_options.reserve_bytes = 1ull << 60;
	sync_world_restart(&world);
	err = bring(&machine, 1000, 1);
	assert_non_null(err);
	assert_int_equal(err_kind(err), ERR_REFUSED);
	assert_non_null(strstr(err_message(err), "not enough space"));
	err_free(err);
	assert_false(has_bundle(&world, "support.part", 0, 0));
	assert_false(has_bundle(&world, ANNOUNCED_BUNDLE_FILE, 1000, 1));
	pthread_mutex_destroy(&machine.line);
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
		cmocka_unit_test(test_bundles),
		cmocka_unit_test(test_bundle_refusals),
	};

	/* Each waits for what must come. */
	alarm(240);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
