/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * TLS 1.3 between two that share a pairing key: RFC 8446 with an external PSK (2.2) and ephemeral
 * Diffie-Hellman (psk_dhe_ke, 4.2.9).  No certificates, no older version, no tickets, no early data.
 *
 * One thread may read while another writes.  The process must ignore SIGPIPE.
 */
#ifndef P2V_SYNC_TLS_H
#define P2V_SYNC_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "p2v/base/err.h"
#include "p2v/sync/key.h"

struct tls;

#define TLS_NO_LIMIT 0

/*
 * Shakes hands over two descriptors (sockets or pipes; both may be the same one), as client or as server.
 * They are made non-blocking and belong to the result if the call succeeds, else still to the caller.
 * limit_ns is for the whole handshake.  The error says whether the key was wrong, or the other end speaks
 * something else.
 */
struct err *tls_connect(const struct key *key, int read_fd, int write_fd, uint64_t limit_ns,
			struct tls **ret_tls) ERR_MUST_CHECK;
struct err *tls_accept(const struct key *key, int read_fd, int write_fd, uint64_t limit_ns,
		       struct tls **ret_tls) ERR_MUST_CHECK;

/* From now on a read, a write, may wait so long for the next byte to move; at the start: no limit. */
void tls_set_read_limit(struct tls *tls, uint64_t limit_ns);
void tls_set_write_limit(struct tls *tls, uint64_t limit_ns);

/* Reads all of it.  Where the other end has closed properly before the first byte, *ret_end is set, and
 * nothing is read; with ret_end NULL that is an error.  A connection that just breaks off always is one. */
struct err *tls_read(struct tls *tls, void *buf, size_t len_bytes, bool *ret_end) ERR_MUST_CHECK;

struct err *tls_write(struct tls *tls, const void *buf, size_t len_bytes) ERR_MUST_CHECK;
/* The same for what more follows at once: it may go out only with the next tls_write(). */
struct err *tls_write_more(struct tls *tls, const void *buf, size_t len_bytes) ERR_MUST_CHECK;

/* Whether tls_read() would find something at once. */
bool tls_has_input(struct tls *tls);

/* Tells the other end that nothing more comes. */
struct err *tls_close(struct tls *tls) ERR_MUST_CHECK;

/* After tls_close(): takes in and forgets what the other end still sends, until it closes or the time is
 * over. Closing a socket with unread input would destroy, on its way, what was sent last. */
void tls_linger(struct tls *tls, uint64_t limit_ns);

/* Ends all that other threads do on it with an error, now and later. */
void tls_interrupt(struct tls *tls);

/* Ends reads with an error, now (within a second) and later; writes go on. */
void tls_end_reads(struct tls *tls);

/* Closes the descriptors.  Without tls_close() the other end sees an interruption.  Takes NULL. */
void tls_destroy(struct tls *tls);

DEFINE_CLEANUP(tls, struct tls *, tls_destroy)
#define CLEANUP_TLS CLEANUP(cleanup_tls)

#endif
