/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Connections to one NBD export, each of which serves one request at a time.
 * Used by blk-nbd.c alone.
 */
#ifndef P2V_BASE_NBD_POOL_H
#define P2V_BASE_NBD_POOL_H

#include <libnbd.h>
#include <stdint.h>

#include "p2v/base/err.h"

struct nbd_pool;

/* Makes the first connection; further ones wait for nbd_pool_allow_more(). */
struct err *nbd_pool_create(const char *uri, struct nbd_pool **ret_pool) ERR_MUST_CHECK;
void nbd_pool_destroy(struct nbd_pool *pool);

/* From now on a connection is opened for every thread that finds none idle, up to a limit. */
void nbd_pool_allow_more(struct nbd_pool *pool);

/* An idle connection, a new one, or, where no more may be opened, the next that comes back. */
struct nbd_handle *nbd_pool_take(struct nbd_pool *pool);
void nbd_pool_give_back(struct nbd_pool *pool, struct nbd_handle *conn);

/* The error of a request that libnbd has just reported to this thread. */
struct err *nbd_request_error(const char *uri, const char *what, uint64_t offset) ERR_MUST_CHECK;

#endif
