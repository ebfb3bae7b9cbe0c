/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Support bundles, which machines bring to the receiver. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "tests/base/lib-must.h"
#include "tests/sync/lib-sync-announcing.h"

/* A file of random bytes, open at its start. */
static int make_file(const struct sync_world *world, size_t bytes, uint64_t seed)
{
	CLEANUP_FREE char *path = xasprintf("%s/.bundle", scratch_path(world->scratch));
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
	CLEANUP_FREE char *path = xasprintf("%s/.machines/01000000000000000000000000000000/%s",
					    scratch_path(world->scratch), file);
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
	CLEANUP_WORLD struct sync_world world = {0};
	struct machine_there machine, known;

	(void)state;
	sync_world_init(&world);
	announcing_init(&machine, &world, 1);
	announcing_init(&known, &world, 1);
	announcing_start(&known);
	announcer_tell(known.announcer, WIRE_PHASE_FAILED, "why");
	announced_wait_for(&world, 1, WIRE_PHASE_FAILED, true);
	for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		CLEANUP_ANNOUNCED struct announced told = {0};

		assert_null(bring(&machine, sizes[i], i + 1));
		assert_true(has_bundle(&world, ANNOUNCED_BUNDLE_FILE, sizes[i], i + 1));
		if (i)
			assert_true(has_bundle(&world, ANNOUNCED_OLDER_BUNDLE_FILE, sizes[i - 1], i));
		assert_false(has_bundle(&world, "support.part", 0, 0));
		/* Another connection of the machine has come and gone. */
		while (world.connections > 1)
			sync_wait_a_moment();
		assert_true(announced_find(&world, 1, &told));
		assert_int_equal(told.phase, WIRE_PHASE_FAILED);
		assert_string_equal(told.texts[WIRE_TEXT_REASON], "why");
		assert_true(told.is_connected);
	}
	assert_null(announcing_end(&known));
	pthread_mutex_destroy(&machine.line);
}

static void test_bundle_refusals(void **state)
{
	CLEANUP_WORLD struct sync_world world = {0};
	struct machine_there machine;

	(void)state;
	sync_world_init(&world);
	announcing_init(&machine, &world, 1);
	must_fail(bring(&machine, 0, 1), ERR_REFUSED);
	must_fail_as(bring(&machine, WIRE_MAX_BUNDLE_BYTES + 1, 1), ERR_REFUSED, "at most");
	assert_int_equal(announced_count(&world), 0);
	/* No disk has so much. */
	world.receiver_options.reserve_bytes = 1ull << 60;
	sync_world_restart(&world);
	must_fail_as(bring(&machine, 1000, 1), ERR_REFUSED, "not enough space");
	assert_false(has_bundle(&world, "support.part", 0, 0));
	assert_false(has_bundle(&world, ANNOUNCED_BUNDLE_FILE, 1000, 1));
	pthread_mutex_destroy(&machine.line);
}
int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_bundles),
					   cmocka_unit_test(test_bundle_refusals)};

	/* Each waits for what must come. */
	alarm(240);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
