/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A context of its own for every connection: there are few, and nothing is then
 * shared between threads or carried over from one connection to the next.
 *
 * The PSK goes with SHA-256 (the hash of its "session"), so all that is left to
 * negotiate is which of two ciphers the processors are faster at.
 */
#include "p2v/sync/tls-context.h"

#include <openssl/crypto.h>
#include <string.h>

static const unsigned char aes_128_gcm_sha256[] = {0x13, 0x01};

/* The PSK as the session that OpenSSL wants it to be; NULL: no memory. */
static SSL_SESSION *make_session(SSL *ssl, const struct psk *psk)
{
	const SSL_CIPHER *cipher = SSL_CIPHER_find(ssl, aes_128_gcm_sha256);
	SSL_SESSION *session = SSL_SESSION_new();

	if (session && cipher && SSL_SESSION_set1_master_key(session, psk->secret, sizeof psk->secret) &&
	    SSL_SESSION_set_cipher(session, cipher) &&
	    SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION))
		return session;
	SSL_SESSION_free(session);
	return NULL;
}

static int use_psk(SSL *ssl, const EVP_MD *md, const unsigned char **ret_id, size_t *ret_id_bytes,
		   SSL_SESSION **ret_session)
{
	struct psk *psk = SSL_get_app_data(ssl);

	*ret_session = NULL;
	/* A retry for another hash: there is none for that. */
	if (md && !EVP_MD_is_a(md, "SHA2-256"))
		return 1;
	*ret_id = (const unsigned char *)psk->identity;
	*ret_id_bytes = sizeof psk->identity;
	*ret_session = make_session(ssl, psk);
	return !!*ret_session;
}

/* Without a session the handshake looks for a certificate, finds none, and fails. */
static int find_psk(SSL *ssl, const unsigned char *id, size_t id_bytes, SSL_SESSION **ret_session)
{
	struct psk *psk = SSL_get_app_data(ssl);

	*ret_session = NULL;
	if (id_bytes != sizeof psk->identity || CRYPTO_memcmp(id, psk->identity, id_bytes)) {
		psk->met_stranger = true;
		return 1;
	}
	*ret_session = make_session(ssl, psk);
	return !!*ret_session;
}

static bool set_up(SSL_CTX *context, bool is_server)
{
	SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(context, 0);
	SSL_CTX_set_max_early_data(context, 0);
	SSL_CTX_set_read_ahead(context, 1);
	SSL_CTX_set_default_read_buffer_len(context, 128 << 10);
	if (is_server) {
		SSL_CTX_set_psk_find_session_callback(context, find_psk);
	} else {
		/* A server with a certificate is not ours, whoever has signed it. */
		SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
		SSL_CTX_set_psk_use_session_callback(context, use_psk);
	}
	return SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) &&
	       SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) &&
	       SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256");
}

SSL *tls_context_new_ssl(struct psk *psk, bool is_server)
{
	SSL_CTX *context = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
	SSL *ssl = context && set_up(context, is_server) ? SSL_new(context) : NULL;

	SSL_CTX_free(context); /* the SSL holds its own reference */
	if (ssl)
		SSL_set_app_data(ssl, psk);
	return ssl;
}
