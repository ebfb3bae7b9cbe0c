// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * An NBD export as a device, over libnbd.
 *
 * A request occupies one connection until it is answered.  Where the server
 * says that a flush on one connection covers the writes of all (multi-conn),
 * further connections are opened as threads ask for them; else there is one and
 * requests queue for it.
 *
 * Requests are cut to what the server takes; where it wants whole blocks, a
 * partly covered block is read, changed and written, alone on the device.
 *
 * NBD does not say what sectors the disk had: 512 bytes are assumed.
 */
#include "p2v/base/blk.h"

#include <inttypes.h>
#include <libnbd.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/base/nbd-pool.h"

/* Every server takes these (NBD protocol, "Block size constraints"). */
#define DEFAULT_REQUEST_BYTES (32u << 20)
#define MAX_BLOCK_BYTES (64u << 10)
/* Zeroing and block status carry no data: only their 32-bit length limits them. */
#define MAX_RANGE_BYTES (1u << 30)

struct blk_nbd {
	struct blk blk;
	struct nbd_pool *pool;
	uint32_t block_bytes; /* requests are multiples of this; 1: as one likes */
	uint32_t max_request_bytes;
	bool can_zero, can_fua, can_flush, can_extents;
	pthread_rwlock_t partial; /* held for writing while a partly covered block is changed */
};

static struct blk_nbd *to_nbd(struct blk *blk)
{
	return (struct blk_nbd *)blk;
}

/* One request, as the server wants it: cut and aligned by the callers. */
struct request {
	enum blk_op op;
	void *read_buf;
	const void *write_buf;
	uint64_t len_bytes;
	uint64_t offset;
	uint32_t nbd_flags;
};

static struct err *send_request(struct blk_nbd *nbd, const struct request *r)
{
	static const char *const names[] = {[BLK_OP_READ] = "read",
					    [BLK_OP_WRITE] = "write",
					    [BLK_OP_ZERO] = "zero",
					    [BLK_OP_FLUSH] = "flush"};
	struct err *err = NULL;
	struct nbd_handle *conn = nbd_pool_take(nbd->pool);
	int failed;

	switch (r->op) {
	case BLK_OP_READ:
		failed = nbd_pread(conn, r->read_buf, r->len_bytes, r->offset, 0);
		break;
	case BLK_OP_WRITE:
		failed = nbd_pwrite(conn, r->write_buf, r->len_bytes, r->offset, r->nbd_flags);
		break;
	case BLK_OP_ZERO:
		failed = nbd_zero(conn, r->len_bytes, r->offset, r->nbd_flags);
		break;
	default:
		failed = nbd_flush(conn, 0);
		break;
	}
	if (failed)
		err = nbd_request_error(nbd->blk.name, names[r->op], r->offset);
	nbd_pool_give_back(nbd->pool, conn);
	return err;
}

/*
 * The next piece of [offset, end) that one request can do: a run of whole
 * blocks, or (*ret_partial) what is covered of one block.
 */
static uint64_t piece_bytes(const struct blk_nbd *nbd, uint64_t offset, uint64_t end, uint64_t max_bytes,
			    bool *ret_partial)
{
	uint64_t block_bytes = nbd->block_bytes;
	uint64_t skip = offset % block_bytes;
	uint64_t len = end - offset;
	bool is_last = end == nbd->blk.size_bytes; /* the export may end inside a block */

	*ret_partial = skip || (len < block_bytes && !is_last);
	if (*ret_partial)
		return len < block_bytes - skip ? len : block_bytes - skip;
	if (len > max_bytes)
		return max_bytes;
	return is_last ? len : len - len % block_bytes;
}

/* The whole block around offset, less what lies behind the end. */
static struct request block_around(const struct blk_nbd *nbd, uint64_t offset, void *block)
{
	uint64_t start = offset - offset % nbd->block_bytes;
	uint64_t left = nbd->blk.size_bytes - start;

	return (struct request){
		.op = BLK_OP_READ,
		.read_buf = block,
		.len_bytes = left < nbd->block_bytes ? left : nbd->block_bytes,
		.offset = start,
	};
}

static struct err *read_partial(struct blk_nbd *nbd, void *buf, size_t len_bytes, uint64_t offset)
{
	CLEANUP_FREE uint8_t *block = xmalloc(nbd->block_bytes);
	struct request r = block_around(nbd, offset, block);

	TRY(send_request(nbd, &r));
	memcpy(buf, block + (offset - r.offset), len_bytes);
	return NULL;
}

/* Zeros for a NULL buf. */
static struct err *write_partial(struct blk_nbd *nbd, const void *buf, size_t len_bytes, uint64_t offset,
				 uint32_t nbd_flags)
{
	CLEANUP_FREE uint8_t *block = xmalloc(nbd->block_bytes);
	struct request r = block_around(nbd, offset, block);
	struct err *err;

	pthread_rwlock_wrlock(&nbd->partial);
	err = send_request(nbd, &r);
	if (!err) {
		if (buf)
			memcpy(block + (offset - r.offset), buf, len_bytes);
		else
			memset(block + (offset - r.offset), 0, len_bytes);
		r.op = BLK_OP_WRITE;
		r.write_buf = block;
		r.nbd_flags = nbd_flags;
		err = send_request(nbd, &r);
	}
	pthread_rwlock_unlock(&nbd->partial);
	return err;
}

/* A change of whole blocks, in any number at once but not beside a partial one. */
static struct err *write_whole(struct blk_nbd *nbd, const struct request *r)
{
	struct err *err;

	pthread_rwlock_rdlock(&nbd->partial);
	err = send_request(nbd, r);
	pthread_rwlock_unlock(&nbd->partial);
	return err;
}

static struct err *nbd_blk_pread(struct blk *blk, void *buf, size_t len_bytes, uint64_t offset)
{
	struct blk_nbd *nbd = to_nbd(blk);
	uint64_t end = offset + len_bytes;
	uint8_t *at = buf;

	while (offset < end) {
		bool partial;
		uint64_t bytes = piece_bytes(nbd, offset, end, nbd->max_request_bytes, &partial);

		if (partial)
			TRY(read_partial(nbd, at, bytes, offset));
		else
			TRY(send_request(nbd, &(struct request){.op = BLK_OP_READ,
								.read_buf = at,
								.len_bytes = bytes,
								.offset = offset}));
		at += bytes;
		offset += bytes;
	}
	return NULL;
}

static struct err *nbd_blk_flush(struct blk *blk)
{
	if (!to_nbd(blk)->can_flush)
		return NULL;
	return send_request(to_nbd(blk), &(struct request){.op = BLK_OP_FLUSH});
}

static uint32_t fua_flag(const struct blk_nbd *nbd, unsigned flags)
{
	return flags & BLK_FUA && nbd->can_fua ? LIBNBD_CMD_FLAG_FUA : 0;
}

/* A server without FUA is made durable by a flush. */
static struct err *flush_for_fua(struct blk_nbd *nbd, unsigned flags)
{
	return flags & BLK_FUA && !nbd->can_fua ? nbd_blk_flush(&nbd->blk) : NULL;
}

static struct err *nbd_blk_pwrite(struct blk *blk, const void *buf, size_t len_bytes, uint64_t offset,
				  unsigned flags)
{
	struct blk_nbd *nbd = to_nbd(blk);
	uint64_t end = offset + len_bytes;
	const uint8_t *at = buf;

	while (offset < end) {
		bool partial;
		uint64_t bytes = piece_bytes(nbd, offset, end, nbd->max_request_bytes, &partial);

		if (partial)
			TRY(write_partial(nbd, at, bytes, offset, fua_flag(nbd, flags)));
		else
			TRY(write_whole(nbd, &(struct request){.op = BLK_OP_WRITE,
							       .write_buf = at,
							       .len_bytes = bytes,
							       .offset = offset,
							       .nbd_flags = fua_flag(nbd, flags)}));
		at += bytes;
		offset += bytes;
	}
	return flush_for_fua(nbd, flags);
}

/* For a server that cannot zero by itself. */
static struct err *zero_by_writing(struct blk_nbd *nbd, uint64_t len_bytes, uint64_t offset, unsigned flags)
{
	uint64_t end = offset + len_bytes;
	size_t buf_bytes = len_bytes < (1u << 20) ? len_bytes : 1u << 20;
	CLEANUP_FREE void *zeros = xcalloc(1, buf_bytes);

	while (offset < end) {
		size_t bytes = end - offset < buf_bytes ? end - offset : buf_bytes;

		TRY(nbd_blk_pwrite(&nbd->blk, zeros, bytes, offset, 0));
		offset += bytes;
	}
	return flags & BLK_FUA ? nbd_blk_flush(&nbd->blk) : NULL;
}

static struct err *nbd_blk_zero(struct blk *blk, uint64_t len_bytes, uint64_t offset, unsigned flags)
{
	struct blk_nbd *nbd = to_nbd(blk);
	uint32_t fua = fua_flag(nbd, flags);
	uint32_t nbd_flags = fua | (flags & BLK_MAY_TRIM ? 0 : LIBNBD_CMD_FLAG_NO_HOLE);
	uint64_t end = offset + len_bytes;

	if (!nbd->can_zero)
		return zero_by_writing(nbd, len_bytes, offset, flags);
	while (offset < end) {
		bool partial;
		uint64_t bytes = piece_bytes(nbd, offset, end, MAX_RANGE_BYTES, &partial);

		if (partial)
			TRY(write_partial(nbd, NULL, bytes, offset, fua));
		else
			TRY(write_whole(nbd, &(struct request){.op = BLK_OP_ZERO,
							       .len_bytes = bytes,
							       .offset = offset,
							       .nbd_flags = nbd_flags}));
		offset += bytes;
	}
	return flush_for_fua(nbd, flags);
}

/* Pairs of length and flags, as block status answers. */
struct status {
	uint32_t *entries;
	size_t count;
};

static int keep_status(void *arg, const char *context, uint64_t offset, uint32_t *entries, size_t count,
		       int *error)
{
	struct status *status = arg;

	(void)offset;
	(void)error;
	if (!strcmp(context, LIBNBD_CONTEXT_BASE_ALLOCATION) && !status->entries) {
		status->entries = xmemdup(entries, count * sizeof *entries);
		status->count = count;
	}
	return 0;
}

/* Asks for [offset, end) in whole blocks; the answer starts at *ret_start. */
static struct err *ask_status(struct blk_nbd *nbd, uint64_t offset, uint64_t end, struct status *ret_status,
			      uint64_t *ret_start)
{
	uint64_t start = offset - offset % nbd->block_bytes;
	uint64_t over = end % nbd->block_bytes;
	uint64_t stop = over && nbd->blk.size_bytes - end > nbd->block_bytes - over
				? end + nbd->block_bytes - over
			: over ? nbd->blk.size_bytes
			       : end;
	nbd_extent_callback callback = {.callback = keep_status, .user_data = ret_status};
	struct nbd_handle *conn = nbd_pool_take(nbd->pool);
	struct err *err = NULL;

	if (nbd_block_status(conn, stop - start, start, callback, 0))
		err = nbd_request_error(nbd->blk.name, "block status", start);
	nbd_pool_give_back(nbd->pool, conn);
	*ret_start = start;
	return err;
}

/* Reports what one answer says about [*offset, end), and moves *offset behind it. */
static struct err *report_status(const struct status *status, uint64_t start, uint64_t *offset, uint64_t end,
				 blk_extent_fn fn, void *arg)
{
	for (size_t i = 0; i + 1 < status->count && *offset < end; i += 2) {
		uint64_t stop = start + status->entries[i];
		unsigned flags = status->entries[i + 1] & (BLK_EXTENT_HOLE | BLK_EXTENT_ZERO);

		start = stop;
		if (stop > end)
			stop = end;
		if (stop <= *offset)
			continue;
		TRY(fn(arg, *offset, stop - *offset, flags));
		*offset = stop;
	}
	return NULL;
}

static struct err *nbd_blk_extents(struct blk *blk, uint64_t len_bytes, uint64_t offset, blk_extent_fn fn,
				   void *arg)
{
	struct blk_nbd *nbd = to_nbd(blk);
	uint64_t end = offset + len_bytes;

	if (!nbd->can_extents)
		return fn(arg, offset, len_bytes, 0);
	while (offset < end) {
		uint64_t before = offset;
		uint64_t stop = end - offset < MAX_RANGE_BYTES ? end : offset + MAX_RANGE_BYTES;
		struct status status = {0};
		uint64_t start;
		struct err *err = ask_status(nbd, offset, stop, &status, &start);

		if (!err)
			err = report_status(&status, start, &offset, end, fn, arg);
		free(status.entries);
		if (err)
			return err;
		if (offset == before)
			return err_failed("%s: the server says nothing about offset %" PRIu64, blk->name,
					  offset);
	}
	return NULL;
}

static struct err *nbd_blk_close(struct blk *blk)
{
	struct blk_nbd *nbd = to_nbd(blk);

	nbd_pool_destroy(nbd->pool);
	pthread_rwlock_destroy(&nbd->partial);
	free(blk->name);
	free(nbd);
	return NULL;
}

static const struct blk_ops nbd_ops = {
	.kind = "nbd",
	.pread = nbd_blk_pread,
	.pwrite = nbd_blk_pwrite,
	.zero = nbd_blk_zero,
	/* NBD's trim promises nothing about what is read afterwards: the general way, zero that may trim. */
	.extents = nbd_blk_extents,
	.flush = nbd_blk_flush,
	.close = nbd_blk_close,
};

/* A size that the server advertises, or the fallback where it does not. */
static int64_t advertised_bytes(struct nbd_handle *conn, int what, int64_t fallback)
{
	int64_t bytes = nbd_get_block_size(conn, what);

	return bytes > 0 ? bytes : fallback;
}

static struct err *read_block_sizes(struct blk_nbd *nbd, struct nbd_handle *conn)
{
	int64_t block = advertised_bytes(conn, LIBNBD_SIZE_MINIMUM, 1);
	int64_t preferred = advertised_bytes(conn, LIBNBD_SIZE_PREFERRED, 1 << 20);
	int64_t max = advertised_bytes(conn, LIBNBD_SIZE_MAXIMUM, DEFAULT_REQUEST_BYTES);

	if (block > MAX_BLOCK_BYTES || block & (block - 1) || preferred > 1 << 30 || max < block)
		return err_failed("%s: the server asks for impossible block sizes: %" PRId64 ", %" PRId64
				  ", %" PRId64,
				  nbd->blk.name, block, preferred, max);
	if (max > DEFAULT_REQUEST_BYTES)
		max = DEFAULT_REQUEST_BYTES;
	nbd->block_bytes = block;
	nbd->max_request_bytes = max - max % block;
	nbd->blk.preferred_bytes = preferred;
	return NULL;
}

/* What the export is and can, from the first connection. */
static struct err *read_export(struct blk_nbd *nbd, struct nbd_handle *conn, unsigned flags)
{
	int64_t size_bytes = nbd_get_size(conn);

	if (size_bytes < 0)
		return nbd_request_error(nbd->blk.name, "size", 0);
	nbd->blk.size_bytes = size_bytes;
	TRY(read_block_sizes(nbd, conn));
	if (!(flags & BLK_NBD_WRITE))
		nbd->blk.flags |= BLK_READ_ONLY;
	else if (nbd_is_read_only(conn) == 1)
		return err_advise(err_refused("%s: the server exports it read-only", nbd->blk.name),
				  "start the server so that it allows writing");
	nbd->can_zero = nbd_can_zero(conn) == 1;
	nbd->can_fua = nbd_can_fua(conn) == 1;
	nbd->can_flush = nbd_can_flush(conn) == 1;
	nbd->can_extents = nbd_can_meta_context(conn, LIBNBD_CONTEXT_BASE_ALLOCATION) == 1;
	if (nbd->can_zero)
		nbd->blk.flags |= BLK_FAST_ZERO;
	if (nbd_can_multi_conn(conn) == 1)
		nbd_pool_allow_more(nbd->pool);
	return NULL;
}

struct err *blk_nbd_open(const char *uri, unsigned flags, struct blk **ret_blk)
{
	struct nbd_pool *pool;
	struct nbd_handle *conn;
	struct blk_nbd *nbd;
	struct err *err;

	TRY(nbd_pool_create(uri, &pool));
	nbd = xcalloc(1, sizeof *nbd);
	nbd->blk = (struct blk){
		.ops = &nbd_ops,
		.name = xstrdup(uri),
		.logical_sector_bytes = 512,
		.physical_sector_bytes = 4096,
	};
	nbd->pool = pool;
	pthread_rwlock_init(&nbd->partial, NULL);
	conn = nbd_pool_take(pool);
	err = read_export(nbd, conn, flags);
	nbd_pool_give_back(pool, conn);
	if (err)
		return err_first(err, nbd_blk_close(&nbd->blk));
	*ret_blk = &nbd->blk;
	return NULL;
}
