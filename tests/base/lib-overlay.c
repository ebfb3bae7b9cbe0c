// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Pages that were changed are in a table by their number; the others are the
 * lower device's as far as that reached when it was last cut off, else zeros.
 */
#include "tests/base/lib-overlay.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"

#define PAGE OVERLAY_PAGE_BYTES

struct overlay {
	struct blk blk;
	struct blk *below;
	uint64_t below_bytes; /* what of it shows */
	uint8_t **pages; /* NULL: not changed */
	uint64_t page_count;
	pthread_mutex_t lock; /* over all of it: pages come and go */
};

static const uint8_t zero_page[PAGE];

static struct overlay *to_overlay(struct blk *blk)
{
	return (struct overlay *)blk;
}

static struct err *read_below(const struct overlay *o, uint8_t *buf, size_t bytes, uint64_t offset)
{
	size_t have = 0;

	if (offset < o->below_bytes)
		have = o->below_bytes - offset < bytes ? o->below_bytes - offset : bytes;
	memset(buf + have, 0, bytes - have);
	return have ? blk_pread(o->below, buf, have, offset) : NULL;
}

static struct err *read_pages(const struct overlay *o, uint8_t *at, size_t len_bytes, uint64_t offset)
{
	while (len_bytes) {
		uint64_t page = offset / PAGE;
		size_t skip = offset % PAGE, bytes = PAGE - skip;

		/* Unchanged pages that follow one another are one read. */
		while (!o->pages[page] && bytes < len_bytes && !o->pages[(offset + bytes) / PAGE])
			bytes += PAGE;
		if (bytes > len_bytes)
			bytes = len_bytes;
		if (o->pages[page])
			memcpy(at, o->pages[page] + skip, bytes);
		else
			TRY(read_below(o, at, bytes, offset));
		at += bytes;
		offset += bytes;
		len_bytes -= bytes;
	}
	return NULL;
}

static struct err *overlay_pread(struct blk *blk, void *buf, size_t len_bytes, uint64_t offset)
{
	struct overlay *o = to_overlay(blk);
	struct err *err;

	pthread_mutex_lock(&o->lock);
	err = read_pages(o, buf, len_bytes, offset);
	pthread_mutex_unlock(&o->lock);
	return err;
}

static void forget_page(struct overlay *o, uint64_t page)
{
	if (o->pages[page] != zero_page)
		free(o->pages[page]);
	o->pages[page] = NULL;
}

/* A copy of the page that can be written to. */
static struct err *own_page(struct overlay *o, uint64_t page)
{
	uint8_t *copy;

	if (o->pages[page] && o->pages[page] != zero_page)
		return NULL;
	copy = xcalloc(1, PAGE);
	if (!o->pages[page])
		TRY(read_below(o, copy, PAGE, page * PAGE));
	o->pages[page] = copy;
	return NULL;
}

/* data NULL: zeros. */
static struct err *change_pages(struct overlay *o, const uint8_t *data, uint64_t len_bytes, uint64_t offset)
{
	while (len_bytes) {
		uint64_t page = offset / PAGE;
		size_t skip = offset % PAGE, bytes = PAGE - skip < len_bytes ? PAGE - skip : len_bytes;

		if (bytes == PAGE)
			forget_page(o, page);
		if (bytes == PAGE && (!data || blk_is_zero(data, PAGE))) {
			o->pages[page] = (uint8_t *)zero_page;
		} else {
			if (bytes == PAGE)
				o->pages[page] = xmalloc(PAGE);
			else
				TRY(own_page(o, page));
			if (data)
				memcpy(o->pages[page] + skip, data, bytes);
			else
				memset(o->pages[page] + skip, 0, bytes);
		}
		if (data)
			data += bytes;
		offset += bytes;
		len_bytes -= bytes;
	}
	return NULL;
}

static struct err *change(struct overlay *o, const uint8_t *data, uint64_t len_bytes, uint64_t offset)
{
	struct err *err;

	pthread_mutex_lock(&o->lock);
	err = change_pages(o, data, len_bytes, offset);
	pthread_mutex_unlock(&o->lock);
	return err;
}

static struct err *overlay_pwrite(struct blk *blk, const void *buf, size_t len_bytes, uint64_t offset,
				  unsigned flags)
{
	(void)flags;
	return change(to_overlay(blk), buf, len_bytes, offset);
}

static struct err *overlay_zero(struct blk *blk, uint64_t len_bytes, uint64_t offset, unsigned flags)
{
	(void)flags;
	return change(to_overlay(blk), NULL, len_bytes, offset);
}

static struct err *overlay_discard(struct blk *blk, uint64_t len_bytes, uint64_t offset)
{
	return change(to_overlay(blk), NULL, len_bytes, offset);
}

static struct err *resize_pages(struct overlay *o, uint64_t size_bytes)
{
	uint64_t page_count = (size_bytes + PAGE - 1) / PAGE;

	if (size_bytes < o->blk.size_bytes) {
		/* What is cut off reads as zeros if the device becomes longer again. */
		TRY(change_pages(o, NULL, o->blk.size_bytes - size_bytes, size_bytes));
		for (uint64_t page = page_count; page < o->page_count; page++)
			forget_page(o, page);
		if (o->below_bytes > size_bytes)
			o->below_bytes = size_bytes;
	}
	o->pages = xreallocarray(o->pages, page_count + 1, sizeof *o->pages);
	for (uint64_t page = o->page_count; page < page_count; page++)
		o->pages[page] = NULL;
	o->page_count = page_count;
	__atomic_store_n(&o->blk.size_bytes, size_bytes, __ATOMIC_RELAXED);
	return NULL;
}

static struct err *overlay_resize(struct blk *blk, uint64_t size_bytes)
{
	struct overlay *o = to_overlay(blk);
	struct err *err;

	pthread_mutex_lock(&o->lock);
	err = resize_pages(o, size_bytes);
	pthread_mutex_unlock(&o->lock);
	return err;
}

static struct err *overlay_close(struct blk *blk)
{
	struct overlay *o = to_overlay(blk);

	for (uint64_t page = 0; page < o->page_count; page++)
		forget_page(o, page);
	free(o->pages);
	pthread_mutex_destroy(&o->lock);
	free(blk->name);
	free(o);
	return NULL;
}

static const struct blk_ops overlay_ops = {
	.kind = "overlay",
	.pread = overlay_pread,
	.pwrite = overlay_pwrite,
	.zero = overlay_zero,
	.discard = overlay_discard,
	.resize = overlay_resize,
	.close = overlay_close,
};

struct blk *overlay_create(struct blk *below)
{
	struct overlay *o = xcalloc(1, sizeof *o);
	uint64_t size_bytes = below ? below->size_bytes : 0;

	o->blk = (struct blk){
		.ops = &overlay_ops,
		.name = xstrdup("overlay"),
		.size_bytes = size_bytes,
		.logical_sector_bytes = 512,
		.physical_sector_bytes = 4096,
		.preferred_bytes = PAGE,
		.flags = BLK_FAST_ZERO,
	};
	pthread_mutex_init(&o->lock, NULL);
	o->below = below;
	o->below_bytes = size_bytes;
	o->page_count = (size_bytes + PAGE - 1) / PAGE;
	o->pages = xcalloc(o->page_count + 1, sizeof *o->pages);
	return &o->blk;
}

struct blk *overlay_copy_of(struct blk *blk)
{
	CLEANUP_FREE uint8_t *buf = xmalloc(1 << 20);
	struct blk *copy = overlay_create(NULL);

	err_free(blk_resize(copy, blk->size_bytes));
	for (uint64_t offset = 0; offset < blk->size_bytes; offset += 1 << 20) {
		uint64_t left = blk->size_bytes - offset;
		size_t bytes = left < 1 << 20 ? left : 1 << 20;

		err_free(blk_pread(blk, buf, bytes, offset));
		if (!blk_is_zero(buf, bytes))
			err_free(blk_pwrite(copy, buf, bytes, offset, 0));
	}
	return copy;
}

static uint64_t mix(uint64_t v)
{
	v = (v ^ v >> 32) * 0xd6e8feb86659fd93ull;
	v = (v ^ v >> 32) * 0xd6e8feb86659fd93ull;
	return v ^ v >> 32;
}

/* 0 for zeros, so that only what is there counts. */
static uint64_t hash_page(const uint8_t *page, uint64_t number)
{
	uint64_t hash = 0, word;

	if (blk_is_zero(page, PAGE))
		return 0;
	for (size_t i = 0; i < PAGE; i += sizeof word) {
		memcpy(&word, page + i, sizeof word);
		hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
		hash ^= hash >> 29;
	}
	return mix(hash + mix(number + 1));
}

static uint64_t hash_size(uint64_t size_bytes)
{
	return mix(size_bytes ^ 0x5851f42d4c957f2dull);
}

uint64_t overlay_hash(struct blk *overlay, uint64_t below_hash)
{
	const struct overlay *o = to_overlay(overlay);
	uint64_t hash = below_hash + hash_size(overlay->size_bytes);
	uint64_t below_pages = o->below ? (o->below->size_bytes + PAGE - 1) / PAGE : 0;

	if (o->below)
		hash -= hash_size(o->below->size_bytes);
	for (uint64_t page = 0; page < below_pages || page < o->page_count; page++) {
		uint8_t was[PAGE];
		bool is_cut = page * PAGE >= o->below_bytes && page < below_pages;

		if (!is_cut && (page >= o->page_count || !o->pages[page]))
			continue;
		if (page < below_pages) {
			uint64_t left = o->below->size_bytes - page * PAGE;

			memset(was, 0, PAGE);
			err_free(blk_pread(o->below, was, left < PAGE ? left : PAGE, page * PAGE));
			hash -= hash_page(was, page);
		}
		if (page < o->page_count && o->pages[page])
			hash += hash_page(o->pages[page], page);
	}
	return hash;
}
