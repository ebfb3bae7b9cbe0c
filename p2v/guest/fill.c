/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A few threads, each with a connection, share a cursor over the ranges.  The
 * first error stops them all.
 */
#include "p2v/guest/fill.h"

#include <libnbd.h>
#include <pthread.h>
#include <stdlib.h>

#include "p2v/base/mem.h"

#define THREADS 4
#define CHUNK_BYTES (16ull << 20)

struct fill {
	char *uri;
	const struct extents *data;
	struct progress *progress;
	pthread_mutex_t lock; /* of what follows */
	size_t range;
	uint64_t range_done_bytes;
	bool stop;
	struct err *err;
	pthread_t threads[THREADS];
	unsigned thread_count;
};

/* The next piece to fill; false when there is none, or none wanted. */
static bool next_chunk(struct fill *fill, struct extent *ret_chunk)
{
	const struct extent *range;
	uint64_t start;

	LOCKED(&fill->lock);
	if (fill->stop || fill->err || fill->range == fill->data->count)
		return false;
	range = &fill->data->ranges[fill->range];
	start = range->start + fill->range_done_bytes;
	if (range->end - start > CHUNK_BYTES) {
		/* Chunks end at multiples of their size, so that no unit is in two of them. */
		uint64_t end = (start + CHUNK_BYTES) & ~(CHUNK_BYTES - 1);

		*ret_chunk = (struct extent){start, end};
		fill->range_done_bytes += end - start;
	} else {
		*ret_chunk = (struct extent){start, range->end};
		fill->range++;
		fill->range_done_bytes = 0;
	}
	return true;
}

static struct err *nbd_error(const char *what)
{
	const char *text = nbd_get_error();

	return err_failed("%s: %s", what, text ? text : "unknown error");
}

static struct err *fill_chunks(struct fill *fill, struct nbd_handle *nbd)
{
	struct extent chunk;

	if (nbd_connect_uri(nbd, fill->uri))
		return nbd_error("copying the disk");
	while (next_chunk(fill, &chunk)) {
		if (nbd_cache(nbd, chunk.end - chunk.start, chunk.start, 0))
			return nbd_error("copying the disk");
		progress_add(fill->progress, chunk.end - chunk.start);
	}
	/* Only a flush tells whether what was copied is really there. */
	if (nbd_flush(nbd, 0) || nbd_shutdown(nbd, 0))
		return nbd_error("copying the disk");
	return NULL;
}

static void *run_thread(void *arg)
{
	struct fill *fill = arg;
	struct nbd_handle *nbd = nbd_create();
	struct err *err = nbd ? fill_chunks(fill, nbd) : nbd_error("NBD");

	nbd_close(nbd);
	LOCKED(&fill->lock);
	fill->err = err_first(fill->err, err);
	return NULL;
}

struct err *fill_start(const char *nbd_uri, const struct extents *data, struct progress *progress,
		       struct fill **ret_fill)
{
	struct fill *fill = xcalloc(1, sizeof *fill);

	fill->uri = xstrdup(nbd_uri);
	fill->data = data;
	fill->progress = progress;
	pthread_mutex_init(&fill->lock, NULL);
	for (; fill->thread_count < THREADS; fill->thread_count++) {
		int errnum = pthread_create(&fill->threads[fill->thread_count], NULL, run_thread, fill);

		if (errnum && !fill->thread_count) {
			fill_abandon(fill);
			return err_from_errno(errnum, "starting a thread");
		}
		if (errnum)
			break;
	}
	*ret_fill = fill;
	return NULL;
}

struct err *fill_finish(struct fill *fill)
{
	struct err *err;

	for (unsigned i = 0; i < fill->thread_count; i++)
		pthread_join(fill->threads[i], NULL);
	err = fill->err;
	pthread_mutex_destroy(&fill->lock);
	free(fill->uri);
	free(fill);
	return err;
}

void fill_abandon(struct fill *fill)
{
	if (!fill)
		return;
	pthread_mutex_lock(&fill->lock);
	fill->stop = true;
	pthread_mutex_unlock(&fill->lock);
	err_free(fill_finish(fill));
}
