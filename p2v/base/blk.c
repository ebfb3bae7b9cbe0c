/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The part that all kinds of devices share: range checks, and the general way
 * of doing what a kind has no better way for.
 */
#include "p2v/base/blk.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define ZERO_CHUNK_BYTES (1u << 20)
/* A file system's block and a cluster of most formats; shorter runs of zeros are not worth a request. */
#define ZERO_RUN_BYTES (64u << 10)

static struct err *check_range(const struct blk *blk, const char *what, uint64_t len_bytes, uint64_t offset)
{
	/* Another thread may be making the device longer. */
	uint64_t size_bytes = __atomic_load_n(&blk->size_bytes, __ATOMIC_RELAXED);

	if (offset <= size_bytes && len_bytes <= size_bytes - offset)
		return NULL;
	return err_failed("%s: %s of %" PRIu64 " bytes at offset %" PRIu64 " reaches behind the end (%" PRIu64
			  ")",
			  blk->name, what, len_bytes, offset, size_bytes);
}

static struct err *check_change(const struct blk *blk, const char *what, uint64_t len_bytes, uint64_t offset)
{
	if (blk->flags & BLK_READ_ONLY || !blk->ops->pwrite)
		return err_refused("%s: %s: opened read-only", blk->name, what);
	return check_range(blk, what, len_bytes, offset);
}

struct err *blk_pread(struct blk *blk, void *buf, size_t len_bytes, uint64_t offset)
{
	TRY(check_range(blk, "read", len_bytes, offset));
	return len_bytes ? blk->ops->pread(blk, buf, len_bytes, offset) : NULL;
}

struct err *blk_pwrite(struct blk *blk, const void *buf, size_t len_bytes, uint64_t offset, unsigned flags)
{
	TRY(check_change(blk, "write", len_bytes, offset));
	return len_bytes ? blk->ops->pwrite(blk, buf, len_bytes, offset, flags) : NULL;
}

static struct err *write_zeros(struct blk *blk, uint64_t len_bytes, uint64_t offset, unsigned flags)
{
	size_t chunk_bytes = len_bytes < ZERO_CHUNK_BYTES ? len_bytes : ZERO_CHUNK_BYTES;
	CLEANUP_FREE void *zeros = calloc(1, chunk_bytes);

	if (!zeros)
		return err_nomem();
	while (len_bytes) {
		size_t bytes = len_bytes < chunk_bytes ? len_bytes : chunk_bytes;

		TRY(blk->ops->pwrite(blk, zeros, bytes, offset, flags & BLK_FUA));
		len_bytes -= bytes;
		offset += bytes;
	}
	return NULL;
}

struct err *blk_zero(struct blk *blk, uint64_t len_bytes, uint64_t offset, unsigned flags)
{
	TRY(check_change(blk, "zero", len_bytes, offset));
	if (!len_bytes)
		return NULL;
	if (!blk->ops->zero)
		return write_zeros(blk, len_bytes, offset, flags);
	return blk->ops->zero(blk, len_bytes, offset, flags);
}

struct err *blk_discard(struct blk *blk, uint64_t len_bytes, uint64_t offset)
{
	TRY(check_change(blk, "discard", len_bytes, offset));
	if (!len_bytes)
		return NULL;
	if (!blk->ops->discard)
		return blk_zero(blk, len_bytes, offset, BLK_MAY_TRIM);
	return blk->ops->discard(blk, len_bytes, offset);
}

struct err *blk_extents(struct blk *blk, uint64_t len_bytes, uint64_t offset, blk_extent_fn fn, void *arg)
{
	TRY(check_range(blk, "extents", len_bytes, offset));
	if (!len_bytes)
		return NULL;
	if (!blk->ops->extents)
		return fn(arg, offset, len_bytes, 0);
	return blk->ops->extents(blk, len_bytes, offset, fn, arg);
}

struct err *blk_flush(struct blk *blk)
{
	if (blk->flags & BLK_READ_ONLY || !blk->ops->flush)
		return NULL;
	return blk->ops->flush(blk);
}

struct err *blk_locate(struct blk *blk, uint64_t len_bytes, uint64_t offset, struct blk_place *ret_place)
{
	TRY(check_range(blk, "locate", len_bytes, offset));
	*ret_place = (struct blk_place){.len_bytes = len_bytes};
	return len_bytes && blk->ops->locate ? blk->ops->locate(blk, len_bytes, offset, ret_place) : NULL;
}

bool blk_can_clone(struct blk *blk, struct blk *file)
{
	return !(blk->flags & BLK_READ_ONLY) && blk->ops->can_clone && blk->ops->can_clone(blk, file);
}

struct err *blk_clone(struct blk *blk, struct blk *file, uint64_t len_bytes, uint64_t file_offset,
		      uint64_t offset, uint64_t *ret_bytes)
{
	*ret_bytes = 0;
	TRY(check_change(blk, "clone", len_bytes, offset));
	TRY(check_range(file, "clone", len_bytes, file_offset));
	len_bytes -= len_bytes % BLK_CLONE_ALIGN_BYTES;
	if (!len_bytes || (offset | file_offset) % BLK_CLONE_ALIGN_BYTES || !blk_can_clone(blk, file))
		return NULL;
	return blk->ops->clone(blk, file, len_bytes, file_offset, offset, ret_bytes);
}

struct err *blk_resize(struct blk *blk, uint64_t size_bytes)
{
	if (blk->flags & BLK_READ_ONLY || !blk->ops->resize)
		return err_refused("%s: cannot change the size", blk->name);
	if (size_bytes == blk->size_bytes)
		return NULL;
	return blk->ops->resize(blk, size_bytes);
}

struct err *blk_close(struct blk *blk)
{
	return blk ? blk->ops->close(blk) : NULL;
}

static struct err *collect_data(void *arg, uint64_t offset, uint64_t len_bytes, unsigned extent_flags)
{
	if (!(extent_flags & BLK_EXTENT_ZERO))
		extents_add(arg, offset, offset + len_bytes);
	return NULL;
}

struct err *blk_data_extents(struct blk *blk, uint64_t len_bytes, uint64_t offset, struct extents *ret_set)
{
	return blk_extents(blk, len_bytes, offset, collect_data, ret_set);
}

/* The first bytes decide for nearly all data; then the buffer is compared with itself, shifted, which
 * memcmp() does as fast as memory can be read. */
bool blk_is_zero(const void *buf, size_t len_bytes)
{
	static const uint8_t zeros[64];
	size_t head_bytes = len_bytes < sizeof zeros ? len_bytes : sizeof zeros;

	if (memcmp(buf, zeros, head_bytes))
		return false;
	return len_bytes == head_bytes ||
	       !memcmp(buf, (const uint8_t *)buf + head_bytes, len_bytes - head_bytes);
}

struct err *blk_pwrite_data(struct blk *blk, const void *buf, size_t len_bytes, uint64_t offset)
{
	const uint8_t *bytes = buf;
	size_t start = 0; /* of the run that is not yet written */

	for (size_t at = 0; at < len_bytes;) {
		size_t step = ZERO_RUN_BYTES - (offset + at) % ZERO_RUN_BYTES;

		if (step > len_bytes - at)
			step = len_bytes - at;
		if (blk_is_zero(bytes + at, step)) {
			TRY(blk_pwrite(blk, bytes + start, at - start, offset + start, 0));
			start = at + step;
		}
		at += step;
	}
	return blk_pwrite(blk, bytes + start, len_bytes - start, offset + start, 0);
}
