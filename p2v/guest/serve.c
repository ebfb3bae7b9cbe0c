/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * nbdkit and qemu-nbd as children, each on a Unix socket of its own in the
 * scratch folder.  They die with us (p2v/base/run.h), and their sockets go with
 * the folder.
 */
#include "p2v/guest/serve.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/base/strv.h"

#define START_LIMIT_NS 30000000000ull
#define GREETING_LIMIT_MS 1000
/* Long enough for the dirty pages of a large image to reach a slow disk. */
#define STOP_LIMIT_NS 600000000000ull

struct server {
	struct child *child;
	char *program;
	char *socket;
	char *uri;
	char *log_path;
};

const char *server_socket(const struct server *server)
{
	return server->socket;
}

const char *server_uri(const struct server *server)
{
	return server->uri;
}

static void server_free(struct server *server)
{
	child_stop(server->child, STOP_LIMIT_NS);
	free(server->program);
	free(server->socket);
	free(server->uri);
	free(server->log_path);
	free(server);
}

/* A server of that program with paths for its socket and its messages; nothing runs yet. */
static struct err *server_create(const char *program, const char *scratch_dir, struct server **ret_server)
{
	CLEANUP_FREE char *folder = xasprintf("%s/nbd.XXXXXX", scratch_dir);
	struct sockaddr_un address;
	struct server *server;

	if (!mkdtemp(folder))
		return err_from_errno(errno, "%s", folder);
	if (strlen(folder) + sizeof "/s" > sizeof address.sun_path)
		return err_advise(err_refused("%s: too long a path for a socket", folder),
				  "set TMPDIR to a folder with a shorter name");
	server = xcalloc(1, sizeof *server);
	server->program = xstrdup(program);
	server->socket = xasprintf("%s/s", folder);
	server->uri = xasprintf("nbd+unix:///?socket=%s", server->socket);
	server->log_path = xasprintf("%s/log", folder);
	*ret_server = server;
	return NULL;
}

/*
 * True if the server greets us as NBD's protocol has it ("NBDMAGIC").  That it listens is not enough:
 * qemu-nbd does so before it has opened the image.
 */
static bool greets(const char *socket_path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	char magic[8];

	memcpy(address.sun_path, socket_path, strlen(socket_path) + 1);
	return fd >= 0 && !connect(fd, (struct sockaddr *)&address, sizeof address) &&
	       poll(&wait, 1, GREETING_LIMIT_MS) == 1 &&
	       recv(fd, magic, sizeof magic, MSG_WAITALL) == sizeof magic &&
	       !memcmp(magic, "NBDMAGIC", sizeof magic);
}

/* The last line a server wrote, as an error; without nbdkit's own prefix. */
static struct err *server_error(const struct server *server, int status)
{
	CLEANUP_FREE char *line = NULL;
	CLEANUP_FREE char *last = NULL;
	CLEANUP_FCLOSE FILE *log = fopen(server->log_path, "re");
	size_t capacity = 0;
	const char *text;

	while (log && getline(&line, &capacity, log) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (*line && (!last || strstr(line, "error"))) {
			free(last);
			last = xstrdup(line);
		}
	}
	text = last && strstr(last, "error: ") ? strstr(last, "error: ") + strlen("error: ") : last;
	return err_refused("%s ended with status %d: %s", server->program, status,
			   text ? text : "no message");
}

/* Starts argv and waits until it serves. */
static struct err *server_start(struct server *server, const struct strv *argv, const struct log *log)
{
	struct run_options options = {.log = log};
	uint64_t deadline_ns = run_now_ns() + START_LIMIT_NS;
	struct err *err =
		child_start((const char *const *)argv->items, server->log_path, &options, &server->child);

	if (err && err_errno(err) == ENOENT)
		return err_as(err, ERR_REFUSED);
	if (err)
		return err;
	while (!greets(server->socket)) {
		int status = child_wait(server->child, 10000000);

		if (status >= 0)
			return server_error(server, status);
		if (run_now_ns() > deadline_ns)
			return err_failed("%s does not accept connections", server->program);
	}
	return NULL;
}

static char *plugin_beside_us(void)
{
	char path[PATH_MAX];
	ssize_t bytes = readlink("/proc/self/exe", path, sizeof path - 1);
	char *slash;

	if (bytes <= 0)
		return NULL;
	path[bytes] = '\0';
	slash = strrchr(path, '/');
	*slash = '\0';
	return xasprintf("%s/../lib/nbdkit-vhdx-plugin.so", path);
}

/* $P2V_PLUGIN, else the one built beside this program, else the installed one. */
static struct err *find_plugin(char **ret_path)
{
	const char *named = getenv("P2V_PLUGIN");
	const char *build = getenv("P2V_BUILD");
	char *candidates[] = {
		xstrdup(named),
		plugin_beside_us(),
		build ? xasprintf("%s/lib/nbdkit-vhdx-plugin.so", build) : NULL,
		xstrdup(P2V_LIBDIR "/nbdkit-vhdx-plugin.so"),
	};
	char *found = NULL;

	for (size_t i = 0; i < sizeof candidates / sizeof *candidates; i++) {
		if (!found && candidates[i] && !access(candidates[i], R_OK))
			found = candidates[i];
		else
			free(candidates[i]);
	}
	if (!found)
		return err_advise(err_refused("nbdkit-vhdx-plugin.so: not found"),
				  "install p2v whole ('make install'), or name the plugin in P2V_PLUGIN");
	*ret_path = found;
	return NULL;
}

struct err *serve_vhdx(const struct serve_options *options, struct server **ret_server)
{
	CLEANUP_STRV struct strv argv = {0};
	CLEANUP_FREE char *plugin = NULL;
	struct server *server;
	struct err *err;

	if (!run_is_installed("nbdkit"))
		return err_advise(err_refused("nbdkit is not installed"),
				  "on Debian: apt-get install nbdkit");
	TRY(find_plugin(&plugin));
	TRY(server_create("nbdkit", options->scratch_dir, &server));
	strv_split(&argv, "nbdkit\n--foreground\n--newstyle\n--exit-with-parent", "\n");
	strv_addf(&argv, "--unix");
	strv_add(&argv, server->socket);
	if (options->read_only)
		strv_add(&argv, "--readonly");
	strv_add(&argv, plugin);
	strv_addf(&argv, "file=%s", options->file);
	if (options->fill_from)
		strv_addf(&argv, "fill-from=%s", options->fill_from);
	if (options->fill_from || options->incomplete)
		strv_add(&argv, "incomplete=true");
	err = err_wrap(server_start(server, &argv, options->log), "%s", options->file);
	if (err)
		server_free(server);
	else
		*ret_server = server;
	return err;
}

struct err *serve_foreign(const char *path, const char *format, const char *scratch_dir,
			  const struct log *log, struct server **ret_server)
{
	CLEANUP_STRV struct strv argv = {0};
	struct server *server;
	struct err *err;

	if (!run_is_installed("qemu-nbd"))
		return err_advise(err_refused("%s: is %s, which needs qemu-nbd, and that is not installed",
					      path, format),
				  "on Debian: apt-get install qemu-utils");
	TRY(server_create("qemu-nbd", scratch_dir, &server));
	strv_split(&argv, "qemu-nbd\n--read-only\n--persistent\n--shared=16\n--format", "\n");
	strv_add(&argv, format);
	strv_add(&argv, "--socket");
	strv_add(&argv, server->socket);
	strv_add(&argv, path);
	err = err_wrap(server_start(server, &argv, log), "%s", path);
	if (err)
		server_free(server);
	else
		*ret_server = server;
	return err;
}

struct err *server_stop(struct server *server)
{
	struct err *err = NULL;
	int status;

	if (!server)
		return NULL;
	kill(child_pid(server->child), SIGTERM);
	status = child_wait(server->child, STOP_LIMIT_NS);
	if (status > 0 && status != 128 + SIGTERM)
		err = server_error(server, status);
	else if (status < 0)
		err = err_failed("%s does not end", server->program);
	server_free(server);
	return err;
}
