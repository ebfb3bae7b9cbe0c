// SPDX-License-Identifier: GPL-3.0-or-later
#include "tests/base/lib-nbd-server.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/base/strv.h"

#define LIMIT_NS 60000000000ull
/* With libasan preloaded into a program that is not built for it, nbdkit can hang in the exit code of a
 * library (p11-kit), after it has closed its files. */
#define SANITIZED_LIMIT_NS 10000000000ull

struct nbd_server {
	struct child *child;
	char *pid_file;
	char *uri;
	char *log;
	bool is_sanitized;
};

char *test_dir_make(void)
{
	const char *parent = getenv("TMPDIR");
	char *path = xasprintf("%s/p2v-test.XXXXXX", parent ? parent : "/tmp");

	if (!mkdtemp(path)) {
		perror(path);
		abort();
	}
	return path;
}

void test_dir_remove(char *path)
{
	const char *const argv[] = {"rm", "-rf", path, NULL};

	err_free(run_argv(argv, NULL, NULL));
	free(path);
}

char *test_path(const char *dir, const char *name)
{
	return xasprintf("%s/%s", dir, name);
}

char *test_plugin_path(void)
{
	const char *build = getenv("P2V_BUILD");
	char *path = xasprintf("%s/lib/nbdkit-vhdx-plugin.so", build ? build : "build");
	char *absolute = realpath(path, NULL);

	free(path);
	return absolute;
}

/* The sanitizer's runtime must come first in nbdkit too, if the plugin was built with it: its path, as
 * it is mapped into us. */
static char *sanitizer_library(void)
{
	CLEANUP_FCLOSE FILE *maps = fopen("/proc/self/maps", "re");
	char line[4096];

	while (maps && fgets(line, sizeof line, maps)) {
		char *path = strchr(line, '/');

		if (path && strstr(path, "/libasan.so")) {
			path[strcspn(path, "\n")] = '\0';
			return xstrdup(path);
		}
	}
	return NULL;
}

static struct err *failed_to_start(const struct nbd_server *server, const char *how)
{
	CLEANUP_FREE char *messages = nbd_server_messages(server);

	return err_failed("nbdkit %s: %s", how, messages);
}

/* nbdkit writes its pid file when it takes connections. */
static struct err *wait_until_ready(struct nbd_server *server)
{
	uint64_t give_up_ns = run_now_ns() + (server->is_sanitized ? SANITIZED_LIMIT_NS : LIMIT_NS);

	while (access(server->pid_file, F_OK)) {
		int status = child_wait(server->child, 10000000);

		if (status >= 0)
			return failed_to_start(server, "ended");
		if (run_now_ns() > give_up_ns)
			return failed_to_start(server, "takes no connections");
	}
	return NULL;
}

struct err *nbd_server_start(const char *dir, const char *const *args, struct nbd_server **ret_server)
{
	static unsigned serial; /* several servers may share a folder */
	CLEANUP_STRV struct strv argv = {0};
	CLEANUP_FREE char *sanitizer = sanitizer_library();
	CLEANUP_FREE char *preload = sanitizer ? xasprintf("LD_PRELOAD=%s", sanitizer) : NULL;
	const char *const env[] = {preload, "ASAN_OPTIONS=detect_leaks=0", NULL};
	struct run_options options = {.env = preload ? env : NULL};
	struct nbd_server *server = xcalloc(1, sizeof *server);
	CLEANUP_FREE char *socket = NULL;
	struct err *err;

	socket = xasprintf("%s/nbd%u.sock", dir, ++serial);
	server->is_sanitized = sanitizer != NULL;
	server->pid_file = xasprintf("%s/nbd%u.pid", dir, serial);
	server->uri = xasprintf("nbd+unix:///?socket=%s", socket);
	server->log = xasprintf("%s/nbd%u.log", dir, serial);
	strv_add(&argv, "nbdkit");
	strv_add(&argv, "--foreground");
	strv_add(&argv, "--unix");
	strv_add(&argv, socket);
	strv_add(&argv, "--pidfile");
	strv_add(&argv, server->pid_file);
	while (*args)
		strv_add(&argv, *args++);
	err = child_start((const char *const *)argv.items, server->log, &options, &server->child);
	if (!err)
		err = wait_until_ready(server);
	if (err) {
		nbd_server_stop(server);
		return err;
	}
	*ret_server = server;
	return NULL;
}

const char *nbd_server_uri(const struct nbd_server *server)
{
	return server->uri;
}

char *nbd_server_messages(const struct nbd_server *server)
{
	CLEANUP_FCLOSE FILE *file = fopen(server->log, "re");
	CLEANUP_TEXT struct text text = {0};
	char buf[4096];
	size_t got;

	while (file && (got = fread(buf, 1, sizeof buf, file)))
		text_add(&text, buf, got);
	return text_take(&text);
}

void nbd_server_kill(struct nbd_server *server)
{
	kill(child_pid(server->child), SIGKILL);
	nbd_server_stop(server);
}

void nbd_server_stop(struct nbd_server *server)
{
	if (!server)
		return;
	child_stop(server->child, server->is_sanitized ? SANITIZED_LIMIT_NS : LIMIT_NS);
	free(server->pid_file);
	free(server->uri);
	free(server->log);
	free(server);
}
