// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A sender that says anything, behind the handshake, on a control connection and
 * two lanes.  Whatever it says, the manifest knows of no block what is not in the
 * copy, and a complete or held job is what its root says; and a machine that has announced
 * itself can be shown.
 */
#include <dirent.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "p2v/base/mem.h"
#include "p2v/base/remove-tree.h"
#include "p2v/sync/announced.h"
#include "p2v/sync/channel.h"
#include "p2v/sync/manifest.h"
#include "p2v/sync/receiver.h"
#include "tests/fuzz/lib-fuzz-exercise.h"
#include "tests/fuzz/lib-fuzz-sync.h"
#include "tests/fuzz/lib-fuzz-target.h"

#define CONNECTIONS 3
#define MAX_COPY_BYTES (8u << 20)
#define MAX_COPIES 8

struct line {
	struct receiver *receiver;
	struct channel *channel; /* the sender's end; NULL: not connected yet */
	int fd;
	pthread_t thread;
};

struct world {
	char *dir;
	struct receiver *receiver;
	struct blk *copies[MAX_COPIES];
	struct line lines[CONNECTIONS];
	struct message *message;
	uint8_t token[WIRE_TOKEN_BYTES], hash_key[WIRE_HASH_KEY_BYTES];
	uint8_t said[sizeof(struct wire_header)]; /* the start of the control connection */
	size_t said_bytes;
	bool is_ready;
};

static struct err *make(void *arg, const char *folder, size_t number, const struct checkpoint_disk *disk,
			struct blk **ret_blk)
{
	struct world *world = arg;

	(void)folder;
	if (number >= MAX_COPIES || disk->size_bytes > MAX_COPY_BYTES)
		return err_refused("too much for this test");
	TRY(blk_mem_create(disk->size_bytes, &world->copies[number]));
	*ret_blk = fuzz_view(world->copies[number], 0);
	return NULL;
}

static struct err *open_copy(void *arg, const char *folder, size_t number, const struct checkpoint_disk *disk,
			     struct blk **ret_blk)
{
	(void)arg, (void)folder, (void)number, (void)disk, (void)ret_blk;
	return err_failed("there was no earlier session");
}

static struct err *leave_it(void *arg, struct blk *blk)
{
	(void)arg, (void)blk;
	return NULL;
}

struct service {
	struct receiver *receiver;
	int fd;
};

static void *serve(void *arg)
{
	struct service *service = arg;

	(void)fuzz_succeeds(receiver_serve(service->receiver, service->fd, "fuzz"));
	free(service);
	return NULL;
}

/* Says HELLO and waits for WELCOME. */
static bool connect_line(struct world *world, unsigned number)
{
	struct line *line = &world->lines[number];
	struct message hello = {
		.type = WIRE_HELLO,
		.hello = {WIRE_VERSION, WIRE_VERSION, number ? WIRE_LANE : WIRE_CONTROL, {0}},
	};
	struct service *service;
	struct tls *tls;
	int fds[2];

	if (line->channel)
		return true;
	service = xcalloc(1, sizeof *service);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		abort();
	*service = (struct service){world->receiver, fds[1]};
	if (pthread_create(&line->thread, NULL, serve, service))
		abort();
	line->fd = fds[0];
	fuzz_must(tls_connect(NULL, fds[0], fds[0], 0, &tls), "connecting");
	fuzz_must(channel_create(tls, "the receiver", &line->channel), "connecting");
	if (number)
		memcpy(hello.hello.token, world->token, sizeof world->token);
	fuzz_must(channel_send(line->channel, &hello), "HELLO");
	if (!fuzz_succeeds(channel_receive(line->channel, CHANNEL_TYPE(WIRE_WELCOME), world->message, NULL)))
		return false;
	if (!number)
		memcpy(world->token, world->message->welcome.token, sizeof world->token);
	return true;
}

/* Whether the receiver has something to answer: it waits for as long as a message is not whole. */
static bool has_said_all(const struct world *world)
{
	struct wire_header header;
	enum wire_type type;
	uint32_t body_bytes;

	if (world->said_bytes < sizeof header)
		return false;
	memcpy(&header, world->said, sizeof header);
	return wire_decode_header(&header, &type, &body_bytes) ||
	       world->said_bytes - sizeof header >= body_bytes;
}

/* A machine that announces itself has no lanes, and is never ready. */
static bool is_announcement(const struct world *world)
{
	return ((const struct wire_header *)world->said)->type == WIRE_ANNOUNCE;
}

/* Lanes are for sessions that have a job. */
static bool wait_until_ready(struct world *world)
{
	if (world->is_ready)
		return true;
	if (!has_said_all(world) || is_announcement(world))
		return false;
	do {
		if (!fuzz_succeeds(channel_receive(world->lines[0].channel,
						   CHANNEL_TYPE(WIRE_READY) | CHANNEL_TYPE(WIRE_ALIVE),
						   world->message, NULL)))
			return false;
	} while (world->message->type != WIRE_READY);
	memcpy(world->hash_key, world->message->ready.hash_key, sizeof world->hash_key);
	world->is_ready = true;
	return true;
}

/* Whole blocks of the smallest size: the record's bytes again and again. */
static void say_content(struct world *world, const struct fuzz_sync_record *record)
{
	CLEANUP_FREE uint8_t *content = xmalloc(WIRE_MIN_BLOCK_BYTES);
	wire_hash hash;
	const struct message data = {
		.type = WIRE_DATA,
		.data = {.block_count = 1,
			 .hashes = &hash,
			 .payload = content,
			 .payload_bytes = WIRE_MIN_BLOCK_BYTES},
	};
	struct message message = data;

	if (record->len_bytes < 3)
		return;
	for (size_t i = 0; i < WIRE_MIN_BLOCK_BYTES; i++)
		content[i] = record->bytes[2 + i % (record->len_bytes - 2)];
	hash_blocks(world->hash_key, content, WIRE_MIN_BLOCK_BYTES, WIRE_MIN_BLOCK_BYTES, &hash);
	message.data.first_block = record->bytes[0];
	message.data.disk = record->bytes[1];
	err_free(channel_send(world->lines[FUZZ_SYNC_LANE_0].channel, &message));
}

static void say_to_control(struct world *world, const struct fuzz_sync_record *record)
{
	for (size_t i = 0; i < record->len_bytes; i++, world->said_bytes++)
		if (world->said_bytes < sizeof world->said)
			world->said[world->said_bytes] = record->bytes[i];
	if (record->len_bytes)
		(void)!send(world->lines[0].fd, record->bytes, record->len_bytes, MSG_NOSIGNAL);
}

/* False: the session has ended, or cannot begin. */
static bool say(struct world *world, const struct fuzz_sync_record *record)
{
	unsigned number = record->where == FUZZ_SYNC_CONTENT ? FUZZ_SYNC_LANE_0 : record->where;

	if (number && (!wait_until_ready(world) || !connect_line(world, number)))
		return false;
	if (record->where == FUZZ_SYNC_CONTENT)
		say_content(world, record);
	else if (!number)
		say_to_control(world, record);
	else if (record->len_bytes)
		(void)!send(world->lines[number].fd, record->bytes, record->len_bytes, MSG_NOSIGNAL);
	return true;
}

/* The lanes first: the end of the control connection is that of all. */
static void hang_up(struct world *world)
{
	for (unsigned i = CONNECTIONS; i-- > 0;) {
		struct line *line = &world->lines[i];
		char forgotten[4096];

		if (!line->channel)
			continue;
		shutdown(line->fd, SHUT_WR);
		while (read(line->fd, forgotten, sizeof forgotten) > 0)
			;
		pthread_join(line->thread, NULL);
		channel_destroy(line->channel);
	}
}

static bool is_whole(const struct checkpoint *job)
{
	return job->complete || job->held_since;
}

static void judge_copy(const struct world *world, const struct checkpoint *job, const char *folder,
		       size_t number, struct root *ret_root)
{
	CLEANUP_FREE char *path = xasprintf("%s/disk%zu.manifest", folder, number);
	const struct checkpoint_disk *disk = &job->disks[number];
	CLEANUP_FREE uint8_t *content = xmalloc(disk->size_bytes);
	CLEANUP_MANIFEST struct manifest *manifest = NULL;
	CLEANUP_FREE wire_hash *known = NULL, *found = NULL;
	uint64_t count, in_doubt = 0;

	fuzz_must(manifest_open(path, disk->size_bytes, disk->block_bytes, &manifest), "the manifest");
	count = manifest_block_count(manifest);
	known = xcalloc(count, sizeof *known);
	found = xcalloc(count, sizeof *found);
	fuzz_must(blk_pread(world->copies[number], content, disk->size_bytes, 0), "the copy");
	hash_blocks(job->hash_key, content, disk->size_bytes, disk->block_bytes, found);
	fuzz_must(manifest_read(manifest, 0, count, known), "the manifest");
	for (uint64_t i = 0; i < count; i++)
		FUZZ_ASSERT(hash_equal(known[i], hash_in_doubt) || hash_equal(known[i], found[i]),
			    "the manifest knows what is not so");
	fuzz_must(manifest_root(manifest, job->hash_key, number, ret_root, &in_doubt), "the root");
	FUZZ_ASSERT(!is_whole(job) || !in_doubt, "complete or held, and in doubt");
}

/* A job whose copies could not all be made has no more to it than its name. */
static void judge_job(const struct world *world, const char *folder)
{
	CLEANUP_CHECKPOINT struct checkpoint job = {0};
	struct root roots[MAX_COPIES], root;
	uint64_t sizes[MAX_COPIES];

	if (!world->is_ready || !fuzz_succeeds(checkpoint_load(folder, &job)))
		return;
	for (size_t i = 0; i < job.disk_count; i++) {
		judge_copy(world, &job, folder, i, &roots[i]);
		sizes[i] = job.disks[i].size_bytes;
	}
	root_of_job(job.hash_key, sizes, roots, job.disk_count, &root);
	FUZZ_ASSERT(!is_whole(&job) || !memcmp(&root, &job.root, sizeof root), "whole with another root");
	FUZZ_ASSERT(!job.complete || !job.held_since, "complete and held");
}

/* Each can be read, says nothing that a terminal obeys, and has no more than whole bundles. */
static void judge_machines(const struct world *world)
{
	CLEANUP_FREE struct announced_entry *entries = NULL;
	size_t count;

	fuzz_must(announced_list(world->dir, &entries, &count), "the machines");
	for (size_t i = 0; i < count; i++) {
		CLEANUP_ANNOUNCED struct announced machine = {0};
		CLEANUP_FREE char *folder = announced_folder(world->dir, entries[i].id);
		CLEANUP_FREE char *part = xasprintf("%s/support.part", folder);

		fuzz_must(announced_load(world->dir, entries[i].id, &machine), "a machine");
		FUZZ_ASSERT(!machine.is_connected, "connected, and nobody is there");
		FUZZ_ASSERT(machine.phase != WIRE_PHASE_SAME, "no phase");
		FUZZ_ASSERT(access(part, F_OK), "a part of a bundle is left");
	}
}

static void judge(const struct world *world)
{
	struct dirent *entry;
	DIR *dir = opendir(world->dir);

	while (dir && (entry = readdir(dir))) {
		CLEANUP_FREE char *folder = xasprintf("%s/%s", world->dir, entry->d_name);

		if (entry->d_name[0] != '.')
			judge_job(world, folder);
	}
	if (dir)
		closedir(dir);
	judge_machines(world);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *parent = getenv("TMPDIR");
	CLEANUP_FREE char *dir = xasprintf("%s/fuzz-receiver.XXXXXX", parent ? parent : "/tmp");
	struct world world = {.dir = mkdtemp(dir), .message = xcalloc(1, sizeof *world.message)};
	const struct receiver_options options = {
		.dir = dir,
		.store = {&world, make, open_copy, leave_it, leave_it},
		.max_lanes = CONNECTIONS - 1,
		.window_bytes = 8 << 20,
		.reserve_bytes = 1,
	};
	struct fuzz_sync_record record;

	if (!world.dir)
		abort();
	fuzz_must(receiver_create(&options, &world.receiver), "the receiver");
	if (connect_line(&world, FUZZ_SYNC_CONTROL))
		while (fuzz_sync_take(&data, &size, &record) && say(&world, &record))
			;
	hang_up(&world);
	judge(&world);
	receiver_destroy(world.receiver);
	for (unsigned i = 0; i < MAX_COPIES; i++)
		err_free(blk_close(world.copies[i]));
	free(world.message);
	remove_tree(dir);
	return 0;
}
