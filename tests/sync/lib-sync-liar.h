/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A sender made by hand, which has the key: what it says is the test's. */
#ifndef TESTS_SYNC_LIB_SYNC_LIAR_H
#define TESTS_SYNC_LIB_SYNC_LIAR_H

#include "tests/sync/lib-sync-world.h"

#define LIAR_BLOCK (64u << 10)
#define LIAR_DISK_BYTES ((8u << 20) + 512)
#define LIAR_BLOCKS 129

struct liar {
	struct sync_world world;
	unsigned version; /* that it speaks; 0: the oldest */
	struct channel *control, *lane;
	struct message *message;
	uint8_t token[WIRE_TOKEN_BYTES];
	uint8_t hash_key[WIRE_HASH_KEY_BYTES];
	uint8_t content[LIAR_BLOCK];
	wire_hash hash; /* of content */
};

/* A world of its own, with connections as liar_connect() makes them. */
void liar_init(struct liar *liar);
void liar_deinit(struct liar *liar);
#define CLEANUP_LIAR CLEANUP(liar_deinit)

/* The job "job" of one disk. */
struct message liar_job(void);
/* A control connection for that job and a lane, both welcomed. */
void liar_connect(struct liar *liar);
/* One block of content, its byte 5 changed by that first, and all the rest zeros, in this order or the other;
 * acknowledged. */
void liar_send_content(struct liar *liar, bool zeros_first, uint8_t change);
/* COMMIT of just that. */
void liar_say_commit(struct liar *liar, unsigned flags);
/* The same, up to COMMITTED. */
void liar_commit(struct liar *liar, unsigned flags);
/* Ends both connections, and makes new ones. */
void liar_come_again(struct liar *liar);
/* The next message is of that type, into liar->message. */
void liar_expect(struct liar *liar, struct channel *channel, enum wire_type type);
/* The receiver ends this connection, says why, and logs it. */
void liar_expect_refusal(struct liar *liar, struct channel *channel, const char *why);
/* An honest sender of the same job is served as if nothing had been. */
void liar_expect_service(struct liar *liar);

#endif
