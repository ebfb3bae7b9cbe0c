/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/base/scratch.h"

#define SECOND_NS 1000000000ull

static void test_output_and_input(void **state)
{
	static const char *const argv[] = {"tr", "a-z", "A-Z", NULL};
	CLEANUP_RUN_RESULT struct run_result result = {0};
	const size_t bytes = 3 << 20;
	CLEANUP_FREE char *input = xmalloc(bytes);

	(void)state;
	memset(input, 'q', bytes);
	assert_null(run_argv(argv, &(struct run_options){.input = input, .input_bytes = bytes}, &result));
	assert_int_equal(result.out_bytes, bytes);
	assert_int_equal(result.out[0], 'Q');
	assert_int_equal(result.out[bytes - 1], 'Q');
}

static void test_input_nobody_reads(void **state)
{
	static const char *const argv[] = {"true", NULL};
	const size_t bytes = 3 << 20;
	CLEANUP_FREE char *input = xcalloc(1, bytes);

	(void)state;
	assert_null(run_argv(argv, &(struct run_options){.input = input, .input_bytes = bytes}, NULL));
}

static void test_failure_names_the_last_line(void **state)
{
	static const char *const argv[] = {"sh", "-c", "echo first >&2; echo the cause >&2; exit 7", NULL};
	CLEANUP_RUN_RESULT struct run_result result = {0};
	CLEANUP_ERR struct err *err = run_argv(argv, NULL, NULL);

	(void)state;
	assert_non_null(err);
	assert_string_equal(err_message(err), "sh failed with status 7: the cause");
	assert_null(run_argv(argv, &(struct run_options){.flags = RUN_ANY_STATUS}, &result));
	assert_int_equal(result.status, 7);
	assert_string_equal(result.err_text, "first\nthe cause\n");
}

static void test_not_installed(void **state)
{
	static const char *const argv[] = {"p2v-no-such-program", NULL};
	CLEANUP_ERR struct err *err = run_argv(argv, NULL, NULL);

	(void)state;
	assert_non_null(err);
	assert_int_equal(err_errno(err), ENOENT);
	assert_non_null(err_advice(err));
	assert_false(run_is_installed(argv[0]));
	assert_true(run_is_installed("sh"));
	assert_true(run_is_installed("/bin/sh"));
}

static void test_time_limit_reaches_grandchildren(void **state)
{
	/* The grandchild holds standard output open: without the group kill this would take 60 s. */
	static const char *const argv[] = {"sh", "-c", "sleep 60 & sleep 60", NULL};
	uint64_t started_ns = run_now_ns();
	CLEANUP_ERR struct err *err =
		run_argv(argv, &(struct run_options){.time_limit_ns = SECOND_NS / 2}, NULL);

	(void)state;
	assert_non_null(err);
	assert_non_null(strstr(err_message(err), "did not end within"));
	assert_true(run_now_ns() - started_ns < 30 * SECOND_NS);
}

static void test_environment(void **state)
{
	static const char *const argv[] = {"sh", "-c", "echo $P2V_TEST_WORD", NULL};
	static const char *const env[] = {"P2V_TEST_WORD=new", NULL};
	CLEANUP_RUN_RESULT struct run_result result = {0};

	(void)state;
	setenv("P2V_TEST_WORD", "old", 1);
	assert_null(run_argv(argv, &(struct run_options){.env = env}, &result));
	assert_string_equal(result.out, "new\n");
}

static bool process_exists(pid_t pid)
{
	return !kill(pid, 0);
}

static void wait_until_gone(pid_t pid)
{
	for (int i = 0; i < 1000 && process_exists(pid); i++)
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

static void test_child_in_the_background(void **state)
{
	static const char *const argv[] = {"sleep", "60", NULL};
	struct child *child;
	pid_t pid;

	(void)state;
	assert_null(child_start(argv, NULL, NULL, &child));
	pid = child_pid(child);
	assert_int_equal(child_wait(child, 0), -1);
	child_stop(child, SECOND_NS);
	assert_false(process_exists(pid));
}

/* A process that starts a child and a scratch folder, tells both, and is then killed. */
static void victim(const char *parent_folder, int tell)
{
	static const char *const argv[] = {"sleep", "60", NULL};
	struct scratch *scratch;
	struct child *child;
	CLEANUP_FREE char *line = NULL, *file = NULL;

	err_free(scratch_create(parent_folder, "work", &scratch));
	err_free(child_start(argv, NULL, NULL, &child));
	file = scratch_file(scratch, "deep");
	mkdir(file, 0700);
	line = xasprintf("%d %s", child_pid(child), scratch_path(scratch));
	(void)!write(tell, line, strlen(line) + 1);
	pause();
}

static void test_nothing_outlives_a_kill(void **state)
{
	char parent_folder[] = "/tmp/p2v-test-scratch.XXXXXX";
	char line[256] = "", path[256];
	int tell[2], child;
	pid_t pid;

	(void)state;
	assert_non_null(mkdtemp(parent_folder));
	assert_int_equal(pipe(tell), 0);
	pid = fork();
	if (!pid) {
		victim(parent_folder, tell[1]);
		_exit(0);
	}
	assert_true(read(tell[0], line, sizeof line) > 0);
	assert_int_equal(sscanf(line, "%d %255s", &child, path), 2);
	assert_int_equal(access(path, F_OK), 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	wait_until_gone(child);
	assert_false(process_exists(child));
	for (int i = 0; i < 1000 && !access(path, F_OK); i++)
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(rmdir(parent_folder), 0);
	close(tell[0]);
	close(tell[1]);
}

static void test_scratch_commit(void **state)
{
	char parent_folder[] = "/tmp/p2v-test-scratch.XXXXXX";
	CLEANUP_FREE char *final_path = NULL;
	struct scratch *scratch, *second;
	struct err *err;

	(void)state;
	assert_non_null(mkdtemp(parent_folder));
	final_path = xasprintf("%s/final", parent_folder);
	assert_null(scratch_create(parent_folder, "work", &scratch));
	assert_null(scratch_create(parent_folder, "work", &second));
	assert_null(scratch_commit(&scratch, final_path));
	assert_null(scratch);
	assert_int_equal(access(final_path, F_OK), 0);
	err = scratch_commit(&second, final_path);
	assert_int_equal(err_errno(err), EEXIST);
	err_free(err);
	scratch_destroy(second);
	assert_int_equal(rmdir(final_path), 0);
	assert_int_equal(rmdir(parent_folder), 0);
}

static void test_scratch_without_a_folder(void **state)
{
	struct scratch *scratch = NULL;
	CLEANUP_ERR struct err *err = scratch_create("/tmp/p2v-no-such-folder", "work", &scratch);

	(void)state;
	assert_int_equal(err_errno(err), ENOENT);
	assert_null(scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_output_and_input),
		cmocka_unit_test(test_input_nobody_reads),
		cmocka_unit_test(test_failure_names_the_last_line),
		cmocka_unit_test(test_not_installed),
		cmocka_unit_test(test_time_limit_reaches_grandchildren),
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_child_in_the_background),
		cmocka_unit_test(test_nothing_outlives_a_kill),
		cmocka_unit_test(test_scratch_commit),
		cmocka_unit_test(test_scratch_without_a_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
