/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Copies between a pseudo terminal and consoles.
 *
 * A console never holds up the others: what a slow one has not taken waits in a
 * queue of its own, and is dropped when that is full (Ctrl-L draws the screen
 * anew).  We keep the program's end open, so that the terminal and what is on it
 * outlast a program that ends.
 */
#include "iso/live-mirror.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "capture/sysroot.h"
#include "p2v/base/mem.h"
#include "p2v/base/run.h"

#define QUEUE_BYTES (64u << 10)
#define REOPEN_NS 5000000000
#define RESTART_NS 1000000000
#define LOOK_MS 250 /* how soon a program's end is noticed */

struct console {
	const char *path;
	int fd; /* -1: not open */
	uint64_t next_open_ns;
	struct text queue;
};

struct mirror {
	int master, slave;
	struct console *consoles;
	size_t console_count;
	struct child *child;
	uint64_t restart_ns;
	const struct log *log;
};

void live_mirror_find_consoles(struct strv *ret_consoles)
{
	CLEANUP_FREE char *active = sysroot_read("", "/sys/class/tty/console/active");
	CLEANUP_STRV struct strv names = {0};

	strv_split(&names, active ? active : "console", " ");
	for (size_t i = 0; i < names.count; i++)
		/* tty0 is whichever of the virtual ones is shown. */
		strv_addf(ret_consoles, "/dev/%s", strcmp(names.items[i], "tty0") ? names.items[i] : "tty1");
}

static void close_console(struct console *console)
{
	if (console->fd >= 0)
		close(console->fd);
	console->fd = -1;
	text_deinit(&console->queue);
	console->queue = (struct text){0};
	console->next_open_ns = run_now_ns() + REOPEN_NS;
}

static void open_console(struct console *console)
{
	struct termios settings;

	if (console->fd >= 0 || run_now_ns() < console->next_open_ns)
		return;
	console->fd = open(console->path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (console->fd < 0) {
		console->next_open_ns = run_now_ns() + REOPEN_NS;
		return;
	}
	/* Keys and characters as they are: the program's own terminal does the rest. */
	if (!tcgetattr(console->fd, &settings)) {
		cfmakeraw(&settings);
		tcsetattr(console->fd, TCSANOW, &settings);
	}
}

static void flush_queue(struct console *console)
{
	struct text *queue = &console->queue;

	while (console->fd >= 0 && queue->bytes) {
		ssize_t put = write(console->fd, queue->data, queue->bytes);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0 && errno == EAGAIN)
			return;
		if (put <= 0) {
			close_console(console);
			return;
		}
		memmove(queue->data, queue->data + put, queue->bytes - put);
		queue->bytes -= put;
	}
}

static void write_consoles(struct mirror *mirror, const char *data, size_t bytes)
{
	for (size_t i = 0; i < mirror->console_count; i++) {
		struct console *console = &mirror->consoles[i];

		if (console->fd < 0)
			continue;
		if (console->queue.bytes + bytes > QUEUE_BYTES)
			console->queue.bytes = 0;
		text_add(&console->queue, data, bytes);
		flush_queue(console);
	}
}

static void take_output(struct mirror *mirror)
{
	char buffer[4096];
	ssize_t got = read(mirror->master, buffer, sizeof buffer);

	if (got > 0)
		write_consoles(mirror, buffer, got);
}

static void take_input(struct mirror *mirror, struct console *console)
{
	char buffer[256];
	ssize_t got = read(console->fd, buffer, sizeof buffer);

	if (got > 0)
		/* What a program that does not read leaves no room for is lost, as on any terminal. */
		(void)!write(mirror->master, buffer, got);
	else if (!got || (errno != EAGAIN && errno != EINTR))
		close_console(console);
}

static void wait_and_copy(struct mirror *mirror)
{
	CLEANUP_FREE struct pollfd *fds = xcalloc(mirror->console_count + 1, sizeof *fds);

	fds[0] = (struct pollfd){.fd = mirror->master, .events = POLLIN};
	for (size_t i = 0; i < mirror->console_count; i++) {
		struct console *console = &mirror->consoles[i];

		open_console(console);
		fds[i + 1] = (struct pollfd){.fd = console->fd,
					     .events = POLLIN | (console->queue.bytes ? POLLOUT : 0)};
	}
	if (poll(fds, mirror->console_count + 1, LOOK_MS) <= 0)
		return;
	if (fds[0].revents & POLLIN)
		take_output(mirror);
	for (size_t i = 0; i < mirror->console_count; i++) {
		if (fds[i + 1].revents & POLLOUT)
			flush_queue(&mirror->consoles[i]);
		if (mirror->consoles[i].fd >= 0 && fds[i + 1].revents & (POLLIN | POLLHUP | POLLERR))
			take_input(mirror, &mirror->consoles[i]);
	}
}

static struct err *open_terminal(struct mirror *mirror)
{
	const struct winsize size = {.ws_row = LIVE_ROWS, .ws_col = LIVE_COLUMNS};
	char name[64];

	mirror->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (mirror->master < 0 || grantpt(mirror->master) || unlockpt(mirror->master) ||
	    ptsname_r(mirror->master, name, sizeof name))
		return err_advise(err_from_errno(errno, "pseudo terminal"), "mount devpts on /dev/pts");
	mirror->slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (mirror->slave < 0 || ioctl(mirror->slave, TIOCSWINSZ, &size))
		return err_from_errno(errno, "%s", name);
	return NULL;
}

/* Whatever the last program has made of it. */
static void reset_terminal(const struct mirror *mirror)
{
	struct termios settings;

	if (tcgetattr(mirror->slave, &settings))
		return;
	settings.c_lflag |= ICANON | ECHO | ISIG;
	settings.c_iflag |= ICRNL;
	settings.c_oflag |= OPOST | ONLCR;
	tcsetattr(mirror->slave, TCSANOW, &settings);
}

/* A crash leaves no line unfinished, and the screen as it was: what it shows may say why. */
static void tell_end(struct mirror *mirror, int status)
{
	char line[120];
	int bytes =
		snprintf(line, sizeof line,
			 "\r\n\033[mp2v: the interface ended with status %d: it starts again\r\n", status);

	write_consoles(mirror, line, bytes);
	log_warning(mirror->log, "the interface ended with status %d", status);
}

/* True when it has ended. */
static bool keep_child(struct mirror *mirror, const char *const *argv, bool once)
{
	const struct run_options options = {.flags = RUN_TERMINAL, .log = mirror->log};
	const int stdio[3] = {mirror->slave, mirror->slave, mirror->slave};
	int status = mirror->child ? child_wait(mirror->child, 0) : -1;

	if (status >= 0) {
		child_stop(take_ptr(mirror->child), 0);
		if (once)
			return true;
		tell_end(mirror, status);
		mirror->restart_ns = run_now_ns() + RESTART_NS;
	}
	if (!mirror->child && run_now_ns() >= mirror->restart_ns) {
		CLEANUP_ERR struct err *err = NULL;

		reset_terminal(mirror);
		err = child_start_on(argv, stdio, &options, &mirror->child);
		if (err)
			log_warning(mirror->log, "%s", err_message(err));
		mirror->restart_ns = run_now_ns() + RESTART_NS;
	}
	return false;
}

/* What the program wrote last is still on its way. */
static void drain(struct mirror *mirror)
{
	struct pollfd fd = {.fd = mirror->master, .events = POLLIN};

	while (poll(&fd, 1, 0) > 0 && fd.revents & POLLIN)
		take_output(mirror);
	for (size_t i = 0; i < mirror->console_count; i++)
		flush_queue(&mirror->consoles[i]);
}

static void deinit(struct mirror *mirror)
{
	child_stop(mirror->child, 1000000000);
	for (size_t i = 0; i < mirror->console_count; i++)
		close_console(&mirror->consoles[i]);
	free(mirror->consoles);
	if (mirror->slave >= 0)
		close(mirror->slave);
	if (mirror->master >= 0)
		close(mirror->master);
}

struct err *live_mirror_run(const char *const *argv, const struct strv *consoles, bool once,
			    const struct log *log)
{
	struct mirror mirror = {.master = -1, .slave = -1, .log = log};
	struct err *err;

	mirror.consoles = xcalloc(consoles->count, sizeof *mirror.consoles);
	for (size_t i = 0; i < consoles->count; i++)
		mirror.consoles[mirror.console_count++] = (struct console){consoles->items[i], -1, 0, {0}};
	err = open_terminal(&mirror);
	while (!err) {
		wait_and_copy(&mirror);
		if (keep_child(&mirror, argv, once))
			break;
	}
	drain(&mirror);
	deinit(&mirror);
	return err;
}
