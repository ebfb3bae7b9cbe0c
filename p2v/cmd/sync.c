/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the verbs of sync share: see sync.h. */
#include "p2v/cmd/sync.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <termios.h>

#include "p2v/base/mem.h"
#include "p2v/sync/wire.h"
#include "vhdx/vhdx.h"

#define CONNECT_LIMIT_MS 15000
#define MAX_KEY_LINE_BYTES 128

void sync_tune_socket(int fd)
{
	int on = 1;
	unsigned limit_ms = WIRE_SILENCE_SECONDS * 1000;

	/* Answers to small questions must not wait for more to say; the rest finds a dead line. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit_ms, sizeof limit_ms);
}

/* A number must work without any name service, and where no interface has an address of its family yet. */
static struct err *find(const struct sync_address *address, int flags, struct addrinfo **ret_found)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
				 .ai_flags = flags | AI_NUMERICHOST | AI_NUMERICSERV};
	int result = getaddrinfo(address->host, address->port, &hints, ret_found);

	if (result == EAI_NONAME) {
		hints.ai_flags = flags | AI_ADDRCONFIG | AI_NUMERICSERV;
		result = getaddrinfo(address->host, address->port, &hints, ret_found);
	}

	if (!result)
		return NULL;
	return err_advise(err_failed("%s: %s", address->host ?: "this machine", gai_strerror(result)),
			  "see that the name is right, or give the address");
}

/* 0, or an errno. */
static int connect_in_time(int fd, const struct addrinfo *to)
{
	struct pollfd wait = {.fd = fd, .events = POLLOUT};
	int error = 0;
	socklen_t bytes = sizeof error;

	if (!connect(fd, to->ai_addr, to->ai_addrlen))
		return 0;
	if (errno != EINPROGRESS)
		return errno;
	if (poll(&wait, 1, CONNECT_LIMIT_MS) <= 0)
		return ETIMEDOUT;
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes) ? errno : error;
}

struct err *sync_connect(const struct sync_address *address, int *ret_fd)
{
	struct addrinfo *found;
	int error = EADDRNOTAVAIL;

	TRY(find(address, 0, &found));
	for (const struct addrinfo *at = found; at; at = at->ai_next) {
		CLEANUP_FD int fd = socket(at->ai_family, at->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

		error = fd < 0 ? errno : connect_in_time(fd, at);
		if (error)
			continue;
		sync_tune_socket(fd);
		*ret_fd = take_fd(&fd);
		break;
	}
	freeaddrinfo(found);
	if (!error)
		return NULL;
	return err_advise(err_from_errno(error, "%s port %s", address->host ?: "this machine", address->port),
			  "see that 'p2v receive' runs there and that no firewall is in between");
}

struct err *sync_listen(const struct sync_address *address, int *ret_fd)
{
	struct addrinfo *found;
	int on = 1, off = 0, error = EADDRNOTAVAIL;

	TRY(find(address, AI_PASSIVE, &found));
	/* IPv6 first, if there is any: it takes IPv4 in as well. */
	for (int want_v4 = 0; want_v4 < 2 && error; want_v4++) {
		for (const struct addrinfo *at = found; at && error; at = at->ai_next) {
			CLEANUP_FD int fd = -1;

			if ((at->ai_family == AF_INET) != want_v4)
				continue;
			fd = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, 0);
			if (fd < 0)
				continue;
			setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
			if (at->ai_family == AF_INET6)
				setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
			error = bind(fd, at->ai_addr, at->ai_addrlen) || listen(fd, 64) ? errno : 0;
			if (!error)
				*ret_fd = take_fd(&fd);
		}
	}
	freeaddrinfo(found);
	if (!error)
		return NULL;
	if (error == EADDRNOTAVAIL)
		return err_advise(
			err_from_errno(error, "%s", address->host ?: "this machine"),
			"name an address of this machine with --listen, or only a port: --listen :%s",
			address->port);
	return err_advise(err_from_errno(error, "port %s", address->port),
			  "name another port with --listen, or end what uses this one");
}

static struct err *make_copy(void *arg, const char *folder, size_t number, const struct checkpoint_disk *disk,
			     struct blk **ret_blk)
{
	CLEANUP_FREE char *path = xasprintf("%s/" SYNC_DISK_FILE, folder, number);
	const struct vhdx_create_options options = {
		.size_bytes = disk->size_bytes,
		.logical_sector_bytes = disk->logical_sector_bytes,
		.physical_sector_bytes = disk->physical_sector_bytes,
	};

	if (unlink(path) && errno != ENOENT)
		return err_from_errno(errno, "%s", path);
	return vhdx_create(path, &options, arg, ret_blk);
}

static struct err *open_copy(void *arg, const char *folder, size_t number, const struct checkpoint_disk *disk,
			     struct blk **ret_blk)
{
	CLEANUP_FREE char *path = xasprintf("%s/" SYNC_DISK_FILE, folder, number);

	(void)disk;
	return err_advise(vhdx_open(path, VHDX_OPEN_WRITE | VHDX_OPEN_INCOMPLETE, arg, ret_blk),
			  "remove the job's folder, and send all of it again");
}

static struct err *begin_copy(void *arg, struct blk *blk)
{
	(void)arg;
	return vhdx_mark_incomplete(blk);
}

static struct err *finish_copy(void *arg, struct blk *blk)
{
	(void)arg;
	return vhdx_finish(blk);
}

/* The sender may say anything: what is kept is what we understand of it, and the names of files are ours. */
static struct err *describe_machine(void *arg, const char *folder, const struct checkpoint *job,
				    const char *text, size_t bytes)
{
	CLEANUP_FREE char *path = xasprintf("%s/" SYNC_MACHINE_FILE, folder);
	CLEANUP_JSON json_t *json = json_loadb(text, bytes, 0, NULL), *known = NULL;
	CLEANUP_MACHINE struct machine machine = {0};

	(void)arg;
	if (!json)
		return err_refused("what the sender says of the machine is no JSON");
	TRY(err_wrap(machine_from_json(json, &machine), "what the sender says of the machine"));
	if (machine.disk_count != job->disk_count)
		return err_refused("what the sender says of the machine is not of this job's disks");
	for (size_t i = 0; i < machine.disk_count; i++) {
		free(machine.disks[i].file);
		machine.disks[i].file = xasprintf(SYNC_DISK_FILE, i);
	}
	known = machine_to_json(&machine);
	return json_write_file(path, known);
}

struct receiver_store sync_vhdx_store(const struct log *log)
{
	return (struct receiver_store){(void *)log, make_copy,	 open_copy,
				       begin_copy,  finish_copy, describe_machine};
}

char *sync_machine_name(void)
{
	char name[WIRE_MAX_NAME_BYTES + 1] = "";

	/* A system that was not given one is called "(none)". */
	if (gethostname(name, sizeof name - 1) || !wire_is_job_name(name, strlen(name)))
		return xstrdup("machine");
	return xstrdup(name);
}

static void end_on_signal(int signal_number)
{
	static const char message[] = "\np2v: interrupted: what was acknowledged is safe\n"
				      "p2v: the same command goes on where this one was\n";

	(void)!write(STDERR_FILENO, message, sizeof message - 1);
	signal(signal_number, SIG_DFL);
	raise(signal_number);
}

void sync_tell_of_interruptions(void)
{
	signal(SIGINT, end_on_signal);
	signal(SIGTERM, end_on_signal);
}

void sync_forbid_core_files(void)
{
	const struct rlimit none = {0, 0};

	(void)setrlimit(RLIMIT_CORE, &none);
	(void)prctl(PR_SET_DUMPABLE, 0);
}

struct err *sync_ask_key(struct key **ret_key)
{
	char line[MAX_KEY_LINE_BYTES];
	struct termios old, quiet;
	struct err *err;
	char *got;

	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &old))
		return err_advise(err_usage("the pairing key is missing"),
				  "name it with --key-file; 'p2v receive' shows it");
	quiet = old;
	quiet.c_lflag &= ~ECHO;
	fputs("pairing key, as the receiver shows it: ", stderr);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	got = fgets(line, sizeof line, stdin);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
	fputc('\n', stderr);
	err = got ? key_parse(line, ret_key) : err_usage("the pairing key is missing");
	explicit_bzero(line, sizeof line);
	return err;
}
