// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A lost connection stays in the pool and fails every request: writes that were
 * not flushed may be gone with it, and a new one could not tell.
 */
#include "p2v/base/nbd-pool.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/base/strv.h"

/* More do not make one client faster; nbdkit runs 16 requests at once by default. */
#define MAX_CONNECTIONS 16u

struct nbd_pool {
	char *uri;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t returned;
	struct nbd_handle *idle[MAX_CONNECTIONS];
	unsigned idle_count;
	unsigned open_count;
	unsigned open_limit;
};

/* libnbd's words for the last error, without the name of its function in front. */
static const char *libnbd_cause(void)
{
	const char *text = nbd_get_error();
	const char *colon = text ? strstr(text, ": ") : NULL;

	if (colon && str_starts_with(text, "nbd_"))
		return colon + 2;
	return text ? text : "unknown error";
}

struct err *nbd_request_error(const char *uri, const char *what, uint64_t offset)
{
	int errnum = nbd_get_errno();
	struct err *err;

	if (!errnum)
		return err_failed("%s: %s at offset %" PRIu64 ": %s", uri, what, offset, libnbd_cause());
	err = err_from_errno(errnum, "%s: %s at offset %" PRIu64, uri, what, offset);
	return err_advise(err, errnum == ENOTCONN
				       ? "the NBD server ended or hung up: its own messages say why"
				       : "the NBD server's own messages say why");
}

static struct err *connect_one(const char *uri, struct nbd_handle **ret_conn)
{
	struct nbd_handle *conn = nbd_create();

	if (!conn)
		return err_failed("%s: %s", uri, libnbd_cause());
	if (nbd_add_meta_context(conn, LIBNBD_CONTEXT_BASE_ALLOCATION) || nbd_connect_uri(conn, uri)) {
		struct err *err = err_failed("%s: cannot connect: %s", uri, libnbd_cause());

		nbd_close(conn);
		return err_advise(err, "check that the NBD server runs and that its address is right");
	}
	*ret_conn = conn;
	return NULL;
}

struct nbd_handle *nbd_pool_take(struct nbd_pool *pool)
{
	LOCKED(&pool->lock);

	while (!pool->idle_count) {
		struct nbd_handle *conn;
		struct err *err;

		if (pool->open_count == pool->open_limit) {
			pthread_cond_wait(&pool->returned, &pool->lock);
			continue;
		}
		err = connect_one(pool->uri, &conn);
		if (!err) {
			pool->open_count++;
			return conn;
		}
		/* A server that refuses another one is asked no more: those that are open do it, too. */
		err_free(err);
		pool->open_limit = pool->open_count;
	}
	return pool->idle[--pool->idle_count];
}

void nbd_pool_give_back(struct nbd_pool *pool, struct nbd_handle *conn)
{
	LOCKED(&pool->lock);

	pool->idle[pool->idle_count++] = conn;
	pthread_cond_signal(&pool->returned);
}

void nbd_pool_allow_more(struct nbd_pool *pool)
{
	LOCKED(&pool->lock);

	pool->open_limit = MAX_CONNECTIONS;
}

struct err *nbd_pool_create(const char *uri, struct nbd_pool **ret_pool)
{
	struct nbd_handle *conn;
	struct nbd_pool *pool;

	TRY(connect_one(uri, &conn));
	pool = xcalloc(1, sizeof *pool);
	pool->uri = xstrdup(uri);
	pool->idle[pool->idle_count++] = conn;
	pool->open_count = pool->open_limit = 1;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->returned, NULL);
	*ret_pool = pool;
	return NULL;
}

void nbd_pool_destroy(struct nbd_pool *pool)
{
	while (pool->idle_count) {
		struct nbd_handle *conn = pool->idle[--pool->idle_count];

		nbd_shutdown(conn, 0);
		nbd_close(conn);
	}
	pthread_mutex_destroy(&pool->lock);
	pthread_cond_destroy(&pool->returned);
	free(pool->uri);
	free(pool);
}
