/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/sync/lib-live-disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "tests/sync/lib-sync-world.h"

static void mark(struct live_server *server, size_t disk, uint64_t offset, size_t bytes)
{
	for (uint64_t at = offset / LIVE_CELL_BYTES; at <= (offset + bytes - 1) / LIVE_CELL_BYTES; at++)
		server->cells[disk][at] = 1;
}

static void write_somewhere(struct live_server *server, uint64_t *random)
{
	size_t disk = *random % LIVE_DISKS, bytes = 512 << (*random >> 8) % 9;
	uint64_t cells = server->span_cells ?: LIVE_CELLS, offset;

	*random = *random * 6364136223846793005ull + 1442695040888963407ull;
	offset = (*random >> 20) % (cells * LIVE_CELL_BYTES / 512) * 512;
	if (offset >= LIVE_DISK_BYTES)
		offset = 0;
	if (bytes > LIVE_DISK_BYTES - offset)
		bytes = LIVE_DISK_BYTES - offset;
	sem_wait(&server->gate);
	mark(server, disk, offset, bytes);
	if (*random >> 60)
		sync_write_random(server->disks[disk], offset, bytes, *random);
	else
		assert_null(blk_zero(server->disks[disk], bytes, offset, 0));
	mark(server, disk, offset, bytes);
	sem_post(&server->gate);
}

static void *write_all_the_time(void *arg)
{
	struct live_server *server = arg;
	uint64_t random = 88172645463325252ull;

	while (!server->ends) {
		const struct timespec pause = {.tv_nsec = server->pause_us * 1000};

		write_somewhere(server, &random);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

/* What is lost is noticed at once, or at the next take of that disk. */
static bool tell_certain(struct live_server *server, size_t disk, bool is_fault)
{
	unsigned lost_at = server->lost_at[disk];

	if (server->fault == LIVE_KNOWS_NOTHING)
		return false;
	if (server->fault == LIVE_LOSES)
		return !is_fault;
	if (server->fault == LIVE_LOSES_LATE && lost_at && server->takes > lost_at) {
		server->lost_at[disk] = 0;
		return false;
	}
	return true;
}

static struct err *take_changes(void *arg, size_t disk, struct extents *ret_changed, bool *ret_is_certain)
{
	struct live_server *server = arg;
	bool is_fault = ++server->takes == server->fault_take;

	if (is_fault)
		server->lost_at[disk] = server->takes;
	for (uint64_t i = 0; i < LIVE_CELLS; i++)
		if (atomic_exchange(&server->cells[disk][i], 0) &&
		    (server->fault == LIVE_SOUND || !is_fault || server->fault == LIVE_KNOWS_NOTHING))
			extents_add(ret_changed, i * LIVE_CELL_BYTES, (i + 1) * LIVE_CELL_BYTES);
	*ret_is_certain = tell_certain(server, disk, is_fault);
	if (server->is_frozen && !disk && server->own_writes) {
		server->own_writes--;
		sync_write_random(server->disks[0], 512, 512, server->takes);
		mark(server, 0, 512, 512);
	}
	return NULL;
}

static struct err *find_used(void *arg, size_t disk, struct extents *ret_used)
{
	struct live_server *server = arg;

	extents_unite(ret_used, &server->used[disk]);
	if (!ret_used->count)
		extents_add(ret_used, 0, LIVE_DISK_BYTES);
	return NULL;
}

static enum live_order wait_for_order(void *arg, const struct live_state *state, uint64_t limit_ns)
{
	struct live_server *server = arg;
	const struct timespec pause = {.tv_nsec = (long)(limit_ns % 1000000000)};

	server->state = *state;
	if (server->end_pass && state->pass >= server->end_pass)
		return LIVE_END;
	if (server->cut_over_pass && state->pass >= server->cut_over_pass)
		return LIVE_CUT_OVER;
	nanosleep(&pause, NULL);
	return LIVE_GO_ON;
}

static struct err *prepare(void *arg)
{
	struct live_server *server = arg;

	server->prepares++;
	return NULL;
}

static struct err *freeze(void *arg)
{
	struct live_server *server = arg;

	if (++server->freezes <= server->freezes_that_fail)
		return err_failed("somebody else holds it frozen");
	sem_wait(&server->gate);
	server->is_frozen = true;
	return NULL;
}

static struct err *check(void *arg)
{
	struct live_server *server = arg;

	if (++server->checks != server->writes_while_frozen)
		return NULL;
	sync_write_random(server->disks[0], 4096, 512, server->checks);
	return err_failed("something was written");
}

static struct err *check_frozen(void *arg)
{
	struct live_server *server = arg;

	return server->is_frozen ? NULL : err_failed("it is not frozen");
}

static void thaw(void *arg, const struct err *why)
{
	struct live_server *server = arg;

	assert_non_null(why);
	server->thaws++;
	if (server->is_frozen)
		sem_post(&server->gate);
	server->is_frozen = false;
}

void live_server_init(struct live_server *server, uint64_t seed)
{
	for (size_t i = 0; i < LIVE_DISKS; i++) {
		assert_null(blk_mem_create(LIVE_DISK_BYTES, &server->disks[i]));
		for (uint64_t at = 0; at < 12 << 20; at += 4 << 20)
			sync_write_random(server->disks[i], at + i * 4096, 2 << 20, seed + at + i);
	}
	sem_init(&server->gate, 0, 1);
	server->pause_us = 200;
	server->source = (struct live_source){
		.arg = server,
		.take_changes = take_changes,
		.find_used = find_used,
		.wait = wait_for_order,
		.prepare = prepare,
		.freeze = freeze,
		.check_frozen = check_frozen,
		.check = check,
		.thaw = thaw,
	};
	assert_int_equal(pthread_create(&server->writer, NULL, write_all_the_time, server), 0);
}

void live_server_deinit(struct live_server *server)
{
	if (server->is_frozen)
		sem_post(&server->gate);
	server->ends = true;
	pthread_join(server->writer, NULL);
	sem_destroy(&server->gate);
	for (size_t i = 0; i < LIVE_DISKS; i++) {
		err_free(blk_close(server->disks[i]));
		extents_deinit(&server->used[i]);
	}
}
