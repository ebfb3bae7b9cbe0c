/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The sender's parts, for sender*.c alone:
 *
 *	sender.c        the control connection, and the lanes' threads
 *	sender-work.c   cuts the disks into pieces of work
 *	sender-lane.c   a lane: read, hash, compare, send
 *	sender-changed.c  the same for what has changed of pages that were brought over before
 *	sender-live.c   passes over disks that are in use
 *	sender-cutover.c  the end of them: frozen, the rest, the commit
 *	sender-commit.c the end: the receiver completes the job
 *	sender-credit.c what a lane has sent and is not acknowledged
 *	sender-read.c   reads from disks that fail here and there
 *	sender-pack.c   compresses where that saves time
 *	sender-limit.c  the rate that the user allows
 *	sender-gentle.c keeps out of the way of a server that works
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

/* Of one disk: pages that may hold data, pages some blocks of which may have changed since they were brought
 * over, or a range that reads as zeros. */
struct work {
	uint32_t disk;
	bool is_zero, is_changed;
	uint64_t first_block, block_count; /* whole pages, but at the end of the disk */
};

#define WORK_MIN_PAGES 4u /* in one piece, where there is as much in one stretch */
#define WORK_MAX_PAGES 64u
#define WORK_MAX_TAKEN 64u /* pieces at once */

/* What is brought over in one pass.  A disk is added once, by one of three: */
struct work_list;
struct work_list *work_list_create(uint32_t block_bytes);
/* What it has by its extents.  Of fresh disks zeros are no work. */
struct err *work_list_add_disk(struct work_list *list, uint32_t disk, struct blk *blk, unsigned disk_flags)
	ERR_MUST_CHECK;
/* What is used; the rest is zeros. */
void work_list_add_used(struct work_list *list, uint32_t disk, uint64_t size_bytes,
			const struct extents *used, unsigned disk_flags);
/* Whole blocks that may have changed. */
void work_list_add_changed(struct work_list *list, uint32_t disk, uint64_t size_bytes,
			   const struct extents *changed);
void work_list_destroy(struct work_list *list); /* takes NULL */
/* How much of the disks is to be read: whole pages, so that it may be more than they hold. */
uint64_t work_list_read_bytes(const struct work_list *list);
/* How many pieces there were to take: one, or several that have changed; 0: there is nothing left to do.
 * From several threads, so many as `lanes` says. */
size_t work_list_take(struct work_list *list, unsigned lanes, struct work ret_works[WORK_MAX_TAKEN]);

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

/* sender-gentle.c */

struct run;

/* Of a thread. */
struct gentle {
	bool is_gentle;
	int io_priority, niceness; /* when it is not */
};
/* For the thread that calls, as the others. */
void gentle_init(struct gentle *gentle);
void gentle_set(struct gentle *gentle, bool is_gentle);
/* After a read that took so long: pauses, as the run's level says. */
void gentle_pause(struct run *run, uint64_t took_ns);
uint64_t gentle_pause_ns(unsigned level, uint64_t took_ns);

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
	unsigned lane_count;
	struct limiter limiter;
	atomic_bool stopping;
	atomic_bool is_urgent; /* the server is frozen: nothing may hold us back */
	atomic_uint hold_back; /* as live_source's hold_back() says */
	atomic_ullong held_ns; /* of this pass, by all lanes */
	pthread_mutex_t lock; /* what follows */
	pthread_cond_t changed;
	unsigned lanes_running;
	struct channel *lanes[WIRE_MAX_LANES]; /* to interrupt them */
	struct err *err; /* the first */
	struct root *roots; /* one a disk */
	struct sender_result *result;
	/* The pass: lanes begin it when its number rises, and do not touch what is theirs of it afterwards.
	 */
	struct work_list *work;
	const struct extents *blocks_changed; /* one a disk: which blocks of pages that have */
	struct progress *progress;
	unsigned pass_number;
	unsigned lanes_in_pass;
	bool is_last_pass; /* lanes end behind it */
};

struct lane {
	struct run *run;
	struct channel *channel;
	struct credit credit;
	struct packer packer;
	struct gentle gentle;
	uint32_t block_bytes;
	struct page *pages; /* the first `asked` wait for their answers, in this order */
	size_t page_capacity, asked;
	struct message *message; /* received */
	unsigned pass_number;
	struct root *roots; /* one a disk: what this lane's pages of this pass change */
	uint64_t read_bytes, content_bytes; /* that are not in the result yet */
	struct extents *unreadable; /* one a disk */
	wire_hash *theirs; /* of changed pages, that are asked about at once */
};

/* A page that is being worked on. */
struct page {
	uint32_t disk;
	uint64_t number, first_block;
	size_t block_count, bytes;
	uint8_t *content;
	wire_hash hashes[WIRE_PAGE_BLOCKS];
	wire_hash hash;
	wire_hash theirs[WIRE_PAGE_BLOCKS]; /* what the receiver has of its blocks */
};
/* Makes it the one of that index in the piece of work. */
void lane_set_page(const struct lane *lane, const struct work *work, size_t index, struct page *page);

/* Asks for hashes; the answers come in the same order. */
struct err *lane_ask(struct lane *lane, const struct message_query *query) ERR_MUST_CHECK;
/* Takes in what the receiver acknowledges before it answers. */
struct err *lane_take_answer(struct lane *lane, const struct message_query *query, wire_hash *ret_hashes)
	ERR_MUST_CHECK;
/* Reads blocks of the page, and hashes them. */
struct err *lane_read_blocks(struct lane *lane, struct page *page, size_t index, size_t count) ERR_MUST_CHECK;
/* Sends the blocks that have other hashes than theirs; all of these have been read. */
struct err *lane_send_differences(struct lane *lane, const struct page *page) ERR_MUST_CHECK;

/* Runs lane `number` from the connection on to its end. */
struct err *sender_lane_run(struct run *run, unsigned number) ERR_MUST_CHECK;

/* sender-changed.c */

/* Brings over what has changed in these pieces. */
struct err *lane_do_changed(struct lane *lane, const struct work *works, size_t count) ERR_MUST_CHECK;
/* Room for the hashes of all blocks that are asked for at once. */
#define CHANGED_MAX_BLOCKS (2 * WORK_MAX_PAGES * WIRE_PAGE_BLOCKS)

/* sender-live.c */

/* Makes passes up to the last one, which is through when it returns, as all lanes are; stops the run if that
 * fails.  Beside the thread of the control connection. */
void sender_make_passes(struct run *run);

/* sender-commit.c */

/* The source decides, between two COMMITs, that it does not go on. */
bool sender_decides(const struct sender_options *options);
/* Everything is there and acknowledged: has the receiver complete it.  An error before keep(), if the source
 * has that, is what it is; one after it is ERR_REFUSED: the receiver may have completed it, or may not. */
struct err *sender_commit(struct run *run, struct channel *control, struct message *message) ERR_MUST_CHECK;

/* sender.c */

uint32_t sender_block_bytes(const struct sender_options *options);

/* Ends everything: takes the first error, and frees others, which are consequences. */
void sender_stop(struct run *run, struct err *err);

/* JOB; data_bytes, one a disk, says how much there is to come; NULL: nothing. */
struct err *sender_send_job(const struct sender_options *options, const uint64_t *data_bytes,
			    struct channel *control, struct message *message) ERR_MUST_CHECK;

/* HELLO and WELCOME on a new connection. */
struct err *sender_connect(const struct sender_options *options, enum wire_purpose purpose,
			   const uint8_t *token, struct message *message, struct channel **ret_channel)
	ERR_MUST_CHECK;

#endif
