/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Hypervisors that hang, that fail, and a p2v that is killed: the error is clear and nothing stays behind. */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/guest/appliance.h"
#include "p2v/guest/serve.h"
#include "tests/base/lib-must.h"
#include "tests/guest/lib-tree.h"

#define SECOND_NS 1000000000ull

/* Nobody serves it: only a hypervisor that works would notice. */
static const char *const no_server[] = {"/nobody/listens", NULL};

/* A program of one line in the tree's folder, named by $LIBGUESTFS_HV. */
static void set_hypervisor(struct tree *tree, const char *script)
{
	CLEANUP_FREE char *path = tree_host_path(tree, "/hypervisor");
	CLEANUP_FREE char *text = xasprintf("#!/bin/sh\n%s\n", script);

	tree_add(tree, "/hypervisor", text);
	assert_int_equal(chmod(path, 0755), 0);
	setenv("LIBGUESTFS_HV", path, 1);
}

/* The command line of a process that contains the text, arguments divided by spaces; NULL if none does. */
static char *find_process(const char *text)
{
	DIR *dir = opendir("/proc");
	char *found = NULL;

	assert_non_null(dir);
	for (const struct dirent *entry; !found && (entry = readdir(dir));) {
		CLEANUP_FREE char *path = xasprintf("/proc/%s/cmdline", entry->d_name);
		char line[16384];
		CLEANUP_FD int fd = -1;
		ssize_t bytes;

		if (!isdigit((unsigned char)entry->d_name[0]) || atoi(entry->d_name) == getpid())
			continue;
		fd = open(path, O_RDONLY | O_CLOEXEC);
		bytes = fd >= 0 ? read(fd, line, sizeof line - 1) : -1;
		for (ssize_t i = 0; i + 1 < bytes; i++) {
			if (!line[i])
				line[i] = ' ';
		}
		line[bytes > 0 ? bytes : 0] = '\0';
		if (strstr(line, text))
			found = xstrdup(line);
	}
	closedir(dir);
	return found;
}

static void expect_no_process(const char *text)
{
	uint64_t deadline_ns = run_now_ns() + 5 * SECOND_NS;

	for (;;) {
		CLEANUP_FREE char *line = find_process(text);

		if (!line)
			return;
		if (run_now_ns() > deadline_ns)
			fail_msg("still runs: %s", line);
		usleep(50000);
	}
}

static void hanging_hypervisor_is_ended(void **state)
{
	CLEANUP_TREE struct tree *tree = tree_create(NULL);
	struct appliance_options options = {
		.nbd_sockets = no_server,
		.scratch_dir = tree->root,
		.time_limit_ns = 3 * SECOND_NS,
	};
	/* The script waits for a child, which must go too; its number is not used by anybody else. */
	CLEANUP_FREE char *child = xasprintf("sleep 9%d", getpid());
	CLEANUP_FREE char *script = xasprintf("%s & wait", child);
	uint64_t start_ns = run_now_ns();
	struct appliance *appliance = NULL;
	struct err *err;

	(void)state;
	set_hypervisor(tree, script);
	err = appliance_start(&options, &appliance);
	assert_non_null(err);
	assert_non_null(strstr(err_advice(err), "P2V_APPLIANCE_TIMEOUT"));
	must_fail_as(err, ERR_FAILED, "did not start within 3 s");
	assert_null(appliance);
	assert_true(run_now_ns() - start_ns < 60 * SECOND_NS);
	expect_no_process(child);
}

static void failing_hypervisor_is_reported(void **state)
{
	CLEANUP_TREE struct tree *tree = tree_create(NULL);
	struct appliance_options options = {.nbd_sockets = no_server, .scratch_dir = tree->root};
	struct appliance *appliance = NULL;
	struct err *err;

	(void)state;
	set_hypervisor(tree, "echo no such accelerator >&2; exit 1");
	err = appliance_start(&options, &appliance);
	assert_non_null(err);
	assert_non_null(strstr(err_advice(err), "libguestfs-test-tool"));
	must_fail_as(err, ERR_FAILED, "does not start");
}

/* What the command line says between the two texts; the caller frees it. */
static char *between(const char *line, const char *start, const char *end)
{
	const char *at = strstr(line, start);
	const char *stop = at ? strstr(at, end) : NULL;

	return stop ? xstrndup(at + strlen(start), (size_t)(stop - at) - strlen(start)) : NULL;
}

static void killed_process_leaves_nothing(void **state)
{
	CLEANUP_TREE struct tree *tree = tree_create(NULL);
	const char *sockets[2] = {NULL};
	struct appliance_options options = {.nbd_sockets = sockets, .scratch_dir = tree->root};
	struct serve_options serve = {.scratch_dir = tree->root, .read_only = true};
	CLEANUP_FREE char *disk = tree_host_path(tree, "/disk");
	struct server *server = NULL;
	CLEANUP_FREE char *socket_path = NULL;
	CLEANUP_FREE char *socket_dir = NULL;
	CLEANUP_FREE char *kernel = xasprintf("-kernel %s/", tree->root);
	uint64_t deadline_ns = run_now_ns() + 120 * SECOND_NS;
	pid_t pid;

	(void)state;
	unsetenv("LIBGUESTFS_HV");
	if (!run_is_installed("qemu-system-x86_64"))
		skip();
	tree_add(tree, "/disk", "");
	assert_int_equal(truncate(disk, 1 << 20), 0);
	serve.file = disk;
	must(serve_vhdx(&serve, &server));
	sockets[0] = server_socket(server);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct appliance *appliance;

		err_free(appliance_start(&options, &appliance));
		_exit(0);
	}
	/* libguestfs's hypervisor runs and has its socket. */
	while (!socket_path) {
		CLEANUP_FREE char *line = find_process(kernel);

		if (line)
			socket_path = between(line, "-chardev socket,path=", ",id=");
		if (!socket_path && run_now_ns() > deadline_ns) {
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
			must(server_stop(server));
			print_message("no hypervisor with the unpacked kernel here: skipped\n");
			skip();
		}
		usleep(20000);
	}
	usleep(100000);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	expect_no_process(kernel);
	socket_dir = xstrdup(socket_path);
	*strrchr(socket_dir, '/') = '\0';
	for (unsigned i = 0; i < 50 && access(socket_dir, F_OK) == 0; i++)
		usleep(100000);
	assert_int_equal(access(socket_path, F_OK), -1);
	assert_int_equal(access(socket_dir, F_OK), -1);
	must(server_stop(server));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hanging_hypervisor_is_ended),
		cmocka_unit_test(failing_hypervisor_is_reported),
	};
	const struct CMUnitTest with_plugin[] = {cmocka_unit_test(killed_process_leaves_nothing)};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	return failed || !PLUGIN_CAN_BE_SERVED ? failed : cmocka_run_group_tests(with_plugin, NULL, NULL);
}
