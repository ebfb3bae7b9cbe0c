/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is to be taken away goes when its owner is killed, and stays when the guardian was dismissed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "p2v/base/guardian.h"
#include "p2v/base/mem.h"
#include "p2v/base/remove-tree.h"

/* A folder of the test's own with a folder with a socket, and a tree; its owner, if it has one. */
struct bench {
	char dir[64];
	char tree[96];
	char *socket_dir;
	char *socket;
	pid_t owner;
};

static void make_file(const char *dir, const char *name)
{
	CLEANUP_FREE char *path = xasprintf("%s/%s", dir, name);
	CLEANUP_FD int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
}

static char *make_folder(const char *dir, const char *name)
{
	char *path = xasprintf("%s/%s", dir, name);

	assert_int_equal(mkdir(path, 0700), 0);
	return path;
}

static void listen_on(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path, path, strlen(path) + 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
}

static void bench_init(struct bench *bench)
{
	*bench = (struct bench){0};
	snprintf(bench->dir, sizeof bench->dir, "/tmp/p2v-test-guardian.XXXXXX");
	assert_non_null(mkdtemp(bench->dir));
	make_file(bench->dir, "not ours");
	snprintf(bench->tree, sizeof bench->tree, "%s/tree.XXXXXX", bench->dir);
	bench->socket_dir = make_folder(bench->dir, "sockets");
	bench->socket = xasprintf("%s/socket", bench->socket_dir);
	listen_on(bench->socket);
}

static void bench_deinit(struct bench *bench)
{
	assert_true(remove_tree(bench->dir));
	free(bench->socket_dir);
	free(bench->socket);
}

/* More than one buffer of entries, and a link that must not be followed. */
static void fill_tree(const struct bench *bench)
{
	CLEANUP_FREE char *deep = make_folder(bench->tree, "deep");
	CLEANUP_FREE char *deeper = make_folder(deep, "deeper");
	CLEANUP_FREE char *link = xasprintf("%s/link", deep);

	make_file(deeper, "file");
	for (int i = 0; i < 300; i++) {
		CLEANUP_FREE char *name = xasprintf("a file with quite a long name, number %d", i);

		make_file(deep, name);
	}
	assert_int_equal(symlink("../..", link), 0);
}

static bool exists(const char *path)
{
	return !access(path, F_OK);
}

/* Waits until nothing is at the path, up to half a minute. */
static bool goes(const char *path)
{
	for (int i = 0; i < 3000 && exists(path); i++)
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	return !exists(path);
}

/* A process that has its guardian make the tree and watch the socket; it writes the tree's path to `tell`
 * then. */
static void own(struct bench *bench, int tell, bool dismiss)
{
	char nowhere[] = "/nothing/there.XXXXXX";
	struct guardian *guardian;

	if (guardian_start(&guardian) || guardian_make_tree(guardian, nowhere) != ENOENT ||
	    guardian_make_tree(guardian, bench->tree))
		_exit(1);
	guardian_watch_socket(guardian, bench->socket);
	if (dismiss)
		guardian_dismiss(guardian);
	(void)!write(tell, bench->tree, sizeof bench->tree);
	pause();
	_exit(0);
}

/* Starts the owner; its tree is there then, and full. */
static void start_owner(struct bench *bench, bool dismiss)
{
	int tell[2];

	assert_int_equal(pipe(tell), 0);
	bench->owner = fork();
	assert_true(bench->owner >= 0);
	if (!bench->owner)
		own(bench, tell[1], dismiss);
	close(tell[1]);
	assert_int_equal(read(tell[0], bench->tree, sizeof bench->tree), sizeof bench->tree);
	close(tell[0]);
	fill_tree(bench);
}

static void kill_owner(const struct bench *bench)
{
	assert_int_equal(kill(bench->owner, SIGKILL), 0);
	assert_int_equal(waitpid(bench->owner, NULL, 0), bench->owner);
}

static void test_all_goes_with_its_owner(void **state)
{
	struct bench bench;

	(void)state;
	bench_init(&bench);
	start_owner(&bench, false);
	kill_owner(&bench);
	assert_true(goes(bench.tree));
	assert_true(goes(bench.socket_dir));
	{
		CLEANUP_FREE char *other = xasprintf("%s/not ours", bench.dir);

		assert_true(exists(other));
	}
	bench_deinit(&bench);
}

static void test_all_stays_once_dismissed(void **state)
{
	struct bench bench;

	(void)state;
	bench_init(&bench);
	start_owner(&bench, true);
	kill_owner(&bench);
	/* The guardian ended before its owner did: there is nothing to wait for. */
	assert_true(exists(bench.tree));
	assert_true(exists(bench.socket));
	bench_deinit(&bench);
}

/* A folder that holds more than the socket is not the socket's own. */
static void test_others_files_stay(void **state)
{
	struct bench bench;

	(void)state;
	bench_init(&bench);
	make_file(bench.socket_dir, "somebody's");
	start_owner(&bench, false);
	kill_owner(&bench);
	assert_true(goes(bench.socket));
	assert_true(goes(bench.tree));
	assert_true(exists(bench.socket_dir));
	bench_deinit(&bench);
}

/* Makes files in the tree until it cannot any more, as a server would that has yet to be killed. */
static void *fill_folder(void *arg)
{
	const char *tree = arg;

	for (int i = 0; i < 20000; i++) {
		CLEANUP_FREE char *path = xasprintf("%s/%d", tree, i);
		CLEANUP_FD int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

		if (fd < 0)
			break;
	}
	return NULL;
}

static void test_tree_that_still_grows(void **state)
{
	struct bench bench;
	pthread_t thread;

	(void)state;
	bench_init(&bench);
	start_owner(&bench, false);
	assert_int_equal(pthread_create(&thread, NULL, fill_folder, bench.tree), 0);
	kill_owner(&bench);
	assert_true(goes(bench.tree));
	pthread_join(thread, NULL);
	assert_false(exists(bench.tree));
	bench_deinit(&bench);
}

static void test_removal_of_what_is_no_folder(void **state)
{
	struct bench bench;
	CLEANUP_FREE char *file = NULL, *link = NULL;

	(void)state;
	bench_init(&bench);
	assert_non_null(mkdtemp(bench.tree));
	fill_tree(&bench);
	file = xasprintf("%s/not ours", bench.dir);
	link = xasprintf("%s/deep/link", bench.tree);
	assert_true(remove_tree("/nothing/there"));
	assert_false(remove_tree(file));
	assert_false(remove_tree(link));
	assert_true(exists(file));
	assert_true(exists(bench.tree));
	assert_true(remove_tree(bench.tree));
	assert_false(exists(bench.tree));
	bench_deinit(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_goes_with_its_owner),
		cmocka_unit_test(test_all_stays_once_dismissed),
		cmocka_unit_test(test_others_files_stay),
		cmocka_unit_test(test_tree_that_still_grows),
		cmocka_unit_test(test_removal_of_what_is_no_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
