/* SPDX-License-Identifier: GPL-3.0-or-later */
/* TLS over socket pairs: what goes through, and everything that must not. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>
#include <openssl/ssl.h>

#include "p2v/base/mem.h"
#include "p2v/sync/tls.h"
#include "tests/base/lib-must.h"

#define SECONDS 1000000000ull
#define KEY_A "00000-00000-00000-00000-00000"
#define KEY_B "00000-00000-00000-00001-00101"

static struct key *key_of(const char *text)
{
	struct key *key;

	assert_null(key_parse(text, &key));
	return key;
}

/* The server's side, in a thread of its own: shakes hands, then sends back what comes. */
struct server {
	const char *key_text;
	int fd;
	struct err *accept_error, *error;
	bool ended; /* by close_notify */
};

static void *serve(void *arg)
{
	struct server *server = arg;
	CLEANUP_KEY struct key *key = NULL;
	CLEANUP_TLS struct tls *tls = NULL;
	uint8_t c;

	server->error = key_parse(server->key_text, &key);
	if (!server->error)
		server->accept_error = tls_accept(key, server->fd, server->fd, 20 * SECONDS, &tls);
	if (!tls)
		close(server->fd);
	while (tls && !server->error && !server->ended) {
		server->error = tls_read(tls, &c, 1, &server->ended);
		if (!server->error && !server->ended)
			server->error = tls_write(tls, &c, 1);
	}
	return NULL;
}

static pthread_t start(struct server *server, int *ret_fd)
{
	pthread_t thread;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	server->fd = fds[0];
	*ret_fd = fds[1];
	assert_int_equal(pthread_create(&thread, NULL, serve, server), 0);
	return thread;
}

static void server_deinit(struct server *server)
{
	err_free(server->accept_error);
	err_free(server->error);
}

static void test_echo(void **state)
{
	struct server server = {.key_text = KEY_A};
	CLEANUP_KEY struct key *key = key_of(KEY_A);
	CLEANUP_TLS struct tls *tls = NULL;
	char text[] = "there and back", back[sizeof text];
	int fd;
	pthread_t thread = start(&server, &fd);

	(void)state;
	assert_null(tls_connect(key, fd, fd, 20 * SECONDS, &tls));
	assert_null(tls_write_more(tls, text, 6));
	assert_null(tls_write(tls, text + 6, sizeof text - 6));
	assert_null(tls_read(tls, back, sizeof back, NULL));
	assert_string_equal(text, back);
	assert_null(tls_close(tls));
	pthread_join(thread, NULL);
	assert_null(server.accept_error);
	assert_null(server.error);
	assert_true(server.ended);
}

static void test_wrong_key(void **state)
{
	struct server server = {.key_text = KEY_B};
	CLEANUP_KEY struct key *key = key_of(KEY_A);
	CLEANUP_ERR struct err *err = NULL;
	struct tls *tls = NULL;
	int fd;
	pthread_t thread = start(&server, &fd);

	(void)state;
	err = tls_connect(key, fd, fd, 20 * SECONDS, &tls);
	must_fail_as(take_ptr(err), ERR_REFUSED, "another pairing key");
	close(fd);
	pthread_join(thread, NULL);
	must_fail_with(take_ptr(server.accept_error), "another pairing key");
	server_deinit(&server);
}

static void test_truncated(void **state)
{
	struct server server = {.key_text = KEY_A};
	CLEANUP_KEY struct key *key = key_of(KEY_A);
	struct tls *tls = NULL;
	int fd;
	pthread_t thread = start(&server, &fd);

	(void)state;
	assert_null(tls_connect(key, fd, fd, 20 * SECONDS, &tls));
	tls_destroy(tls);
	pthread_join(thread, NULL);
	assert_null(server.accept_error);
	assert_false(server.ended);
	must_fail_with(take_ptr(server.error), "broke off");
	server_deinit(&server);
}

static void test_no_tls(void **state)
{
	static const struct {
		const char *bytes, *error;
	} cases[] = {
		{"GET / HTTP/1.1\r\nHost: p2v\r\n\r\n", "does not speak TLS"},
		{"SSH-2.0-OpenSSH_9.2\r\n", "does not speak TLS"},
		{"", "broke off"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct server server = {.key_text = KEY_A};
		size_t bytes = strlen(cases[i].bytes);
		int fd;
		pthread_t thread = start(&server, &fd);

		assert_int_equal(write(fd, cases[i].bytes, bytes), bytes);
		shutdown(fd, SHUT_WR);
		pthread_join(thread, NULL);
		close(fd);
		must_fail_with(take_ptr(server.accept_error), cases[i].error);
		server_deinit(&server);
	}
}

static int set_psk(SSL *ssl, const EVP_MD *md, const unsigned char **ret_id, size_t *ret_bytes,
		   SSL_SESSION **ret_session)
{
	(void)ssl;
	(void)md;
	*ret_id = NULL;
	*ret_bytes = 0;
	*ret_session = NULL;
	return 1;
}

/* OpenSSL itself as the other end, of a version given, without a PSK. */
static void test_other_tls(void **state)
{
	static const struct {
		int version;
		const char *error;
	} cases[] = {
		{TLS1_2_VERSION, "not its version 1.3"},
		{TLS1_3_VERSION, "no pairing key"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct server server = {.key_text = KEY_A};
		SSL_CTX *context = SSL_CTX_new(TLS_client_method());
		SSL *ssl;
		int fd;
		pthread_t thread = start(&server, &fd);

		SSL_CTX_set_max_proto_version(context, cases[i].version);
		SSL_CTX_set_psk_use_session_callback(context, set_psk);
		ssl = SSL_new(context);
		SSL_set_fd(ssl, fd);
		assert_int_not_equal(SSL_connect(ssl), 1);
		close(fd);
		pthread_join(thread, NULL);
		SSL_free(ssl);
		SSL_CTX_free(context);
		must_fail_as(take_ptr(server.accept_error), ERR_REFUSED, cases[i].error);
		server_deinit(&server);
	}
}

/* A line that turns over one bit, at each of some places behind the handshake. */
struct line {
	int from, to;
	long flip_at; /* byte behind which nothing is the same; -1: never */
};

static void *carry(void *arg)
{
	struct line *line = arg;
	uint8_t buf[4096];
	ssize_t got;

	while ((got = read(line->from, buf, sizeof buf)) > 0) {
		if (line->flip_at >= 0 && line->flip_at < got)
			buf[line->flip_at] ^= 0x10;
		line->flip_at = line->flip_at < got ? -1 : line->flip_at - got;
		if (write(line->to, buf, got) != got)
			break;
	}
	shutdown(line->to, SHUT_WR);
	shutdown(line->from, SHUT_RD);
	return NULL;
}

static void test_flipped_bytes(void **state)
{
	static const long places[] = {20, 100, 260, 330, 380, 400, 420};

	(void)state;
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		struct server server = {.key_text = KEY_A};
		CLEANUP_KEY struct key *key = key_of(KEY_A);
		struct tls *tls = NULL;
		struct err *err;
		uint8_t text[64] = "flip", back[64] = "";
		int ours[2], theirs;
		struct line there, back_line;
		pthread_t thread = start(&server, &theirs), lines[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ours), 0);
		there = (struct line){ours[1], theirs, places[i]};
		back_line = (struct line){theirs, ours[1], -1};
		pthread_create(&lines[0], NULL, carry, &there);
		pthread_create(&lines[1], NULL, carry, &back_line);
		err = tls_connect(key, ours[0], ours[0], 20 * SECONDS, &tls);
		if (!err)
			err = tls_write(tls, text, sizeof text);
		if (!err)
			err = tls_read(tls, back, sizeof back, NULL);
		assert_non_null(err);
		assert_memory_not_equal(text, back, sizeof text);
		err_free(err);
		if (tls)
			tls_destroy(tls);
		else
			close(ours[0]);
		pthread_join(thread, NULL);
		shutdown(ours[1], SHUT_RDWR);
		shutdown(theirs, SHUT_RDWR);
		pthread_join(lines[0], NULL);
		pthread_join(lines[1], NULL);
		close(ours[1]);
		close(theirs);
		assert_true(server.accept_error || server.error);
		server_deinit(&server);
	}
}

static void test_time_limits(void **state)
{
	CLEANUP_KEY struct key *key = key_of(KEY_A);
	CLEANUP_ERR struct err *silent = NULL, *late = NULL;
	struct server server = {.key_text = KEY_A};
	struct tls *tls = NULL;
	uint8_t c;
	int fds[2], fd;
	pthread_t thread;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	silent = tls_connect(key, fds[0], fds[0], SECONDS / 20, &tls);
	must_fail_with(take_ptr(silent), "did not answer in time");
	close(fds[0]);
	close(fds[1]);

	thread = start(&server, &fd);
	assert_null(tls_connect(key, fd, fd, 20 * SECONDS, &tls));
	tls_set_read_limit(tls, SECONDS / 20);
	late = tls_read(tls, &c, 1, NULL);
	must_fail_with(take_ptr(late), "did not answer in time");
	tls_destroy(tls);
	pthread_join(thread, NULL);
	server_deinit(&server);
}

static void *interrupt(void *arg)
{
	tls_interrupt(arg);
	return NULL;
}

static void test_interrupt(void **state)
{
	struct server server = {.key_text = KEY_A};
	CLEANUP_KEY struct key *key = key_of(KEY_A);
	CLEANUP_ERR struct err *err = NULL, *again = NULL;
	struct tls *tls = NULL;
	uint8_t c;
	int fd;
	pthread_t thread = start(&server, &fd), other;

	(void)state;
	assert_null(tls_connect(key, fd, fd, 20 * SECONDS, &tls));
	pthread_create(&other, NULL, interrupt, tls);
	err = tls_read(tls, &c, 1, NULL);
	must_fail_with(take_ptr(err), "broke off");
	again = tls_write(tls, &c, 1);
	assert_non_null(again);
	pthread_join(other, NULL);
	tls_destroy(tls);
	pthread_join(thread, NULL);
	server_deinit(&server);
}

struct flood {
	struct tls *tls;
	struct err *err;
};

static void *write_much(void *arg)
{
	struct flood *flood = arg;
	CLEANUP_FREE uint8_t *data = xcalloc(1, 1 << 20);

	for (unsigned i = 0; i < 8 && !flood->err; i++)
		flood->err = tls_write(flood->tls, data, 1 << 20);
	return NULL;
}

/* Both ends write more than any buffer holds while they read: nobody waits for the other. */
static void test_both_ways_at_once(void **state)
{
	CLEANUP_KEY struct key *key = key_of(KEY_A);
	CLEANUP_FREE uint8_t *data = xcalloc(1, 1 << 20);
	struct server server = {.key_text = KEY_A};
	struct flood flood = {0};
	int fd;
	pthread_t thread = start(&server, &fd), writer;

	(void)state;
	assert_null(tls_connect(key, fd, fd, 20 * SECONDS, &flood.tls));
	tls_set_read_limit(flood.tls, 60 * SECONDS);
	pthread_create(&writer, NULL, write_much, &flood);
	/* The server echoes byte by byte: the start is proof enough. */
	assert_null(tls_read(flood.tls, data, 1 << 12, NULL));
	tls_interrupt(flood.tls);
	pthread_join(writer, NULL);
	pthread_join(thread, NULL);
	err_free(flood.err);
	tls_destroy(flood.tls);
	server_deinit(&server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_echo),
		cmocka_unit_test(test_wrong_key),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_no_tls),
		cmocka_unit_test(test_other_tls),
		cmocka_unit_test(test_flipped_bytes),
		cmocka_unit_test(test_time_limits),
		cmocka_unit_test(test_interrupt),
		cmocka_unit_test(test_both_ways_at_once),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
