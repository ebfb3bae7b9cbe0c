/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * QMP over a Unix socket (QEMU's docs/interop/qmp-spec): one JSON object a
 * line.  Events that arrive while an answer is awaited are kept for
 * qmp_next_event().
 */
#include "p2v/prove/qmp.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/base/strv.h"

#define RETRY_NS 20000000ull
#define MAX_LINE_BYTES (1u << 20)

struct qmp {
	int fd;
	struct text in; /* received, not yet a whole line */
	json_t *events; /* array, oldest first */
	bool is_closed;
};

/* Waits for bytes until the deadline (0: only looks) and takes them in; false if none came. */
static bool receive(struct qmp *qmp, uint64_t deadline_ns)
{
	struct pollfd poll_fd = {.fd = qmp->fd, .events = POLLIN};
	uint64_t now_ns = run_now_ns();
	int wait_ms = deadline_ns > now_ns ? (deadline_ns - now_ns) / 1000000 + 1 : 0;
	char buf[4096];
	ssize_t got;

	if (qmp->is_closed || poll(&poll_fd, 1, wait_ms) <= 0)
		return false;
	got = read(qmp->fd, buf, sizeof buf);
	if (got <= 0 || qmp->in.bytes > MAX_LINE_BYTES) {
		qmp->is_closed = got == 0 || (got < 0 && errno != EINTR) || got > 0;
		return false;
	}
	text_add(&qmp->in, buf, got);
	return true;
}

/* The next whole message that has been received, NULL if there is none. */
static json_t *take_message(struct qmp *qmp)
{
	while (qmp->in.bytes) {
		char *newline = memchr(qmp->in.data, '\n', qmp->in.bytes);
		size_t line_bytes;
		json_t *message;

		if (!newline)
			return NULL;
		line_bytes = newline - qmp->in.data + 1;
		message = json_loadb(qmp->in.data, line_bytes, 0, NULL);
		memmove(qmp->in.data, qmp->in.data + line_bytes, qmp->in.bytes - line_bytes);
		qmp->in.bytes -= line_bytes;
		if (message)
			return message;
	}
	return NULL;
}

/* The next message that is no event; NULL when the time is over or the connection closed. */
static json_t *await_answer(struct qmp *qmp, uint64_t deadline_ns)
{
	for (;;) {
		json_t *message = take_message(qmp);

		if (message && json_object_get(message, "event"))
			json_array_append_new(qmp->events, message);
		else if (message)
			return message;
		else if (!receive(qmp, deadline_ns) && (qmp->is_closed || run_now_ns() >= deadline_ns))
			return NULL;
	}
}

struct err *qmp_run(struct qmp *qmp, const char *command, json_t *arguments, uint64_t limit_ns)
{
	CLEANUP_JSON json_t *request = json_pack("{s:s}", "execute", command);
	CLEANUP_JSON json_t *answer = NULL;
	CLEANUP_FREE char *line = NULL;
	const json_t *error;
	size_t done = 0, bytes;

	if (arguments)
		json_object_set_new(request, "arguments", arguments);
	line = json_dumps(request, JSON_COMPACT);
	if (!line)
		return err_nomem();
	for (bytes = strlen(line); done < bytes;) {
		ssize_t put = send(qmp->fd, line + done, bytes - done, MSG_NOSIGNAL);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return err_from_errno(errno, "QEMU's monitor: %s", command);
		done += put;
	}
	answer = await_answer(qmp, run_now_ns() + limit_ns);
	if (!answer)
		return err_failed("QEMU's monitor does not answer to %s", command);
	error = json_object_get(answer, "error");
	if (error)
		return err_failed("QEMU: %s: %s", command, json_string_or(error, "desc", "no reason given"));
	return NULL;
}

static int connect_socket(const struct sockaddr_un *address, uint64_t deadline_ns)
{
	for (;;) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		struct timespec pause = {.tv_nsec = RETRY_NS};

		if (fd < 0)
			return -1;
		if (!connect(fd, (const struct sockaddr *)address, sizeof *address))
			return fd;
		close(fd);
		if ((errno != ENOENT && errno != ECONNREFUSED) || run_now_ns() > deadline_ns)
			return -1;
		nanosleep(&pause, NULL);
	}
}

struct err *qmp_connect(const char *socket_path, uint64_t limit_ns, struct qmp **ret_qmp)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	uint64_t deadline_ns = run_now_ns() + limit_ns;
	CLEANUP_QMP struct qmp *qmp = NULL;
	json_t *greeting;
	int fd;

	if (strlen(socket_path) >= sizeof address.sun_path)
		return err_advise(err_refused("%s: too long a path for a socket", socket_path),
				  "set TMPDIR to a folder with a shorter name");
	memcpy(address.sun_path, socket_path, strlen(socket_path) + 1);
	fd = connect_socket(&address, deadline_ns);
	if (fd < 0)
		return err_failed("QEMU's monitor does not open");
	qmp = xcalloc(1, sizeof *qmp);
	qmp->fd = fd;
	qmp->events = json_array();
	greeting = await_answer(qmp, deadline_ns);
	if (!greeting)
		return err_failed("QEMU's monitor does not speak");
	json_decref(greeting);
	TRY(qmp_run(qmp, "qmp_capabilities", NULL, limit_ns));
	*ret_qmp = take_ptr(qmp);
	return NULL;
}

json_t *qmp_next_event(struct qmp *qmp)
{
	json_t *event;

	if (!json_array_size(qmp->events)) {
		while (receive(qmp, 0))
			;
		for (json_t *message; (message = take_message(qmp));) {
			if (json_object_get(message, "event"))
				json_array_append_new(qmp->events, message);
			else
				json_decref(message);
		}
	}
	if (!json_array_size(qmp->events))
		return NULL;
	event = json_incref(json_array_get(qmp->events, 0));
	json_array_remove(qmp->events, 0);
	return event;
}

void qmp_destroy(struct qmp *qmp)
{
	if (!qmp)
		return;
	close(qmp->fd);
	text_deinit(&qmp->in);
	json_decref(qmp->events);
	free(qmp);
}
