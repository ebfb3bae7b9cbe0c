// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * tls.h without TLS: bytes as they come.  Stands in for p2v/sync/tls.c in fuzz
 * targets, which speak for the other end behind the handshake.
 *
 * All that the other end will ever say must be in the socket before it is read;
 * what nobody takes in is dropped.  So nothing waits for anything but the end.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "p2v/sync/tls.h"

struct tls {
	int fd;
};

static struct err *start(int fd, struct tls **ret_tls)
{
	struct tls *tls = calloc(1, sizeof *tls);

	if (!tls)
		return err_nomem();
	tls->fd = fd;
	*ret_tls = tls;
	return NULL;
}

struct err *tls_connect(const struct key *key, int read_fd, int write_fd, uint64_t limit_ns,
			struct tls **ret_tls)
{
	(void)key, (void)write_fd, (void)limit_ns;
	return start(read_fd, ret_tls);
}

struct err *tls_accept(const struct key *key, int read_fd, int write_fd, uint64_t limit_ns,
		       struct tls **ret_tls)
{
	(void)key, (void)write_fd, (void)limit_ns;
	return start(read_fd, ret_tls);
}

void tls_set_read_limit(struct tls *tls, uint64_t limit_ns)
{
	(void)tls, (void)limit_ns;
}

void tls_set_write_limit(struct tls *tls, uint64_t limit_ns)
{
	(void)tls, (void)limit_ns;
}

struct err *tls_read(struct tls *tls, void *buf, size_t len_bytes, bool *ret_end)
{
	uint8_t *at = buf, *end = at + len_bytes;

	while (at < end) {
		ssize_t got = read(tls->fd, at, end - at);

		if (got < 0 && errno == EINTR)
			continue;
		if (!got && ret_end && at == buf) {
			*ret_end = true;
			return NULL;
		}
		if (got <= 0)
			return err_failed("the connection broke off");
		at += got;
	}
	return NULL;
}

struct err *tls_write(struct tls *tls, const void *buf, size_t len_bytes)
{
	if (send(tls->fd, buf, len_bytes, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EAGAIN)
		return err_failed("the connection broke off");
	return NULL;
}

struct err *tls_write_more(struct tls *tls, const void *buf, size_t len_bytes)
{
	return tls_write(tls, buf, len_bytes);
}

bool tls_has_input(struct tls *tls)
{
	struct pollfd wait = {.fd = tls->fd, .events = POLLIN};

	return poll(&wait, 1, 0) > 0;
}

struct err *tls_close(struct tls *tls)
{
	return shutdown(tls->fd, SHUT_WR) ? err_from_errno(errno, "the connection") : NULL;
}

void tls_linger(struct tls *tls, uint64_t limit_ns)
{
	(void)tls, (void)limit_ns;
}

void tls_end_reads(struct tls *tls)
{
	shutdown(tls->fd, SHUT_RD);
}

void tls_interrupt(struct tls *tls)
{
	shutdown(tls->fd, SHUT_RDWR);
}

void tls_destroy(struct tls *tls)
{
	if (!tls)
		return;
	close(tls->fd);
	free(tls);
}
