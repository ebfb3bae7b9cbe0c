/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Sparse memory, in pages made on first write: a private anonymous mapping,
 * which the kernel backs with memory only where it was written, and takes back
 * on discard.
 */
#include "p2v/base/blk.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "p2v/base/mem.h"

#define PAGE_BYTES 4096u

struct blk_mem {
	struct blk blk;
	uint8_t *data;
	pthread_rwlock_t lock; /* one order or the other for overlapping requests; resize moves data */
};

static struct blk_mem *to_mem(struct blk *blk)
{
	return (struct blk_mem *)blk;
}

static struct err *mem_pread(struct blk *blk, void *buf, size_t len_bytes, uint64_t offset)
{
	pthread_rwlock_rdlock(&to_mem(blk)->lock);
	memcpy(buf, to_mem(blk)->data + offset, len_bytes);
	pthread_rwlock_unlock(&to_mem(blk)->lock);
	return NULL;
}

static struct err *mem_pwrite(struct blk *blk, const void *buf, size_t len_bytes, uint64_t offset,
			      unsigned flags)
{
	(void)flags;
	pthread_rwlock_wrlock(&to_mem(blk)->lock);
	memcpy(to_mem(blk)->data + offset, buf, len_bytes);
	pthread_rwlock_unlock(&to_mem(blk)->lock);
	return NULL;
}

static struct err *mem_zero(struct blk *blk, uint64_t len_bytes, uint64_t offset, unsigned flags)
{
	uint8_t *start = to_mem(blk)->data + offset;
	uint64_t head = -offset & (PAGE_BYTES - 1);

	(void)flags;
	pthread_rwlock_wrlock(&to_mem(blk)->lock);
	if (head + PAGE_BYTES > len_bytes) {
		memset(start, 0, len_bytes);
	} else {
		uint64_t pages_bytes = (len_bytes - head) & ~(uint64_t)(PAGE_BYTES - 1);

		memset(start, 0, head);
		if (madvise(start + head, pages_bytes, MADV_DONTNEED))
			memset(start + head, 0, pages_bytes);
		memset(start + head + pages_bytes, 0, len_bytes - head - pages_bytes);
	}
	pthread_rwlock_unlock(&to_mem(blk)->lock);
	return NULL;
}

static struct err *mem_discard(struct blk *blk, uint64_t len_bytes, uint64_t offset)
{
	return mem_zero(blk, len_bytes, offset, 0);
}

static struct err *mem_resize(struct blk *blk, uint64_t size_bytes)
{
	struct blk_mem *mem = to_mem(blk);
	struct err *err = NULL;
	void *data;

	if (size_bytes < blk->size_bytes)
		TRY(mem_zero(blk, blk->size_bytes - size_bytes, size_bytes, 0));
	pthread_rwlock_wrlock(&mem->lock);
	data = mremap(mem->data, blk->size_bytes ? blk->size_bytes : 1, size_bytes ? size_bytes : 1,
		      MREMAP_MAYMOVE);
	if (data == MAP_FAILED) {
		err = err_from_errno(errno, "%s: resize", blk->name);
	} else {
		mem->data = data;
		__atomic_store_n(&blk->size_bytes, size_bytes, __ATOMIC_RELAXED);
	}
	pthread_rwlock_unlock(&mem->lock);
	return err;
}

static struct err *mem_close(struct blk *blk)
{
	munmap(to_mem(blk)->data, blk->size_bytes ? blk->size_bytes : 1);
	pthread_rwlock_destroy(&to_mem(blk)->lock);
	free(blk->name);
	free(blk);
	return NULL;
}

static const struct blk_ops mem_ops = {
	.kind = "memory",
	.pread = mem_pread,
	.pwrite = mem_pwrite,
	.zero = mem_zero,
	.discard = mem_discard,
	.resize = mem_resize,
	.close = mem_close,
};

struct err *blk_mem_create(uint64_t size_bytes, struct blk **ret_blk)
{
	struct blk_mem *mem = calloc(1, sizeof *mem);

	if (!mem)
		return err_nomem();
	mem->data = mmap(NULL, size_bytes ? size_bytes : 1, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mem->data == MAP_FAILED) {
		free(mem);
		return err_nomem();
	}
	pthread_rwlock_init(&mem->lock, NULL);
	mem->blk = (struct blk){
		.ops = &mem_ops,
		.name = xstrdup("memory"),
		.size_bytes = size_bytes,
		.logical_sector_bytes = 512,
		.physical_sector_bytes = 4096,
		.preferred_bytes = PAGE_BYTES,
		.flags = BLK_FAST_ZERO,
	};
	*ret_blk = &mem->blk;
	return NULL;
}
