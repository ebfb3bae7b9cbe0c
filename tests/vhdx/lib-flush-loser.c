// SPDX-License-Identifier: GPL-3.0-or-later
#include "tests/vhdx/lib-flush-loser.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "p2v/base/mem.h"

struct loser {
	struct blk blk;
	struct blk *inner;
	uint64_t start, end;
	atomic_bool touched;
};

static struct loser *to_loser(struct blk *blk)
{
	return (struct loser *)blk;
}

/* The flags that the request keeps. */
static unsigned touch(struct loser *l, uint64_t len_bytes, uint64_t offset, unsigned flags)
{
	if (offset >= l->end || offset + len_bytes <= l->start)
		return flags;
	l->touched = true;
	return flags & ~BLK_FUA;
}

static struct err *loser_pread(struct blk *blk, void *buf, size_t len_bytes, uint64_t offset)
{
	return blk_pread(to_loser(blk)->inner, buf, len_bytes, offset);
}

static struct err *loser_pwrite(struct blk *blk, const void *buf, size_t len_bytes, uint64_t offset,
				unsigned flags)
{
	flags = touch(to_loser(blk), len_bytes, offset, flags);
	return blk_pwrite(to_loser(blk)->inner, buf, len_bytes, offset, flags);
}

static struct err *loser_zero(struct blk *blk, uint64_t len_bytes, uint64_t offset, unsigned flags)
{
	flags = touch(to_loser(blk), len_bytes, offset, flags);
	return blk_zero(to_loser(blk)->inner, len_bytes, offset, flags);
}

static struct err *loser_discard(struct blk *blk, uint64_t len_bytes, uint64_t offset)
{
	touch(to_loser(blk), len_bytes, offset, 0);
	return blk_discard(to_loser(blk)->inner, len_bytes, offset);
}

static struct err *loser_flush(struct blk *blk)
{
	if (atomic_exchange(&to_loser(blk)->touched, false))
		return NULL;
	return blk_flush(to_loser(blk)->inner);
}

static struct err *loser_resize(struct blk *blk, uint64_t size_bytes)
{
	TRY(blk_resize(to_loser(blk)->inner, size_bytes));
	blk->size_bytes = size_bytes;
	return NULL;
}

static struct err *loser_close(struct blk *blk)
{
	struct err *err = blk_close(to_loser(blk)->inner);

	free(blk->name);
	free(blk);
	return err;
}

struct blk *flush_loser_create(struct blk *inner, uint64_t start, uint64_t end)
{
	static const struct blk_ops ops = {
		.kind = "flush-loser",
		.pread = loser_pread,
		.pwrite = loser_pwrite,
		.zero = loser_zero,
		.discard = loser_discard,
		.flush = loser_flush,
		.resize = loser_resize,
		.close = loser_close,
	};
	struct loser *l = xcalloc(1, sizeof *l);

	l->blk = *inner;
	l->blk.ops = &ops;
	l->blk.name = xstrdup(inner->name);
	l->inner = inner;
	l->start = start;
	l->end = end;
	return &l->blk;
}

struct keeper {
	struct blk blk;
	struct blk *disk, *file;
};

static struct keeper *to_keeper(struct blk *blk)
{
	return (struct keeper *)blk;
}

static struct err *keeper_pread(struct blk *blk, void *buf, size_t len_bytes, uint64_t offset)
{
	return blk_pread(to_keeper(blk)->disk, buf, len_bytes, offset);
}

static struct err *keeper_flush(struct blk *blk)
{
	TRY(blk_flush(to_keeper(blk)->disk));
	return blk_flush(to_keeper(blk)->file);
}

static struct err *keeper_pwrite(struct blk *blk, const void *buf, size_t len_bytes, uint64_t offset,
				 unsigned flags)
{
	TRY(blk_pwrite(to_keeper(blk)->disk, buf, len_bytes, offset, flags));
	return flags & BLK_FUA ? blk_flush(to_keeper(blk)->file) : NULL;
}

static struct err *keeper_zero(struct blk *blk, uint64_t len_bytes, uint64_t offset, unsigned flags)
{
	TRY(blk_zero(to_keeper(blk)->disk, len_bytes, offset, flags));
	return flags & BLK_FUA ? blk_flush(to_keeper(blk)->file) : NULL;
}

static struct err *keeper_discard(struct blk *blk, uint64_t len_bytes, uint64_t offset)
{
	return blk_discard(to_keeper(blk)->disk, len_bytes, offset);
}

static struct err *keeper_close(struct blk *blk)
{
	free(blk);
	return NULL;
}

struct blk *flush_keeper_create(struct blk *disk, struct blk *file)
{
	static const struct blk_ops ops = {
		.kind = "flush-keeper",
		.pread = keeper_pread,
		.pwrite = keeper_pwrite,
		.zero = keeper_zero,
		.discard = keeper_discard,
		.flush = keeper_flush,
		.close = keeper_close,
	};
	struct keeper *k = xcalloc(1, sizeof *k);

	k->blk = *disk;
	k->blk.ops = &ops;
	k->disk = disk;
	k->file = file;
	return &k->blk;
}
