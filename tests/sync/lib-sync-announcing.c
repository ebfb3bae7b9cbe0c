/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/sync/lib-sync-announcing.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "p2v/base/mem.h"

#define MS 1000000ull

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

void announcing_init(struct machine_there *machine, struct sync_world *world, char id)
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

void announcing_start(struct machine_there *machine)
{
	assert_null(announcer_create(&machine->options, &machine->announcer));
	assert_int_equal(pthread_create(&machine->thread, NULL, run, machine), 0);
}

struct err *announcing_end(struct machine_there *machine)
{
	announcer_end(machine->announcer);
	pthread_join(machine->thread, NULL);
	announcer_destroy(take_ptr(machine->announcer));
	pthread_mutex_destroy(&machine->line);
	return machine->err;
}

void sync_wait_a_moment(void)
{
	nanosleep(&(struct timespec){0, MS}, NULL);
}

bool announced_find(const struct sync_world *world, char id, struct announced *ret_machine)
{
	const uint8_t bytes[WIRE_MACHINE_ID_BYTES] = {id};
	char text[ANNOUNCED_ID_BYTES];
	struct err *err;

	announced_format_id(bytes, text);
	err = announced_load(scratch_path(world->scratch), text, ret_machine);
	if (err && err_errno(err) != ENOENT)
		fail_msg("%s", err_message(err));
	err_free(err);
	return !err;
}

size_t announced_count(const struct sync_world *world)
{
	CLEANUP_FREE struct announced_entry *entries = NULL;
	size_t count = 0;

	assert_null(announced_list(scratch_path(world->scratch), &entries, &count));
	return count;
}

void announced_wait_for(const struct sync_world *world, char id, enum wire_phase phase, bool connected)
{
	for (;;) {
		CLEANUP_ANNOUNCED struct announced machine = {0};

		if (announced_find(world, id, &machine) && machine.phase == phase &&
		    machine.is_connected == connected)
			return;
		sync_wait_a_moment();
	}
}
