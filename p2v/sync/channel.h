/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A connection that carries messages: TLS below, the codec above.
 *
 * One thread may receive while another sends.
 */
#ifndef P2V_SYNC_CHANNEL_H
#define P2V_SYNC_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "p2v/base/err.h"
#include "p2v/sync/codec.h"
#include "p2v/sync/tls.h"

struct channel;

/* The TLS connection belongs to the channel, also if this fails.  The other end's name is for errors: "the
 * receiver". */
struct err *channel_create(struct tls *tls, const char *other_end, struct channel **ret_channel)
	ERR_MUST_CHECK;
void channel_destroy(struct channel *channel); /* takes NULL */

/* How long to wait for the next byte to come, or to go; 0: for ever. */
void channel_set_limits(struct channel *channel, uint64_t read_limit_ns, uint64_t write_limit_ns);

struct err *channel_send(struct channel *channel, const struct message *message) ERR_MUST_CHECK;

/*
 * Waits for a message of an allowed type (a set of CHANNEL_TYPE()).  It is valid until the next call.  A
 * REFUSED becomes an error with the other end's words: ERR_REFUSED, or ERR_FAILED where trying again may
 * help. At the end of the connection *ret_end is set; with ret_end NULL that is an error.
 */
#define CHANNEL_TYPE(type) (1u << (type))
struct err *channel_receive(struct channel *channel, unsigned allowed, struct message *ret_message,
			    bool *ret_end) ERR_MUST_CHECK;

/* Whether channel_receive() has something to begin with. */
bool channel_has_input(struct channel *channel);

/* Tells the other end why this one ends, and that it does; what fails in that is of no interest any more.
 * Only the first time counts. */
void channel_refuse(struct channel *channel, enum wire_reason reason, const struct err *err);
/* Gives the other end a moment to read that: closing at once may destroy it on its way. */
void channel_linger(struct channel *channel);
struct err *channel_close(struct channel *channel) ERR_MUST_CHECK;

/* Ends what other threads do with it. */
void channel_interrupt(struct channel *channel);
/* Ends receiving alone, within a second. */
void channel_end_receiving(struct channel *channel);

/* Bytes of messages so far, headers included, TLS's own not. */
uint64_t channel_sent_bytes(const struct channel *channel);
uint64_t channel_received_bytes(const struct channel *channel);

DEFINE_CLEANUP(channel, struct channel *, channel_destroy)
#define CLEANUP_CHANNEL CLEANUP(cleanup_channel)

#endif
