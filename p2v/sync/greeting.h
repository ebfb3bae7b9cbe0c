/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How a sender comes to a connection with a receiver: HELLO and WELCOME (wire.h). */
#ifndef P2V_SYNC_GREETING_H
#define P2V_SYNC_GREETING_H

#include "p2v/sync/channel.h"
#include "p2v/sync/key.h"

struct greeting {
	const struct key *key;
	/* Makes a connection to the receiver, a socket; called from several threads. */
	struct err *(*connect)(void *arg, int *ret_fd);
	void *connect_arg;
	uint64_t silence_limit_ns; /* 0: WIRE_SILENCE_SECONDS */
	enum wire_purpose purpose;
	const uint8_t *token; /* of the session that a lane joins, else NULL */
};

/* All of it up to WELCOME, which is in `message` then, with a version that we speak.  ERR_REFUSED: the key is
 * wrong, or what answers there is no receiver that we could speak to; ERR_FAILED: nobody answers. */
struct err *greet_receiver(const struct greeting *greeting, struct message *message,
			   struct channel **ret_channel) ERR_MUST_CHECK;

#endif
