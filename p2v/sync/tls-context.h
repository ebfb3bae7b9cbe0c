/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How OpenSSL is set up for tls.c: versions, ciphers, the PSK.  For tls.c alone. */
#ifndef P2V_SYNC_TLS_CONTEXT_H
#define P2V_SYNC_TLS_CONTEXT_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "p2v/sync/key.h"

struct psk {
	char identity[KEY_IDENTITY_BYTES];
	uint8_t secret[KEY_SECRET_BYTES];
	bool met_stranger; /* a client came with another identity */
};

/* A new connection's state, for a client or a server; NULL if there is no memory.  The psk must live as long.
 */
SSL *tls_context_new_ssl(struct psk *psk, bool is_server);

#endif
