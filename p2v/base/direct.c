/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What has to be aligned, and how, the file system tells (statx), or the safest
 * is assumed.  Both descriptors may be used at once: the kernel writes cached
 * pages out before a direct request and drops them after it.  A page is never
 * touched by both kinds of request at the same time unless the callers' own
 * requests overlap, as direct ones cover whole pages.
 */
#include "p2v/base/direct.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "p2v/base/cleanup.h"

/* Below this, what the page cache saves (waiting for the disk) is worth more than what it costs. */
#define MIN_BYTES (256u << 10)
#define SAFE_ALIGN_BYTES 4096u
#define MAX_ALIGN_BYTES (64u << 10)
#define BOUNCE_BYTES (1u << 20)
#define MIN_PAGE_BYTES 4096u /* of memory */
#define PROBE_BYTES (64u << 10) /* the page cache holds long stretches, or nothing */

static bool is_same_file(int a, int b)
{
	struct stat st_a, st_b;

	return !fstat(a, &st_a) && !fstat(b, &st_b) && st_a.st_dev == st_b.st_dev &&
	       st_a.st_ino == st_b.st_ino;
}

/* Kernels before 6.1 do not tell. */
static void find_alignment(struct direct *direct)
{
	direct->memory_align_bytes = SAFE_ALIGN_BYTES;
	direct->offset_align_bytes = SAFE_ALIGN_BYTES;
#ifdef STATX_DIOALIGN
	struct statx stx;

	if (statx(direct->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) || !(stx.stx_mask & STATX_DIOALIGN) ||
	    !stx.stx_dio_offset_align)
		return;
	direct->memory_align_bytes = stx.stx_dio_mem_align;
	/* Whole pages, as the opening comment says. */
	if (stx.stx_dio_offset_align > SAFE_ALIGN_BYTES)
		direct->offset_align_bytes = stx.stx_dio_offset_align;
#endif
}

void direct_init(const char *path, int fd, int mode, struct direct *ret_direct)
{
	*ret_direct = (struct direct){.fd = open(path, mode | O_DIRECT | O_CLOEXEC)};
	if (ret_direct->fd < 0)
		return;
	pthread_mutex_init(&ret_direct->lock, NULL);
	find_alignment(ret_direct);
	if (!is_same_file(fd, ret_direct->fd) || ret_direct->offset_align_bytes > MAX_ALIGN_BYTES ||
	    ret_direct->memory_align_bytes > MAX_ALIGN_BYTES)
		direct_deinit(ret_direct);
}

int direct_deinit(struct direct *direct)
{
	int fd = direct->fd;

	if (fd < 0)
		return 0;
	direct->fd = -1;
	while (direct->spare_count)
		free(direct->spares[--direct->spare_count]);
	pthread_mutex_destroy(&direct->lock);
	return close(fd);
}

struct direct_span direct_span(const struct direct *direct, size_t len_bytes, uint64_t offset)
{
	size_t mask = direct->offset_align_bytes - 1u, skip;

	if (direct->fd < 0 || len_bytes < MIN_BYTES)
		return (struct direct_span){0};
	skip = -offset & mask;
	return (struct direct_span){skip, (len_bytes - skip) & ~mask};
}

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

bool direct_is_cached(int fd, size_t len_bytes, uint64_t offset)
{
	size_t bytes = min_size(len_bytes, PROBE_BYTES), pages, resident = 0;
	unsigned char in_core[PROBE_BYTES / MIN_PAGE_BYTES];
	void *map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, offset);

	if (map == MAP_FAILED)
		return false;
	pages = (bytes + sysconf(_SC_PAGESIZE) - 1) / sysconf(_SC_PAGESIZE);
	if (!mincore(map, bytes, in_core))
		for (size_t i = 0; i < pages; i++)
			resident += in_core[i] & 1;
	munmap(map, bytes);
	return resident > pages / 2;
}

static bool transfer_all(int fd, bool is_write, uint8_t *at, size_t len_bytes, uint64_t offset, int flags)
{
	while (len_bytes) {
		struct iovec part = {at, len_bytes};
		ssize_t done = is_write ? pwritev2(fd, &part, 1, offset, flags)
					: preadv2(fd, &part, 1, offset, flags);

		if (done < 0 && errno == EINTR)
			continue;
		if (!done)
			errno = EINVAL; /* somebody shortens the file: the other way reports it */
		if (done <= 0)
			return false;
		at += done;
		offset += done;
		len_bytes -= done;
	}
	return true;
}

static bool is_memory_aligned(const struct direct *direct, const void *buf)
{
	return !((uintptr_t)buf & (direct->memory_align_bytes - 1));
}

/* NULL if there is no memory. */
static uint8_t *bounce_take(struct direct *direct)
{
	LOCKED(&direct->lock);

	if (direct->spare_count)
		return direct->spares[--direct->spare_count];
	return aligned_alloc(MAX_ALIGN_BYTES, BOUNCE_BYTES);
}

/* Leaves errno as it is. */
static void bounce_give(struct direct *direct, uint8_t *bounce)
{
	int errnum = errno;
	LOCKED(&direct->lock);

	if (direct->spare_count < DIRECT_SPARES)
		direct->spares[direct->spare_count++] = bounce;
	else
		free(bounce);
	errno = errnum;
}

bool direct_read(struct direct *direct, void *buf, size_t len_bytes, uint64_t offset)
{
	return direct_read_all(direct, direct->offset_align_bytes, buf, len_bytes, offset);
}

bool direct_read_all(struct direct *direct, uint32_t align_bytes, void *buf, size_t len_bytes,
		     uint64_t offset)
{
	uint64_t mask = align_bytes - 1u, end = offset + len_bytes;
	uint8_t *at = buf, *bounce;
	bool is_read = true;

	if (is_memory_aligned(direct, buf) && !((offset | len_bytes) & mask))
		return transfer_all(direct->fd, false, buf, len_bytes, offset, 0);
	bounce = bounce_take(direct);
	if (!bounce) {
		errno = ENOMEM;
		return false;
	}
	while (is_read && offset < end) {
		uint64_t start = offset & ~mask;
		size_t bytes = min_size(((end + mask) & ~mask) - start, BOUNCE_BYTES);
		size_t skip = offset - start, wanted = min_size(bytes - skip, end - offset);

		is_read = transfer_all(direct->fd, false, bounce, bytes, start, 0);
		if (is_read)
			memcpy(at, bounce + skip, wanted);
		at += wanted;
		offset += wanted;
	}
	bounce_give(direct, bounce);
	return is_read;
}

bool direct_write(struct direct *direct, const void *buf, size_t len_bytes, uint64_t offset, int flags)
{
	const uint8_t *at = buf;
	size_t done = 0, bytes;
	uint8_t *bounce;

	if (is_memory_aligned(direct, buf))
		return transfer_all(direct->fd, true, (uint8_t *)buf, len_bytes, offset, flags);
	bounce = bounce_take(direct);
	for (; bounce && done < len_bytes; done += bytes) {
		bytes = min_size(len_bytes - done, BOUNCE_BYTES);
		memcpy(bounce, at + done, bytes);
		if (!transfer_all(direct->fd, true, bounce, bytes, offset + done, flags))
			break;
	}
	if (bounce)
		bounce_give(direct, bounce);
	return done == len_bytes;
}
