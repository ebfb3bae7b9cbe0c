// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Faults on demand, over another device: a table of rules, each of which makes
 * chosen requests fail with a chosen errno.  A request that a rule fails never
 * reaches the device below.
 */
#include "p2v/base/blk.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"

struct rule {
	struct blk_fault fault;
	uint64_t seen; /* requests that it applied to so far */
};

struct blk_faulty {
	struct blk blk;
	struct blk *inner;
	pthread_mutex_t lock; /* of the rules' counters */
	size_t count;
	struct rule rules[];
};

static struct blk_faulty *to_faulty(struct blk *blk)
{
	return (struct blk_faulty *)blk;
}

static bool applies(const struct blk_fault *fault, enum blk_op op, uint64_t len_bytes, uint64_t offset)
{
	if (fault->op != op)
		return false;
	if (op == BLK_OP_FLUSH)
		return true;
	return fault->start < fault->end && offset < fault->end && fault->start < offset + len_bytes;
}

/* Counts the request in this rule; true if it is one of those that fail. */
static bool fires(struct rule *rule)
{
	uint64_t first = rule->fault.nth ? rule->fault.nth : 1;
	uint64_t number = ++rule->seen;

	return number >= first && (!rule->fault.times || number - first < rule->fault.times);
}

/* Every rule counts every request, so that rules do not depend on their order. */
static struct err *inject(struct blk *blk, enum blk_op op, uint64_t len_bytes, uint64_t offset)
{
	static const char *const names[] = {
		[BLK_OP_READ] = "read",	      [BLK_OP_WRITE] = "write",	    [BLK_OP_ZERO] = "zero",
		[BLK_OP_DISCARD] = "discard", [BLK_OP_EXTENTS] = "extents", [BLK_OP_FLUSH] = "flush",
	};
	struct blk_faulty *faulty = to_faulty(blk);
	const struct blk_fault *fired = NULL;
	LOCKED(&faulty->lock);

	for (size_t i = 0; i < faulty->count; i++) {
		struct rule *rule = &faulty->rules[i];

		if (applies(&rule->fault, op, len_bytes, offset) && fires(rule) && !fired)
			fired = &rule->fault;
	}
	if (!fired)
		return NULL;
	return err_from_errno(fired->errnum, "%s: %s at offset %" PRIu64 " (injected fault)", blk->name,
			      names[op], offset);
}

static struct err *fault_pread(struct blk *blk, void *buf, size_t len_bytes, uint64_t offset)
{
	TRY(inject(blk, BLK_OP_READ, len_bytes, offset));
	return blk_pread(to_faulty(blk)->inner, buf, len_bytes, offset);
}

static struct err *fault_pwrite(struct blk *blk, const void *buf, size_t len_bytes, uint64_t offset,
				unsigned flags)
{
	TRY(inject(blk, BLK_OP_WRITE, len_bytes, offset));
	return blk_pwrite(to_faulty(blk)->inner, buf, len_bytes, offset, flags);
}

static struct err *fault_zero(struct blk *blk, uint64_t len_bytes, uint64_t offset, unsigned flags)
{
	TRY(inject(blk, BLK_OP_ZERO, len_bytes, offset));
	return blk_zero(to_faulty(blk)->inner, len_bytes, offset, flags);
}

static struct err *fault_discard(struct blk *blk, uint64_t len_bytes, uint64_t offset)
{
	TRY(inject(blk, BLK_OP_DISCARD, len_bytes, offset));
	return blk_discard(to_faulty(blk)->inner, len_bytes, offset);
}

static struct err *fault_extents(struct blk *blk, uint64_t len_bytes, uint64_t offset, blk_extent_fn fn,
				 void *arg)
{
	TRY(inject(blk, BLK_OP_EXTENTS, len_bytes, offset));
	return blk_extents(to_faulty(blk)->inner, len_bytes, offset, fn, arg);
}

static struct err *fault_flush(struct blk *blk)
{
	TRY(inject(blk, BLK_OP_FLUSH, 0, 0));
	return blk_flush(to_faulty(blk)->inner);
}

static struct err *fault_resize(struct blk *blk, uint64_t size_bytes)
{
	struct blk *inner = to_faulty(blk)->inner;
	struct err *err = blk_resize(inner, size_bytes);

	__atomic_store_n(&blk->size_bytes, inner->size_bytes, __ATOMIC_RELAXED);
	return err;
}

static struct err *fault_close(struct blk *blk)
{
	struct err *err = blk_close(to_faulty(blk)->inner);

	pthread_mutex_destroy(&to_faulty(blk)->lock);
	free(blk->name);
	free(blk);
	return err;
}

static const struct blk_ops fault_ops = {
	.kind = "fault",
	.pread = fault_pread,
	.pwrite = fault_pwrite,
	.zero = fault_zero,
	.discard = fault_discard,
	.extents = fault_extents,
	.flush = fault_flush,
	.resize = fault_resize,
	.close = fault_close,
};

struct err *blk_fault_create(struct blk *inner, const struct blk_fault *faults, size_t count,
			     struct blk **ret_blk)
{
	struct blk_faulty *faulty = xcalloc(1, sizeof *faulty + count * sizeof faulty->rules[0]);

	faulty->blk = *inner;
	faulty->blk.ops = &fault_ops;
	faulty->blk.name = xstrdup(inner->name);
	faulty->inner = inner;
	faulty->count = count;
	for (size_t i = 0; i < count; i++)
		faulty->rules[i].fault = faults[i];
	pthread_mutex_init(&faulty->lock, NULL);
	*ret_blk = &faulty->blk;
	return NULL;
}
