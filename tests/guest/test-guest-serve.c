/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Images served over NBD: what is read, what may be written, what is said when it cannot be. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "p2v/base/blk.h"
#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/guest/serve.h"
#include "tests/base/lib-must.h"
#include "tests/guest/lib-disk.h"

#define DISK_MIB 4

static char *make_disk(const struct tree *tree)
{
	char *disk = disk_create(tree, "disk", DISK_MIB);
	CLEANUP_FD int fd = open(disk, O_WRONLY | O_CLOEXEC);

	assert_int_equal(pwrite(fd, "content", 7, 1 << 20), 7);
	return disk;
}

static void expect_content(const char *uri, const char *content)
{
	CLEANUP_BLK struct blk *blk = NULL;
	char data[16] = "";

	must(blk_nbd_open(uri, 0, &blk));
	assert_int_equal(blk->size_bytes, DISK_MIB << 20);
	must(blk_pread(blk, data, strlen(content), 1 << 20));
	assert_string_equal(data, content);
}

static void serves_and_writes(void **state)
{
	CLEANUP_TREE struct tree *tree = tree_create(NULL);
	CLEANUP_FREE char *disk = make_disk(tree);
	struct serve_options options = {.file = disk, .scratch_dir = tree->root, .read_only = true};
	struct server *server = NULL;
	struct server *second = NULL;
	CLEANUP_BLK struct blk *blk = NULL;

	(void)state;
	/* Two readers of one image, each with a socket of its own. */
	must(serve_vhdx(&options, &server));
	must(serve_vhdx(&options, &second));
	assert_string_not_equal(server_socket(server), server_socket(second));
	expect_content(server_uri(server), "content");
	expect_content(server_uri(second), "content");
	err_free(blk_nbd_open(server_uri(server), BLK_NBD_WRITE, &blk));
	assert_null(blk);
	must(server_stop(second));
	must(server_stop(server));

	options.read_only = false;
	must(serve_vhdx(&options, &server));
	must(blk_nbd_open(server_uri(server), BLK_NBD_WRITE, &blk));
	must(blk_pwrite(blk, "changed", 7, 1 << 20, 0));
	must(blk_close(take_ptr(blk)));
	must(server_stop(server));
	must(blk_file_open(disk, 0, 0, &blk));
	{
		char data[8] = "";

		must(blk_pread(blk, data, 7, 1 << 20));
		assert_string_equal(data, "changed");
	}
	must(server_stop(NULL));
}

static void serves_foreign_formats(void **state)
{
	CLEANUP_TREE struct tree *tree = tree_create(NULL);
	CLEANUP_FREE char *disk = make_disk(tree);
	CLEANUP_FREE char *qcow2 = xasprintf("%s/../disk.qcow2", tree->root);
	const char *argv[] = {"qemu-img", "convert", "-f", "raw", "-O", "qcow2", disk, qcow2, NULL};
	struct server *server = NULL;

	(void)state;
	if (!run_is_installed("qemu-img") || !run_is_installed("qemu-nbd"))
		skip();
	run_tool(argv);
	must(serve_foreign(qcow2, "qcow2", tree->root, NULL, &server));
	/* Several at once, and after each other. */
	expect_content(server_uri(server), "content");
	expect_content(server_uri(server), "content");
	must(server_stop(server));
	must_fail_as(serve_foreign(disk, "qcow2", tree->root, NULL, &server), ERR_REFUSED, "disk");
}

static void says_what_is_missing(void **state)
{
	CLEANUP_TREE struct tree *tree = tree_create(NULL);
	CLEANUP_FREE char *disk = make_disk(tree);
	CLEANUP_FREE char *none = tree_host_path(tree, "/none");
	struct serve_options options = {.file = none, .scratch_dir = tree->root, .read_only = true};
	CLEANUP_FREE char *path = xstrdup(getenv("PATH"));
	CLEANUP_FREE char *deep = xasprintf("%s/%0100d", tree->root, 7);
	struct server *server = NULL;
	struct err *err;

	(void)state;
	must_fail_as(serve_vhdx(&options, &server), ERR_REFUSED, "none");
	options.file = disk;
	assert_int_equal(mkdir(deep, 0755), 0);
	options.scratch_dir = deep;
	must_fail_as(serve_vhdx(&options, &server), ERR_REFUSED, "too long");

	options.scratch_dir = tree->root;
	setenv("PATH", tree->root, 1);
	err = serve_vhdx(&options, &server);
	assert_non_null(strstr(err_advice(err), "apt-get install nbdkit"));
	must_fail_as(err, ERR_REFUSED, "nbdkit is not installed");
	err = serve_foreign(disk, "qcow2", tree->root, NULL, &server);
	assert_non_null(strstr(err_advice(err), "qemu-utils"));
	must_fail_as(err, ERR_REFUSED, "qemu-nbd");
	setenv("PATH", path, 1);
	assert_null(server);
}

/* A server does not outlive a p2v that is killed. */
static void dies_with_us(void **state)
{
	CLEANUP_TREE struct tree *tree = tree_create(NULL);
	CLEANUP_FREE char *disk = make_disk(tree);
	struct serve_options options = {.file = disk, .scratch_dir = tree->root, .read_only = true};
	char line[256] = "";
	int ends[2];
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct server *server = NULL;

		if (!serve_vhdx(&options, &server))
			(void)!write(ends[1], server_uri(server), strlen(server_uri(server)));
		close(ends[1]);
		pause();
	}
	close(ends[1]);
	assert_true(read(ends[0], line, sizeof line - 1) > 0);
	close(ends[0]);
	expect_content(line, "content");
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	for (unsigned i = 0;; i++) {
		struct blk *blk = NULL;
		struct err *err = blk_nbd_open(line, 0, &blk);

		if (err) {
			err_free(err);
			break;
		}
		err_free(blk_close(blk));
		if (i == 50)
			fail_msg("%s is still served", line);
		usleep(100000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(serves_and_writes),
		cmocka_unit_test(serves_foreign_formats),
		cmocka_unit_test(says_what_is_missing),
		cmocka_unit_test(dies_with_us),
	};

	if (!PLUGIN_CAN_BE_SERVED)
		return 77;
	if (!run_is_installed("nbdkit")) {
		print_message("nbdkit is not installed: skipped\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
