/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A machine that was told everything: a real device goes to a real receiver. */
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
#include "p2v/base/run.h"
#include "p2v/base/scratch.h"
#include "tests/base/lib-loop.h"
#include "tests/base/lib-must.h"
#include "tests/iso/lib-play.h"

#define DISK_BYTES (24u << 20)

struct world {
	struct scratch *scratch;
	char *file, *device;
	struct play *play;
};

/* Data that does not compress. */
static void fill(const char *path)
{
	CLEANUP_FREE uint8_t *data = xmalloc(DISK_BYTES);
	CLEANUP_FD int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	uint64_t x = 88172645463325252ull;

	for (size_t i = 0; i < DISK_BYTES; i += 8) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(data + i, &x, 8);
	}
	assert_int_equal(write(fd, data, DISK_BYTES), DISK_BYTES);
}

static int begin(void **state)
{
	struct world *world = xcalloc(1, sizeof *world);

	*state = world;
	assert_null(scratch_create("/tmp", "p2v-test", &world->scratch));
	world->file = xasprintf("%s/disk", scratch_path(world->scratch));
	fill(world->file);
	world->device = geteuid() ? NULL : loop_make(world->file);
	return 0;
}

static int end(void **state)
{
	struct world *world = *state;

	play_end(world->play);
	loop_remove(world->device);
	scratch_destroy(world->scratch);
	free(world->file);
	free(world);
	return 0;
}

/* conf with the device in it, in the place of "@". */
static struct screen *play(struct world *world, const char *conf)
{
	CLEANUP_FREE char *text = NULL;
	const char *place = strchr(conf, '@');

	if (!world->device)
		skip();
	text = xasprintf("%.*s%s%s", (int)(place - conf), conf, world->device, place + 1);
	world->play = play_begin(text, world->device);
	if (!world->play)
		skip();
	return play_screen(world->play);
}

static void assert_copied(const struct world *world, const char *job)
{
	const char *build = getenv("P2V_BUILD");
	CLEANUP_FREE char *p2v = xasprintf("%s/bin/p2v", build ? build : "build");
	CLEANUP_FREE char *copy = xasprintf("%s/jobs/%s/disk0.vhdx", play_folder(world->play), job);
	const char *const argv[] = {p2v, "vhdx", "compare", world->file, copy, NULL};

	must_run(argv);
}

static void test_all_by_itself(void **state)
{
	struct screen *screen = play(*state, "server=127.0.0.1\nname=web1\nkey=%s\ndisks=@\nall=yes\n");

	screen_wait(screen, "p2v: ready: 1 disk to take");
	screen_wait(screen, "p2v: done: all is at 127.0.0.1 as job web1");
	screen_wait(screen, "press Enter for the interface");
	assert_copied(*state, "web1");
	screen_type(screen, KEY_ENTER);
	screen_wait(screen, "7 Done");
	screen_wait(screen, "All is at 127.0.0.1, as job web1.");
	screen_check(screen, "7-done");
}

/* Somebody comes while it runs; the receiver goes and comes back. */
static void test_interrupted(void **state)
{
	struct world *world = *state;
	struct screen *screen =
		play(world, "server=127.0.0.1\nname=web1\nkey=%s\ndisks=@\nall=yes\nlimit=3M\n");

	screen_wait(screen, "p2v: sending: ");
	screen_type(screen, KEY_ENTER);
	screen_wait(screen, "Sending to 127.0.0.1:");
	screen_wait(screen, "/dev/loop");
	screen_check(screen, "6-progress");
	screen_type(screen, KEY_ESC);
	screen_wait(screen, "Stop sending?");
	screen_type(screen, KEY_TAB KEY_ENTER);
	screen_wait(screen, "Sending to 127.0.0.1:");
	play_kill_receiver(world->play);
	screen_wait(screen, "Interrupted:");
	screen_check(screen, "6-interrupted");
	play_start_receiver(world->play);
	screen_wait(screen, "7 Done");
	assert_copied(world, "web1");
}

/* A key of somebody else: it is said, and nothing is tried for ever. */
static void test_refused(void **state)
{
	struct world *world = *state;
	struct screen *screen = play(world, "server=127.0.0.1\nkey=00000-00000-00000-00000-00000\ndisks=@\n");

	screen_wait(screen, "p2v: failed: ");
	screen_wait(screen, "press Enter for the interface");
	screen_type(screen, KEY_ENTER);
	screen_wait(screen, "6 Not sent");
	screen_type(screen, KEY_ENTER);
	screen_wait(screen, "2 Receiver");
}

/* A disk that is not there yet is waited for. */
static void test_disk_is_waited_for(void **state)
{
	struct world *world = *state;
	struct screen *screen = play(world, "server=127.0.0.1\nkey=%s\ndisks=@,no-such-disk\n");

	screen_wait(screen, "p2v: waiting disks: there is no disk 'no-such-disk'");
	screen_type(screen, KEY_ENTER);
	screen_wait(screen, "1 Network");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all_by_itself, begin, end),
		cmocka_unit_test_setup_teardown(test_interrupted, begin, end),
		cmocka_unit_test_setup_teardown(test_refused, begin, end),
		cmocka_unit_test_setup_teardown(test_disk_is_waited_for, begin, end),
	};
	int status;

	if (play_is_interface(argc, argv, &status))
		return status;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
