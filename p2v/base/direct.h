/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Large requests to a file around the page cache (O_DIRECT): the data is not copied and the disk begins at
 * once, which is several times as fast for bulk data.  Small requests and unaligned ends stay in the page
 * cache; the kernel keeps both views the same.
 */
#ifndef P2V_BASE_DIRECT_H
#define P2V_BASE_DIRECT_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "p2v/base/err.h"

#define DIRECT_SPARES 16

struct direct {
	int fd; /* -1: everything goes through the page cache */
	uint32_t memory_align_bytes, offset_align_bytes;
	/* Aligned memory for copies, kept: new memory has to be cleared by the kernel each time. */
	pthread_mutex_t lock;
	uint8_t *spares[DIRECT_SPARES];
	unsigned spare_count;
};

/* A second descriptor, with O_DIRECT, of the file that path named when fd was opened; mode as for fd.  Where
 * that cannot be had ret_direct->fd is -1. */
void direct_init(const char *path, int fd, int mode, struct direct *ret_direct);
int direct_deinit(struct direct *direct); /* as close() */

/* The part of a request that is worth it; bytes is 0 if none is. */
struct direct_span {
	size_t skip_bytes; /* before it */
	size_t len_bytes;
};
struct direct_span direct_span(const struct direct *direct, size_t len_bytes, uint64_t offset);

/* Whether most of the start of a span is in the page cache, so that reading it there is cheaper. */
bool direct_is_cached(int fd, size_t len_bytes, uint64_t offset);

/* Reads or writes a span (flags: RWF_*), by way of a copy if the memory is not aligned.  False: the page
 * cache has to do it, and to tell what is wrong. */
bool direct_read(struct direct *direct, void *buf, size_t len_bytes, uint64_t offset);
/* Reads anything, by way of a copy where it is not aligned; align_bytes is what the device can, its sector.
 * False: errno says why. */
bool direct_read_all(struct direct *direct, uint32_t align_bytes, void *buf, size_t len_bytes,
		     uint64_t offset);
bool direct_write(struct direct *direct, const void *buf, size_t len_bytes, uint64_t offset, int flags);

#endif
