/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/sync/lib-sync-world.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "p2v/base/mem.h"

#define MIB (1ull << 20)

static struct err *open_copy(struct sync_world *world, const char *folder, size_t number, unsigned flags,
			     uint64_t size_bytes, struct blk **ret_blk)
{
	CLEANUP_FREE char *path = xasprintf("%s/disk%zu.raw", folder, number);
	struct blk *blk;

	if (flags & BLK_FILE_CREATE && unlink(path) && errno != ENOENT)
		return err_from_errno(errno, "%s", path);
	TRY(blk_file_open(path, flags, size_bytes, &blk));
	*ret_blk = world->wrap_copy ? world->wrap_copy(blk) : blk;
	return NULL;
}

static struct err *store_make(void *arg, const char *folder, size_t number,
			      const struct checkpoint_disk *disk, struct blk **ret_blk)
{
	return open_copy(arg, folder, number, BLK_FILE_CREATE, disk->size_bytes, ret_blk);
}

static struct err *store_open(void *arg, const char *folder, size_t number,
			      const struct checkpoint_disk *disk, struct blk **ret_blk)
{
	(void)disk;
	return open_copy(arg, folder, number, BLK_FILE_WRITE, 0, ret_blk);
}

static struct err *store_begin(void *arg, struct blk *blk)
{
	struct sync_world *world = arg;

	(void)blk;
	world->begun++;
	return NULL;
}

static struct err *store_finish(void *arg, struct blk *blk)
{
	struct sync_world *world = arg;

	world->finished++;
	return blk_flush(blk);
}

static void write_log(void *arg, enum log_level level, const char *message)
{
	struct sync_world *world = arg;

	(void)message;
	if (level == LOG_LEVEL_WARNING)
		world->warnings++;
}

void sync_world_init(struct sync_world *world)
{
	signal(SIGPIPE, SIG_IGN);
	assert_null(scratch_create("/tmp", "test-sync", &world->scratch));
	assert_null(key_make(&world->key));
	world->log = (struct log){write_log, world, LOG_LEVEL_INFO};
	world->receiver_options.dir = scratch_path(world->scratch);
	world->receiver_options.key = world->key;
	world->receiver_options.store =
		(struct receiver_store){world, store_make, store_open, store_begin, store_finish};
	world->receiver_options.log = &world->log;
	world->receiver_options.reserve_bytes = 1;
	assert_null(receiver_create(&world->receiver_options, &world->receiver));
}

static void wait_for_none(const atomic_uint *count)
{
	const struct timespec pause = {0, 1000000};

	while (*count)
		nanosleep(&pause, NULL);
}

void sync_world_settle(struct sync_world *world)
{
	wait_for_none(&world->connections);
}

void sync_world_restart(struct sync_world *world)
{
	receiver_stop(world->receiver);
	sync_world_settle(world);
	receiver_destroy(world->receiver);
	assert_null(receiver_create(&world->receiver_options, &world->receiver));
}

void sync_world_deinit(struct sync_world *world)
{
	receiver_stop(world->receiver);
	sync_world_settle(world);
	wait_for_none(&world->lines);
	receiver_destroy(world->receiver);
	key_destroy(world->key);
	scratch_destroy(world->scratch);
}

struct connection {
	struct sync_world *world;
	int fd;
};

static void *serve(void *arg)
{
	struct connection *connection = arg;
	struct sync_world *world = connection->world;

	err_free(receiver_serve(world->receiver, connection->fd, "test"));
	free(connection);
	world->connections--;
	return NULL;
}

/* One direction of a line. */
struct line {
	struct sync_world *world;
	int from, to;
	atomic_int *users; /* of both descriptors; the last one closes them */
};

static bool pass(struct line *line, uint8_t *buf, ssize_t bytes)
{
	struct sync_world *world = line->world;
	long long left = atomic_fetch_sub(&world->fault_after_bytes, bytes) - bytes;

	if (left < 0 && world->fault == LINE_CUT)
		return false;
	if (left < 0 && left + bytes >= 0 && world->fault == LINE_FLIP)
		buf[left + bytes] ^= 1;
	return write(line->to, buf, bytes) == bytes;
}

static void *carry(void *arg)
{
	struct line *line = arg;
	struct sync_world *world = line->world;
	uint8_t buf[16384];
	ssize_t got;

	while ((got = read(line->from, buf, sizeof buf)) > 0)
		if (!pass(line, buf, got))
			break;
	shutdown(line->to, got ? SHUT_RDWR : SHUT_WR);
	shutdown(line->from, got ? SHUT_RDWR : SHUT_RD);
	if (atomic_fetch_sub(line->users, 1) == 1) {
		close(line->from);
		close(line->to);
		free(line->users);
	}
	free(line);
	world->lines--;
	return NULL;
}

static void start(void *(*function)(void *), void *arg)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, function, arg), 0);
	pthread_detach(thread);
}

static void start_line(struct sync_world *world, int a, int b)
{
	atomic_int *users = xmalloc(sizeof *users);
	struct line there = {world, a, b, users}, back = {world, b, a, users};

	*users = 2;
	world->lines += 2;
	start(carry, xmemdup(&there, sizeof there));
	start(carry, xmemdup(&back, sizeof back));
}

struct err *sync_world_connect(void *arg, int *ret_fd)
{
	struct sync_world *world = arg;
	struct connection connection = {.world = world};
	int near[2], far[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, near), 0);
	connection.fd = near[1];
	if (world->fault != LINE_SOUND) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, far), 0);
		start_line(world, near[1], far[0]);
		connection.fd = far[1];
	}
	world->connections++;
	start(serve, xmemdup(&connection, sizeof connection));
	*ret_fd = near[0];
	return NULL;
}

struct err *sync_world_send(struct sync_world *world, const struct sender_disk *disks, size_t count,
			    struct sender_options options, struct sender_result *result)
{
	options.key = world->key;
	options.connect = sync_world_connect;
	options.connect_arg = world;
	options.name = "job";
	options.disks = disks;
	options.disk_count = count;
	return sender_run(&options, result);
}

struct channel *sync_world_say_hello(struct sync_world *world, struct message_hello hello)
{
	const struct message message = {.type = WIRE_HELLO, .hello = hello};
	struct channel *channel;
	struct tls *tls;
	int fd;

	assert_null(sync_world_connect(world, &fd));
	assert_null(tls_connect(world->key, fd, fd, SYNC_ANSWER_LIMIT_NS, &tls));
	assert_null(channel_create(tls, "the receiver", &channel));
	channel_set_limits(channel, SYNC_ANSWER_LIMIT_NS, SYNC_ANSWER_LIMIT_NS);
	assert_null(channel_send(channel, &message));
	return channel;
}

bool sync_world_is_equal(struct sync_world *world, size_t number, struct blk *disk)
{
	enum { STEP = 1 << 20 };
	CLEANUP_FREE char *path = xasprintf("%s/job/disk%zu.raw", scratch_path(world->scratch), number);
	CLEANUP_FREE uint8_t *a = xmalloc(STEP), *b = xmalloc(STEP);
	CLEANUP_BLK struct blk *copy = NULL;

	assert_null(blk_file_open(path, 0, 0, &copy));
	if (copy->size_bytes != disk->size_bytes)
		return false;
	for (uint64_t at = 0; at < disk->size_bytes; at += STEP) {
		size_t bytes = disk->size_bytes - at < STEP ? disk->size_bytes - at : STEP;

		assert_null(blk_pread(copy, a, bytes, at));
		assert_null(blk_pread(disk, b, bytes, at));
		if (memcmp(a, b, bytes))
			return false;
	}
	return true;
}

void sync_fill_random(uint8_t *data, size_t bytes, uint64_t seed)
{
	for (size_t i = 0; i < bytes; i++) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		data[i] = seed >> 32;
	}
}

void sync_write_random(struct blk *disk, uint64_t offset, size_t bytes, uint64_t seed)
{
	CLEANUP_FREE uint8_t *data = xmalloc(bytes);

	sync_fill_random(data, bytes, seed * 0x9e3779b97f4a7c15 + 1);
	assert_null(blk_pwrite(disk, data, bytes, offset, 0));
}

struct blk *sync_make_disk(uint64_t seed)
{
	struct blk *disk;
	CLEANUP_FREE char *text = xcalloc(1, 4 * MIB);

	assert_null(blk_mem_create(SYNC_DISK_BYTES, &disk));
	for (uint64_t at = 0; at < 40 * MIB; at += 4 * MIB)
		sync_write_random(disk, at + seed * 4096, 2 * MIB, seed + at);
	for (size_t i = 0; i < 4 * MIB; i++)
		text[i] = "the quick brown fox "[(i * seed + i / 977) % 20];
	assert_null(blk_pwrite(disk, text, 4 * MIB, 18 * MIB, 0));
	sync_write_random(disk, SYNC_DISK_BYTES - 700, 700, seed);
	return disk;
}
