// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * File systems on loop devices, in a mount namespace of our own, frozen: who writes waits, and whatever
 * becomes of who froze them, they are thawed, unless they are to stay so.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture/freeze.h"
#include "capture/mounted.h"
#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "tests/base/lib-loop.h"
#include "tests/base/lib-must.h"
#include "tests/base/lib-nbd-server.h"

#define LONG_NS 60000000000ull /* nothing here takes so long */
#define SHORT_NS 1000000000ull

static const struct kind {
	const char *name;
	const char *mkfs[6];
	unsigned mib;
} kinds[] = {
	{"ext4", {"mkfs.ext4", "-q"}, 32},
	{"xfs", {"mkfs.xfs", "-q"}, 320},
	{"btrfs", {"mkfs.btrfs", "-q"}, 128},
	{"vfat", {"mkfs.vfat"}, 32},
};

/* A file system inside a folder of another. */
struct rig {
	char *dir;
	char *devices[2], *points[2];
};

static void make_fs(struct rig *rig, size_t number, const struct kind *kind)
{
	CLEANUP_FREE char *name = xasprintf("image%zu", number);
	CLEANUP_FREE char *image = test_path(rig->dir, name);
	const char *argv[8] = {NULL};
	size_t count = 0;

	for (; kind->mkfs[count]; count++)
		argv[count] = kind->mkfs[count];
	close(open(image, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(truncate(image, (off_t)kind->mib << 20), 0);
	argv[count] = image;
	must_run(argv);
	rig->devices[number] = loop_make(image);
	assert_non_null(rig->devices[number]);
	rig->points[number] = number ? xasprintf("%s/inner", rig->points[0]) : test_path(rig->dir, "outer");
	assert_int_equal(mkdir(rig->points[number], 0700), 0);
	assert_int_equal(mount(rig->devices[number], rig->points[number], kind->name, 0, NULL), 0);
}

static void rig_init(struct rig *rig, const struct kind *outer, const struct kind *inner)
{
	rig->dir = test_dir_make();
	make_fs(rig, 0, outer);
	make_fs(rig, 1, inner);
}

static void rig_deinit(struct rig *rig)
{
	for (size_t i = 2; i--;) {
		if (rig->points[i])
			umount2(rig->points[i], MNT_DETACH);
		loop_remove(rig->devices[i]);
		free(rig->points[i]);
	}
	test_dir_remove(rig->dir);
}
#define CLEANUP_RIG CLEANUP(rig_deinit)

static void find_points(const struct rig *rig, struct strv *ret_points)
{
	CLEANUP_STRV struct strv disks = {0};

	for (size_t i = 0; i < 2; i++) {
		CLEANUP_FREE char *number = mounted_device_number(rig->devices[i]);

		strv_add(&disks, number);
	}
	mounted_on("", &disks, ret_points);
}

static void make_freeze(const struct rig *rig, uint64_t limit_ns, struct freeze **ret_freeze)
{
	CLEANUP_STRV struct strv points = {0};

	find_points(rig, &points);
	assert_int_equal(points.count, 2);
	assert_string_equal(points.items[0], rig->points[1]);
	assert_string_equal(points.items[1], rig->points[0]);
	must(freeze_create(&points, limit_ns, ret_freeze));
}

static void hold(struct freeze *freeze)
{
	unsigned unable;

	must(freeze_flush(freeze));
	must(freeze_hold(freeze, &unable));
	assert_int_equal(unable, 0);
}

static void pause_a_little(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

static bool is_frozen(const char *point)
{
	CLEANUP_FD int fd = open(point, O_RDONLY);

	if (ioctl(fd, FIFREEZE, 0)) {
		assert_int_equal(errno, EBUSY);
		return true;
	}
	/* A dead man's process that is at work may have been quicker. */
	assert_true(!ioctl(fd, FITHAW, 0) || errno == EINVAL);
	return false;
}

static void wait_until_thawed(const struct rig *rig)
{
	while (is_frozen(rig->points[0]) || is_frozen(rig->points[1]))
		pause_a_little();
}

static char process_state(pid_t pid)
{
	CLEANUP_FREE char *path = xasprintf("/proc/%d/stat", (int)pid);
	CLEANUP_FCLOSE FILE *file = fopen(path, "r");
	char state = 0;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%*d (%*[^)]) %c", &state), 1);
	return state;
}

/* A process that makes a file there, and ends. */
static pid_t start_writer(const char *point)
{
	CLEANUP_FREE char *path = xasprintf("%s/written", point);
	pid_t pid = fork();

	if (!pid) {
		int fd = open(path, O_CREAT | O_WRONLY, 0600);

		_exit(fd < 0 || write(fd, "x", 1) != 1 || fsync(fd));
	}
	return pid;
}

static void expect_blocked(pid_t pid)
{
	while (process_state(pid) != 'D') {
		assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
		pause_a_little();
	}
}

static void expect_ends_well(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_writers_wait(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		CLEANUP_RIG struct rig rig = {0};
		CLEANUP_FREEZE struct freeze *freeze = NULL;
		pid_t writers[2];

		rig_init(&rig, &kinds[i], &kinds[(i + 1) % 3]);
		make_freeze(&rig, LONG_NS, &freeze);
		for (unsigned round = 0; round < 2; round++) {
			assert_int_equal(freeze_left_ns(freeze), 0);
			hold(freeze);
			for (size_t k = 0; k < 2; k++)
				writers[k] = start_writer(rig.points[k]);
			for (size_t k = 0; k < 2; k++)
				expect_blocked(writers[k]);
			must(freeze_check(freeze));
			assert_true(freeze_left_ns(freeze) > 0);
			freeze_release(freeze);
			for (size_t k = 0; k < 2; k++)
				expect_ends_well(writers[k]);
		}
	}
}

/* A process that holds them frozen until it is killed. */
static pid_t start_holder(const struct rig *rig)
{
	int ends[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (!pid) {
		CLEANUP_STRV struct strv points = {0};
		struct freeze *freeze;
		unsigned unable;

		find_points(rig, &points);
		if (freeze_create(&points, LONG_NS, &freeze) || freeze_hold(freeze, &unable) ||
		    write(ends[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	close(ends[0]);
	return pid;
}

static void test_killed(void **state)
{
	CLEANUP_RIG struct rig rig = {0};
	pid_t holder;

	(void)state;
	rig_init(&rig, &kinds[0], &kinds[1]);
	holder = start_holder(&rig);
	assert_true(is_frozen(rig.points[0]));
	assert_true(is_frozen(rig.points[1]));
	kill(holder, SIGKILL);
	waitpid(holder, NULL, 0);
	wait_until_thawed(&rig);
}

static void test_too_long(void **state)
{
	CLEANUP_RIG struct rig rig = {0};
	CLEANUP_FREEZE struct freeze *freeze = NULL;

	(void)state;
	rig_init(&rig, &kinds[0], &kinds[0]);
	make_freeze(&rig, SHORT_NS, &freeze);
	/* The second time is like the first; on a busy machine freezing alone may take too long. */
	for (unsigned round = 0; round < 2; round++) {
		unsigned unable;
		struct err *err = freeze_hold(freeze, &unable);

		if (err) {
			must_fail_with(err, "thawed");
			assert_false(is_frozen(rig.points[0]));
			continue;
		}
		while (freeze_left_ns(freeze))
			pause_a_little();
		wait_until_thawed(&rig);
		must_fail_with(freeze_check(freeze), "thawed");
		must_fail_with(freeze_keep(freeze), "thawed");
		freeze_release(freeze);
		assert_false(is_frozen(rig.points[0]));
	}
}

static void thaw(const char *point)
{
	CLEANUP_FD int fd = open(point, O_RDONLY);

	assert_int_equal(ioctl(fd, FITHAW, 0), 0);
}

static void test_kept(void **state)
{
	CLEANUP_RIG struct rig rig = {0};
	struct freeze *freeze;

	(void)state;
	rig_init(&rig, &kinds[0], &kinds[2]);
	make_freeze(&rig, LONG_NS, &freeze);
	hold(freeze);
	must(freeze_keep(freeze));
	freeze_destroy(freeze);
	assert_true(is_frozen(rig.points[0]));
	assert_true(is_frozen(rig.points[1]));
	thaw(rig.points[1]);
	thaw(rig.points[0]);
}

static void test_thawed_by_others(void **state)
{
	CLEANUP_RIG struct rig rig = {0};
	CLEANUP_FREEZE struct freeze *freeze = NULL;

	(void)state;
	rig_init(&rig, &kinds[0], &kinds[1]);
	make_freeze(&rig, LONG_NS, &freeze);
	hold(freeze);
	thaw(rig.points[1]);
	must_fail_with(freeze_keep(freeze), "by somebody else");
	freeze_release(freeze);
	assert_false(is_frozen(rig.points[0]));
	assert_false(is_frozen(rig.points[1]));
}

/* What others hold stays theirs, and what we had frozen before we found that is thawed. */
static void test_frozen_by_others(void **state)
{
	CLEANUP_RIG struct rig rig = {0};
	CLEANUP_FREEZE struct freeze *freeze = NULL;
	CLEANUP_FD int fd = -1;
	unsigned unable;

	(void)state;
	rig_init(&rig, &kinds[0], &kinds[0]);
	make_freeze(&rig, LONG_NS, &freeze);
	fd = open(rig.points[0], O_RDONLY);
	assert_int_equal(ioctl(fd, FIFREEZE, 0), 0);
	must_fail(freeze_hold(freeze, &unable), ERR_REFUSED);
	assert_true(is_frozen(rig.points[0]));
	assert_false(is_frozen(rig.points[1]));
	assert_int_equal(ioctl(fd, FITHAW, 0), 0);
}

/* Its number, from the list of our children. */
static pid_t find_dead_man(void)
{
	CLEANUP_FREE char *path = xasprintf("/proc/self/task/%d/children", (int)getpid());
	CLEANUP_FCLOSE FILE *file = fopen(path, "r");
	int pid = 0;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%d", &pid), 1);
	return pid;
}

static void test_dead_man_killed(void **state)
{
	CLEANUP_RIG struct rig rig = {0};
	CLEANUP_FREEZE struct freeze *freeze = NULL;
	pid_t dead_man;

	(void)state;
	rig_init(&rig, &kinds[0], &kinds[0]);
	make_freeze(&rig, LONG_NS, &freeze);
	hold(freeze);
	dead_man = find_dead_man();
	kill(dead_man, SIGKILL);
	while (process_state(dead_man) != 'Z')
		pause_a_little();
	must_fail_with(freeze_keep(freeze), "has itself ended");
	freeze_release(freeze);
	assert_false(is_frozen(rig.points[0]));
}

static bool kernel_knows(const char *kind)
{
	CLEANUP_FCLOSE FILE *file = fopen("/proc/filesystems", "r");
	char line[128];

	assert_non_null(file);
	while (fgets(line, sizeof line, file)) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '\t' && !strcmp(line + 1, kind))
			return true;
	}
	return false;
}

/* The EFI system partition is such a one. */
static void test_kind_that_cannot(void **state)
{
	CLEANUP_RIG struct rig rig = {0};
	CLEANUP_FREEZE struct freeze *freeze = NULL;
	unsigned unable;

	(void)state;
	if (!kernel_knows("vfat")) {
		print_message("  this kernel does not know vfat\n");
		skip();
	}
	rig_init(&rig, &kinds[0], &kinds[3]);
	make_freeze(&rig, LONG_NS, &freeze);
	must(freeze_hold(freeze, &unable));
	assert_int_equal(unable, 1);
	must(freeze_check(freeze));
	assert_true(is_frozen(rig.points[0]));
	freeze_release(freeze);
	assert_false(is_frozen(rig.points[0]));
}

static int own_namespace(void **state)
{
	(void)state;
	return unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_writers_wait),	 cmocka_unit_test(test_killed),
		cmocka_unit_test(test_too_long),	 cmocka_unit_test(test_kept),
		cmocka_unit_test(test_thawed_by_others), cmocka_unit_test(test_frozen_by_others),
		cmocka_unit_test(test_dead_man_killed),	 cmocka_unit_test(test_kind_that_cannot),
	};

	if (geteuid()) {
		print_message("skipped: only root may freeze\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, own_namespace, NULL);
}
