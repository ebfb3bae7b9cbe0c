/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The sender's parts, for sender*.c alone:
 *
 *	sender.c        the control connection, and the lanes' threads
 *	sender-work.c   cuts the disks into pieces of work
 *	sender-lane.c   a lane: read, hash, compare, send
 *	sender-credit.c what a lane has sent and is not acknowledged
 *	sender-read.c   reads from disks that fail here and there
 *	sender-pack.c   compresses where that saves time
 *	sender-limit.c  the rate that the user allows
 *
 * A lane does everything for its piece in one thread, one thing after the other: that reading, hashing,
 * compressing, encrypting and sending overlap comes from there being more lanes than processors.
 */
#ifndef P2V_SYNC_SENDER_IMPL_H
#define P2V_SYNC_SENDER_IMPL_H

#include <pthread.h>
#include <stdatomic.h>
#include <zstd.h>

#include "p2v/sync/channel.h"
#include "p2v/sync/sender.h"

/* sender-work.c */

/* Of one disk: pages that may hold data, or a range that reads as zeros. */
struct work {
	uint32_t disk;
	bool is_zero;
	uint64_t first_block, block_count; /* whole pages, but at the end of the disk */
};

#define WORK_MIN_PAGES 4u /* in one piece, where there is as much in one stretch */
#define WORK_MAX_PAGES 64u

struct work_list;
/* Looks at the disks' extents.  Of fresh disks zeros are no work. */
struct err *work_list_create(const struct sender_options *options, const uint8_t *disk_flags,
			     struct work_list **ret_list) ERR_MUST_CHECK;
void work_list_destroy(struct work_list *list); /* takes NULL */
/* How much of the disks is to be read: whole pages, so that it may be more than they hold. */
uint64_t work_list_read_bytes(const struct work_list *list);
/* False: there is nothing left to do.  From several threads, so many as `lanes` says. */
bool work_list_take(struct work_list *list, unsigned lanes, struct work *ret_work);

/* How much of a disk may hold data. */
struct err *work_count_data(struct blk *blk, uint64_t *ret_bytes) ERR_MUST_CHECK;

/* sender-read.c */

/* Reads, retrying small what cannot be read at once; what cannot be read at all becomes zeros and is added to
 * ret_unreadable. */
struct err *read_with_patience(struct blk *blk, void *buf, size_t len_bytes, uint64_t offset,
			       struct extents *ret_unreadable) ERR_MUST_CHECK;

/* sender-pack.c */

/* Chooses by what it has measured: nanoseconds a byte for compressing and for sending, bytes that come out.
 */
struct packer {
	ZSTD_CCtx *zstd;
	uint8_t *packed;
	double pack_ns, send_ns; /* a byte */
	double ratio;
	unsigned until_probe; /* DATA that are sent raw before the next try */
};
struct err *packer_init(struct packer *packer) ERR_MUST_CHECK;
void packer_deinit(struct packer *packer);
/* The payload of DATA: data itself, or what it became, valid until the next call. */
enum wire_encoding packer_pack(struct packer *packer, const void *data, size_t bytes,
			       const uint8_t **ret_payload, size_t *ret_bytes);
void packer_sent(struct packer *packer, size_t bytes, uint64_t took_ns);

/* sender-limit.c */

struct limiter {
	pthread_mutex_t lock;
	uint64_t bytes_per_second; /* 0: no limit */
	uint64_t next_ns; /* when the line is free */
};
void limiter_wait(struct limiter *limiter, size_t bytes, const atomic_bool *stopping);

/* sender-credit.c */

struct credit {
	struct channel *channel;
	uint32_t window_bytes;
	uint64_t unacknowledged_bytes;
	uint64_t sent_count, durable_count;
	uint32_t *costs; /* of the messages from durable_count on */
	size_t capacity;
};
void credit_deinit(struct credit *credit);
/* Waits until a message of that cost may be sent, and counts it as sent. */
struct err *credit_take(struct credit *credit, uint32_t cost_bytes) ERR_MUST_CHECK;
/* What a DURABLE says. */
struct err *credit_acknowledge(struct credit *credit, uint64_t count) ERR_MUST_CHECK;
/* Takes in the DURABLEs that are there; with `all`, SYNCs and waits for everything. */
struct err *credit_collect(struct credit *credit, bool all) ERR_MUST_CHECK;

/* sender-lane.c */

struct run {
	const struct sender_options *options;
	uint8_t token[WIRE_TOKEN_BYTES];
	uint8_t hash_key[WIRE_HASH_KEY_BYTES];
	uint8_t disk_flags[WIRE_MAX_DISKS];
	struct work_list *work;
	unsigned lane_count;
	struct limiter limiter;
	atomic_bool stopping;
	pthread_mutex_t lock; /* what follows */
	pthread_cond_t changed;
	unsigned lanes_running;
	struct channel *lanes[WIRE_MAX_LANES]; /* to interrupt them */
	struct err *err; /* the first */
	struct root *roots; /* one a disk */
	struct sender_result *result;
};

uint32_t sender_block_bytes(const struct sender_options *options);

/* Runs lane `number` from the connection on to its end. */
struct err *sender_lane_run(struct run *run, unsigned number) ERR_MUST_CHECK;

/* HELLO and WELCOME on a new connection. */
struct err *sender_connect(const struct sender_options *options, enum wire_purpose purpose,
			   const uint8_t *token, struct message *message, struct channel **ret_channel)
	ERR_MUST_CHECK;

#endif
