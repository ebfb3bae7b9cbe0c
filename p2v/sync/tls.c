/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Descriptors do not block; whoever has to wait does so in poll().  OpenSSL's
 * state belongs to the thread that holds the lock, and nobody waits with it held:
 * so one thread can read while another writes.
 *
 * What is written is gathered behind OpenSSL, which writes record by record, and leaves in larger pieces.
 */
#include "p2v/sync/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "p2v/base/run.h"
#include "p2v/sync/tls-context.h"

#define NS_PER_MS 1000000
#define WRITE_BYTES (64 << 10) /* at a time */
/* After so long it is noticed that another thread has ended reads, or all of it where there is no socket to
 * shut down. */
#define MAX_WAIT_MS 200

struct tls {
	SSL *ssl;
	struct psk psk;
	pthread_mutex_t lock; /* ssl */
	int read_fd, write_fd;
	_Atomic uint64_t read_limit_ns, write_limit_ns;
	atomic_bool interrupted, reads_ended;
};

/* What SSL_get_error() knows must be asked for at once: with the lock held. */
struct outcome {
	int result; /* of the SSL_ function */
	int reason; /* SSL_ERROR_* */
	int library_reason; /* ERR_GET_REASON() */
	int errnum;
};

static struct outcome outcome_of(struct tls *tls, int result)
{
	struct outcome outcome = {.result = result, .errnum = errno};

	outcome.reason = SSL_get_error(tls->ssl, result);
	outcome.library_reason = ERR_GET_REASON(ERR_peek_error());
	ERR_clear_error();
	return outcome;
}

static struct err *broken_off(void)
{
	return err_advise(
		err_failed("the connection broke off"),
		"see that the other end still runs, and run the same command again: it goes on where it was");
}

#define OTHER_KEY "the other end has another pairing key"
#define GIVE_KEY "give the key that the receiver shows"
#define NO_TLS "the other end does not speak TLS"
#define OLD_TLS "the other end speaks TLS, but not its version 1.3"

static const struct {
	int library_reason;
	const char *message;
	bool is_other_program; /* that runs there; else it has the wrong key */
} causes[] = {
	{SSL_R_UNSUPPORTED_PROTOCOL, OLD_TLS, true},
	{SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, OLD_TLS, true},
	{SSL_R_VERSION_TOO_LOW, OLD_TLS, true},
	{SSL_R_WRONG_VERSION_NUMBER, NO_TLS, true},
	{SSL_R_WRONG_SSL_VERSION, NO_TLS, true},
	{SSL_R_HTTP_REQUEST, NO_TLS, true},
	{SSL_R_HTTPS_PROXY_REQUEST, NO_TLS, true},
	{SSL_R_PACKET_LENGTH_TOO_LONG, NO_TLS, true},
	{SSL_R_ENCRYPTED_LENGTH_TOO_LONG, NO_TLS, true},
	{SSL_R_BAD_RECORD_TYPE, NO_TLS, true},
	{SSL_R_UNEXPECTED_MESSAGE, NO_TLS, true},
	{SSL_R_CERTIFICATE_VERIFY_FAILED, "the other end shows a certificate, where a pairing key is wanted",
	 true},
	{SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, "the other end has no pairing key", false},
	{SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE, OTHER_KEY, false},
	{SSL_R_TLSV1_ALERT_DECRYPT_ERROR, OTHER_KEY, false},
	{SSL_R_BINDER_DOES_NOT_VERIFY, OTHER_KEY, false},
};

static struct err *damaged(void)
{
	return err_advise(err_failed("the connection was damaged, or tampered with, on the way"),
			  "run the same command again: it goes on where it was");
}

static struct err *wrong_key(void)
{
	return err_advise(err_refused(OTHER_KEY), GIVE_KEY);
}

static struct err *describe(const struct outcome *outcome, const struct tls *tls)
{
	if (outcome->reason == SSL_ERROR_SYSCALL)
		return outcome->errnum && outcome->errnum != EPIPE && outcome->errnum != ECONNRESET
			       ? err_from_errno(outcome->errnum, "the connection")
			       : broken_off();
	if (outcome->reason == SSL_ERROR_ZERO_RETURN ||
	    outcome->library_reason == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		return broken_off();
	if (tls->psk.met_stranger)
		return wrong_key();
	if (outcome->library_reason == SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC ||
	    outcome->library_reason == SSL_R_SSLV3_ALERT_BAD_RECORD_MAC)
		return damaged();
	for (size_t i = 0; i < sizeof causes / sizeof causes[0]; i++) {
		if (causes[i].library_reason != outcome->library_reason)
			continue;
		/* The handshake worked: what speaks so now is not the other end. */
		if (causes[i].is_other_program && SSL_is_init_finished(tls->ssl))
			return damaged();
		return err_advise(err_refused("%s", causes[i].message), "%s",
				  causes[i].is_other_program ? "see that it is p2v that runs there, under "
							       "this address and port"
							     : GIVE_KEY);
	}
	return err_failed("the connection failed: %s",
			  ERR_reason_error_string(ERR_PACK(ERR_LIB_SSL, 0, outcome->library_reason))
				  ?: "an error of TLS");
}

/* Waits until the outcome's wish is fulfilled; deadline_ns 0: for ever. */
static struct err *wait_for(struct tls *tls, int reason, uint64_t deadline_ns)
{
	struct pollfd wait = {.fd = tls->read_fd, .events = POLLIN};

	if (reason == SSL_ERROR_WANT_WRITE)
		wait = (struct pollfd){.fd = tls->write_fd, .events = POLLOUT};
	for (;;) {
		uint64_t now_ns = run_now_ns();
		int ms = MAX_WAIT_MS, ready;

		if (tls->interrupted || (tls->reads_ended && reason == SSL_ERROR_WANT_READ))
			return broken_off();
		if (deadline_ns && now_ns >= deadline_ns)
			return err_advise(err_failed("the other end did not answer in time"),
					  "see that the network works and the other end still runs");
		if (deadline_ns && (deadline_ns - now_ns) / NS_PER_MS < MAX_WAIT_MS)
			ms = (deadline_ns - now_ns) / NS_PER_MS + 1;
		ready = poll(&wait, 1, ms);
		if (ready > 0)
			return NULL;
		if (ready < 0 && errno != EINTR)
			return err_from_errno(errno, "the connection");
	}
}

static uint64_t deadline(uint64_t limit_ns)
{
	return limit_ns ? run_now_ns() + limit_ns : 0;
}

static bool wants_more(const struct outcome *outcome)
{
	return outcome->reason == SSL_ERROR_WANT_READ || outcome->reason == SSL_ERROR_WANT_WRITE;
}

static struct err *shake_hands(struct tls *tls, uint64_t limit_ns)
{
	uint64_t deadline_ns = deadline(limit_ns);

	for (;;) {
		struct outcome outcome = outcome_of(tls, SSL_do_handshake(tls->ssl));

		if (outcome.result == 1)
			break;
		if (!wants_more(&outcome))
			return describe(&outcome, tls);
		TRY(wait_for(tls, outcome.reason, deadline_ns));
	}
	/* An external PSK counts as resumption; without one nobody has proved anything. */
	return SSL_session_reused(tls->ssl) ? NULL : wrong_key();
}

static bool set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && !fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

/* In front of the socket is room for some records. */
static bool set_writer(SSL *ssl, int fd)
{
	BIO *gather = BIO_new(BIO_f_buffer()), *socket = BIO_new_socket(fd, BIO_NOCLOSE);

	if (!gather || !socket || BIO_set_write_buffer_size(gather, WRITE_BYTES) <= 0) {
		BIO_free(gather);
		BIO_free(socket);
		return false;
	}
	SSL_set0_wbio(ssl, BIO_push(gather, socket));
	return true;
}

static struct err *start(struct tls *tls, const struct key *key, bool is_server)
{
	key_derive_psk(key, tls->psk.identity, tls->psk.secret);
	tls->ssl = tls_context_new_ssl(&tls->psk, is_server);
	if (!tls->ssl || !SSL_set_rfd(tls->ssl, tls->read_fd) || !set_writer(tls->ssl, tls->write_fd))
		return err_nomem();
	if (!set_nonblocking(tls->read_fd) || !set_nonblocking(tls->write_fd))
		return err_from_errno(errno, "the connection");
	if (is_server)
		SSL_set_accept_state(tls->ssl);
	else
		SSL_set_connect_state(tls->ssl);
	return NULL;
}

static void release(struct tls *tls)
{
	SSL_free(tls->ssl);
	pthread_mutex_destroy(&tls->lock);
	explicit_bzero(tls->psk.secret, sizeof tls->psk.secret);
	free(tls);
}

static struct err *establish(const struct key *key, int read_fd, int write_fd, uint64_t limit_ns,
			     bool is_server, struct tls **ret_tls)
{
	struct tls *tls = calloc(1, sizeof *tls);
	struct err *err;

	if (!tls)
		return err_nomem();
	pthread_mutex_init(&tls->lock, NULL);
	tls->read_fd = read_fd;
	tls->write_fd = write_fd;
	err = start(tls, key, is_server);
	if (!err)
		err = shake_hands(tls, limit_ns);
	explicit_bzero(tls->psk.secret, sizeof tls->psk.secret);
	if (err) {
		release(tls);
		return err;
	}
	*ret_tls = tls;
	return NULL;
}

struct err *tls_connect(const struct key *key, int read_fd, int write_fd, uint64_t limit_ns,
			struct tls **ret_tls)
{
	return establish(key, read_fd, write_fd, limit_ns, false, ret_tls);
}

struct err *tls_accept(const struct key *key, int read_fd, int write_fd, uint64_t limit_ns,
		       struct tls **ret_tls)
{
	return establish(key, read_fd, write_fd, limit_ns, true, ret_tls);
}

void tls_set_read_limit(struct tls *tls, uint64_t limit_ns)
{
	tls->read_limit_ns = limit_ns;
}

void tls_set_write_limit(struct tls *tls, uint64_t limit_ns)
{
	tls->write_limit_ns = limit_ns;
}

static int int_of(size_t bytes)
{
	return bytes < 1u << 30 ? (int)bytes : 1 << 30;
}

struct err *tls_read(struct tls *tls, void *buf, size_t len_bytes, bool *ret_end)
{
	uint8_t *at = buf;
	uint64_t deadline_ns = deadline(tls->read_limit_ns);

	while (at < (uint8_t *)buf + len_bytes) {
		struct outcome outcome;

		if (tls->interrupted || tls->reads_ended)
			return broken_off();
		{
			LOCKED(&tls->lock);
			outcome = outcome_of(tls,
					     SSL_read(tls->ssl, at, int_of((uint8_t *)buf + len_bytes - at)));
		}
		if (outcome.result > 0) {
			at += outcome.result;
			deadline_ns = deadline(tls->read_limit_ns);
		} else if (outcome.reason == SSL_ERROR_ZERO_RETURN && ret_end && at == buf) {
			*ret_end = true;
			return NULL;
		} else if (!wants_more(&outcome)) {
			return describe(&outcome, tls);
		} else {
			TRY(wait_for(tls, outcome.reason, deadline_ns));
		}
	}
	return NULL;
}

static struct outcome write_some(struct tls *tls, const uint8_t *at, const uint8_t *end)
{
	LOCKED(&tls->lock);

	return outcome_of(tls, SSL_write(tls->ssl, at, int_of(end - at)));
}

static struct outcome flush_some(struct tls *tls)
{
	BIO *bio = SSL_get_wbio(tls->ssl);
	struct outcome outcome = {.reason = SSL_ERROR_WANT_WRITE};
	LOCKED(&tls->lock);

	outcome.result = BIO_flush(bio);
	outcome.errnum = errno;
	if (outcome.result <= 0 && !BIO_should_retry(bio))
		outcome.reason = SSL_ERROR_SYSCALL;
	return outcome;
}

struct err *tls_write_more(struct tls *tls, const void *buf, size_t len_bytes)
{
	const uint8_t *at = buf, *end = at + len_bytes;
	uint64_t deadline_ns = deadline(tls->write_limit_ns);

	while (at < end) {
		struct outcome outcome;

		if (tls->interrupted)
			return broken_off();
		outcome = write_some(tls, at, end);
		if (outcome.result > 0) {
			at += outcome.result;
			deadline_ns = deadline(tls->write_limit_ns);
		} else if (!wants_more(&outcome)) {
			return describe(&outcome, tls);
		} else {
			TRY(wait_for(tls, outcome.reason, deadline_ns));
		}
	}
	return NULL;
}

struct err *tls_write(struct tls *tls, const void *buf, size_t len_bytes)
{
	uint64_t deadline_ns;

	TRY(tls_write_more(tls, buf, len_bytes));
	deadline_ns = deadline(tls->write_limit_ns);
	for (;;) {
		struct outcome outcome = flush_some(tls);

		if (outcome.result > 0)
			return NULL;
		if (!wants_more(&outcome))
			return describe(&outcome, tls);
		TRY(wait_for(tls, outcome.reason, deadline_ns));
	}
}

bool tls_has_input(struct tls *tls)
{
	struct pollfd wait = {.fd = tls->read_fd, .events = POLLIN};
	LOCKED(&tls->lock);

	return SSL_has_pending(tls->ssl) || poll(&wait, 1, 0) > 0;
}

struct err *tls_close(struct tls *tls)
{
	uint64_t deadline_ns = deadline(tls->write_limit_ns);

	for (;;) {
		struct outcome outcome;
		{
			LOCKED(&tls->lock);
			outcome = outcome_of(tls, SSL_shutdown(tls->ssl));
		}
		/* 0: ours is sent, theirs has not come, and need not. */
		if (outcome.result >= 0)
			return NULL;
		if (!wants_more(&outcome))
			return describe(&outcome, tls);
		TRY(wait_for(tls, outcome.reason, deadline_ns));
	}
}

/* False: there is something to read, or the end; true: the time is over, or somebody ends it all. */
static bool is_over(struct tls *tls, uint64_t deadline_ns)
{
	struct pollfd wait = {.fd = tls->read_fd, .events = POLLIN};

	while (!tls->interrupted && run_now_ns() < deadline_ns)
		if (poll(&wait, 1, MAX_WAIT_MS) > 0)
			return false;
	return true;
}

void tls_linger(struct tls *tls, uint64_t limit_ns)
{
	uint64_t deadline_ns = run_now_ns() + limit_ns;
	char forgotten[4096];

	shutdown(tls->write_fd, SHUT_WR);
	while (!is_over(tls, deadline_ns)) {
		ssize_t got = read(tls->read_fd, forgotten, sizeof forgotten);

		if (!got || (got < 0 && errno != EINTR && errno != EAGAIN))
			return;
	}
}

void tls_end_reads(struct tls *tls)
{
	tls->reads_ended = true;
}

void tls_interrupt(struct tls *tls)
{
	tls->interrupted = true;
	shutdown(tls->read_fd, SHUT_RDWR);
	shutdown(tls->write_fd, SHUT_RDWR);
}

void tls_destroy(struct tls *tls)
{
	if (!tls)
		return;
	close(tls->read_fd);
	if (tls->write_fd != tls->read_fd)
		close(tls->write_fd);
	release(tls);
}
