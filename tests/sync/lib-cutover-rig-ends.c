/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The two ends of a cutover, each a process. */
#include "tests/sync/lib-cutover-rig-ends.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "p2v/sync/receiver.h"
#include "p2v/sync/sender.h"
#include "tests/base/lib-must.h"
#include "tests/sync/lib-live-disk.h"

#define NS_PER_MS 1000000ull
#define COMPARED_BYTES (64u << 10)

struct cutover_facts *cutover_share_facts(const char *dir, const struct cutover_facts *facts)
{
	CLEANUP_FREE char *path = xasprintf("%s/" CUTOVER_FACTS_FILE, dir);
	CLEANUP_FD int fd = open(path, O_RDWR | O_CLOEXEC | (facts ? O_CREAT | O_EXCL : 0), 0600);
	struct cutover_facts *shared;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, sizeof *shared), 0);
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(shared, MAP_FAILED);
	if (facts)
		*shared = *facts;
	return shared;
}

static struct sockaddr_un address_of(const char *dir, const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int bytes = snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", dir, name);

	assert_true(bytes > 0 && (size_t)bytes < sizeof address.sun_path);
	return address;
}

int cutover_listen(const char *dir, const char *name)
{
	struct sockaddr_un address = address_of(dir, name);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	unlink(address.sun_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(fd, 64), 0);
	return fd;
}

int cutover_connect(const char *dir, const char *name)
{
	struct sockaddr_un address = address_of(dir, name);
	CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return connect(fd, (struct sockaddr *)&address, sizeof address) ? -1 : take_fd(&fd);
}

/* What both ends need. */
struct end {
	const char *dir;
	struct cutover_facts *facts;
	struct key *key;
	struct log log;
};

static void write_line(void *arg, enum log_level level, const char *message)
{
	(void)level;
	printf("%s: %s\n", (const char *)arg, message);
	fflush(stdout);
}

static void end_init(struct end *end, const char *role, const char *dir)
{
	CLEANUP_FREE char *key_path = xasprintf("%s/" CUTOVER_KEY_FILE, dir);

	signal(SIGPIPE, SIG_IGN);
	end->dir = dir;
	end->facts = cutover_share_facts(dir, NULL);
	end->log = (struct log){write_line, (void *)role, LOG_LEVEL_INFO};
	must(key_read_file(key_path, &end->key));
}

/*
 * The receiver.
 */

static struct err *open_copy(const char *folder, size_t number, unsigned flags, uint64_t size_bytes,
			     struct blk **ret_blk)
{
	CLEANUP_FREE char *path = xasprintf("%s/disk%zu.raw", folder, number);

	if (flags & BLK_FILE_CREATE && unlink(path) && errno != ENOENT)
		return err_from_errno(errno, "%s", path);
	return blk_file_open(path, flags, size_bytes, ret_blk);
}

static struct err *store_make(void *arg, const char *folder, size_t number,
			      const struct checkpoint_disk *disk, struct blk **ret_blk)
{
	(void)arg;
	return open_copy(folder, number, BLK_FILE_CREATE, disk->size_bytes, ret_blk);
}

static struct err *store_open(void *arg, const char *folder, size_t number,
			      const struct checkpoint_disk *disk, struct blk **ret_blk)
{
	(void)arg, (void)disk;
	return open_copy(folder, number, BLK_FILE_WRITE, 0, ret_blk);
}

static struct err *store_begin(void *arg, struct blk *blk)
{
	struct end *end = arg;

	(void)blk;
	end->facts->is_complete = false;
	return NULL;
}

static struct err *store_finish(void *arg, struct blk *blk)
{
	struct end *end = arg;

	end->facts->is_complete = true;
	if (!end->facts->is_frozen)
		end->facts->violations++;
	return blk_flush(blk);
}

struct visit {
	struct end *end;
	struct receiver *receiver;
	int fd;
};

static void *serve(void *arg)
{
	CLEANUP_FREE struct visit *visit = arg;

	err_free(receiver_serve(visit->receiver, visit->fd, "sender"));
	visit->end->facts->visits--;
	return NULL;
}

static void be_receiver(struct end *end)
{
	const struct receiver_options options = {
		.dir = end->dir,
		.key = end->key,
		.store = {end, store_make, store_open, store_begin, store_finish, NULL},
		.log = &end->log,
		.reserve_bytes = 1,
	};
	int listener = cutover_listen(end->dir, CUTOVER_RECEIVER_SOCKET);
	struct receiver *receiver;

	must(receiver_create(&options, &receiver));
	end->facts->visits = 0;
	end->facts->listens = true;
	for (;;) {
		struct visit visit = {end, receiver, accept4(listener, NULL, NULL, SOCK_CLOEXEC)};
		pthread_t thread;

		end->facts->visits++;
		if (visit.fd < 0 || pthread_create(&thread, NULL, serve, xmemdup(&visit, sizeof visit)))
			abort();
		pthread_detach(thread);
	}
}

/*
 * The sender.
 */

struct server {
	struct end *end;
	struct live_server disks;
	struct live_source plain; /* what these do by themselves */
};

static struct err *freeze(void *arg)
{
	struct server *server = arg;
	struct cutover_facts *facts = server->end->facts;

	TRY(server->plain.freeze(&server->disks));
	facts->fate = CUTOVER_OPEN;
	facts->is_frozen = true;
	return NULL;
}

static struct err *check_frozen(void *arg)
{
	const struct server *server = arg;

	return server->end->facts->fate == CUTOVER_EXPIRED ? err_failed("frozen for too long") : NULL;
}

static struct err *check(void *arg)
{
	struct server *server = arg;

	TRY(check_frozen(server));
	return server->plain.check(&server->disks);
}

static void thaw(void *arg, const struct err *why)
{
	struct server *server = arg;
	struct cutover_facts *facts = server->end->facts;

	facts->step = 0;
	facts->thaws++;
	facts->is_frozen = false;
	if (facts->is_complete)
		facts->violations++;
	server->plain.thaw(&server->disks, why);
}

static struct err *before_commit(void *arg)
{
	struct server *server = arg;

	server->end->facts->step = 1;
	return check(server);
}

static struct err *keep(void *arg)
{
	struct server *server = arg;
	enum cutover_fate open = CUTOVER_OPEN;

	TRY(check(server));
	if (!atomic_compare_exchange_strong(&server->end->facts->fate, &open, CUTOVER_KEPT))
		return err_failed("frozen for too long");
	server->end->facts->step = 2;
	return NULL;
}

static struct err *check_kept(void *arg)
{
	const struct server *server = arg;

	return server->end->facts->is_frozen ? NULL : err_failed("thawed by somebody else");
}

static struct err *take_changes(void *arg, size_t disk, struct extents *ret_changed, bool *ret_is_certain)
{
	struct server *server = arg;

	return server->plain.take_changes(&server->disks, disk, ret_changed, ret_is_certain);
}

static struct err *find_used(void *arg, size_t disk, struct extents *ret_used)
{
	struct server *server = arg;

	return server->plain.find_used(&server->disks, disk, ret_used);
}

static enum live_order wait_for_order(void *arg, const struct live_state *state, uint64_t limit_ns)
{
	struct server *server = arg;

	return server->plain.wait(&server->disks, state, limit_ns);
}

static struct err *prepare(void *arg)
{
	struct server *server = arg;

	return server->plain.prepare(&server->disks);
}

static struct err *connect_to(void *arg, int *ret_fd)
{
	const struct end *end = arg;

	*ret_fd = cutover_connect(end->dir, CUTOVER_SENDER_SOCKET);
	return *ret_fd < 0 ? err_from_errno(errno, "the line") : NULL;
}

static bool is_equal(const struct server *server, size_t number)
{
	CLEANUP_FREE char *path = xasprintf("%s/job/disk%zu.raw", server->end->dir, number);
	uint8_t ours[COMPARED_BYTES], theirs[COMPARED_BYTES];
	struct blk *disk = server->disks.disks[number];
	CLEANUP_BLK struct blk *copy = NULL;

	must(blk_file_open(path, 0, 0, &copy));
	for (uint64_t at = 0; at < disk->size_bytes; at += COMPARED_BYTES) {
		size_t bytes =
			disk->size_bytes - at < COMPARED_BYTES ? disk->size_bytes - at : COMPARED_BYTES;

		must(blk_pread(disk, ours, bytes, at));
		must(blk_pread(copy, theirs, bytes, at));
		if (memcmp(ours, theirs, bytes))
			return false;
	}
	return true;
}

/* As p2v send does; its status. */
static int send_until_done(struct server *server, const struct sender_options *options)
{
	const struct cutover_facts *facts = server->end->facts;

	for (;;) {
		CLEANUP_SENDER_RESULT struct sender_result result = {0};
		CLEANUP_ERR struct err *err = sender_run(options, &result);

		if (!err)
			return 0;
		log_info(&server->end->log, "%s", err_message(err));
		if (facts->fate == CUTOVER_KEPT)
			return err_kind(err) == ERR_REFUSED ? ERR_REFUSED : 99;
		thaw(server, err);
		if (err_kind(err) != ERR_FAILED)
			return err_kind(err);
		nanosleep(&(struct timespec){.tv_nsec = 20 * NS_PER_MS}, NULL);
	}
}

static int be_sender(struct end *end)
{
	static struct server server;
	const struct live_source source = {
		.arg = &server,
		.take_changes = take_changes,
		.find_used = find_used,
		.wait = wait_for_order,
		.prepare = prepare,
		.freeze = freeze,
		.check_frozen = check_frozen,
		.check = check,
		.thaw = thaw,
		.keep = end->facts->thaws_after_commit ? NULL : keep,
		.check_kept = check_kept,
	};
	const struct live_options live = {
		.source = &source,
		.downtime_ns = 20000 * NS_PER_MS,
		.freeze_limit_ns = 60000 * NS_PER_MS,
		.pause_ns = 5 * NS_PER_MS,
		.patience_ns = end->facts->patience_ms * NS_PER_MS,
		.cuts_over = true,
	};
	struct sender_options options = {
		.key = end->key,
		.connect = connect_to,
		.connect_arg = end,
		.name = "job",
		.run = "the only one",
		.disk_count = LIVE_DISKS,
		.lanes = 2,
		.before_commit = before_commit,
		.before_commit_arg = &server,
		.live = &live,
		.log = &end->log,
	};
	struct sender_disk disks[LIVE_DISKS];
	int status;

	server.end = end;
	live_server_init(&server.disks, 1);
	server.plain = server.disks.source;
	for (size_t i = 0; i < LIVE_DISKS; i++)
		disks[i] = (struct sender_disk){server.disks.disks[i], i ? "b" : "a"};
	options.disks = disks;
	status = send_until_done(&server, &options);
	end->facts->is_equal = !status && is_equal(&server, 0) && is_equal(&server, 1);
	return status;
}

void cutover_be_child(int argc, char **argv)
{
	struct end end;

	if (argc != 3)
		return;
	end_init(&end, argv[1], argv[2]);
	if (!strcmp(argv[1], "receiver"))
		be_receiver(&end);
	/* Threads write to its disks still. */
	_exit(be_sender(&end));
}
