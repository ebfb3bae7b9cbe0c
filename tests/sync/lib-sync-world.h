/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A receiver in a scratch folder, whose copies are raw files, and connections to it over socket pairs, by way
 * of a line that can be cut, or turn over a bit, after so many bytes.
 */
#ifndef TESTS_SYNC_LIB_SYNC_WORLD_H
#define TESTS_SYNC_LIB_SYNC_WORLD_H

#include <pthread.h>
#include <stdatomic.h>

#include "p2v/base/scratch.h"
#include "p2v/sync/channel.h"
#include "p2v/sync/receiver.h"
#include "p2v/sync/sender.h"

enum line_fault { LINE_SOUND, LINE_CUT, LINE_FLIP };

struct sync_world {
	struct scratch *scratch;
	struct key *key;
	struct receiver_options receiver_options;
	struct receiver *receiver;
	struct log log;
	atomic_uint warnings; /* that the receiver has logged */
	atomic_uint begun; /* copies that it has begun to change */
	atomic_uint finished; /* copies that the receiver has completed */
	_Atomic enum line_fault fault;
	atomic_llong fault_after_bytes; /* of all connections together */
	/* What stands between the store and the copy: NULL, or takes the copy and gives what is used instead.
	 */
	struct blk *(*wrap_copy)(struct blk *copy);
	atomic_uint connections; /* that are served */
	atomic_uint lines; /* directions of them that are carried: nobody waits for these but deinit */
};

#define CLEANUP_WORLD CLEANUP(sync_world_deinit)

/* Asserts that it works; deinit waits for all connections to end. */
void sync_world_init(struct sync_world *world);
void sync_world_deinit(struct sync_world *world);

/* The receiver ends and another one begins, in the same folder. */
void sync_world_restart(struct sync_world *world);

/* Waits until no connection is served. */
void sync_world_settle(struct sync_world *world);

/* For struct sender_options; arg is the world. */
struct err *sync_world_connect(void *arg, int *ret_fd);

/* Sends the disks as job "job" with the options given, of which key, connect, name and disks are set here. */
struct err *sync_world_send(struct sync_world *world, const struct sender_disk *disks, size_t count,
			    struct sender_options options, struct sender_result *result);

#define SYNC_ANSWER_LIMIT_NS 30000000000ull
/* A connection made by hand: the handshake and a hello, which the receiver has not answered yet. */
struct channel *sync_world_say_hello(struct sync_world *world, struct message_hello hello);

/* Whether the copy of that number in "job" has the content of the disk. */
bool sync_world_is_equal(struct sync_world *world, size_t number, struct blk *disk);

/* Bytes that are the same for the same seed, and do not compress. */
void sync_fill_random(uint8_t *data, size_t bytes, uint64_t seed);
void sync_write_random(struct blk *disk, uint64_t offset, size_t bytes, uint64_t seed);

/* A disk in memory that ends in a short block: half of it random, some of it text, the rest zeros. */
#define SYNC_DISK_BYTES ((40ull << 20) + 512)
struct blk *sync_make_disk(uint64_t seed);

#endif
