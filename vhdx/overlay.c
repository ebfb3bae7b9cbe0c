// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Pages that were written are kept in a sorted array: nearly all writes come in
 * ascending order.  Ranges of zeros, which may be as large as the device, are a
 * set.  A page counts before the set, and the set before the base; behind the end
 * of the base everything is zero.
 */
#include "vhdx/overlay.h"

#include <string.h>

#define PAGE 4096u

struct page {
	uint64_t number;
	uint8_t *data;
};

struct overlay {
	struct blk blk;
	struct blk *base;
	struct page *pages;
	size_t count, capacity;
	struct extents zeros; /* in whole pages */
};

static struct overlay *to_overlay(struct blk *blk)
{
	return (struct overlay *)blk;
}

/* Index of the first page that is not before `number`. */
static size_t find_page(const struct overlay *o, uint64_t number)
{
	size_t low = 0, high = o->count;

	if (high && o->pages[high - 1].number < number)
		return high;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (o->pages[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* What the page holds as long as it is in no array. */
static struct err *read_below(const struct overlay *o, uint64_t number, uint8_t *ret_data)
{
	uint64_t start = number * PAGE, bytes = PAGE;

	memset(ret_data, 0, PAGE);
	if (start >= o->base->size_bytes || extents_contain(&o->zeros, start, start + PAGE))
		return NULL;
	if (bytes > o->base->size_bytes - start)
		bytes = o->base->size_bytes - start;
	return blk_pread(o->base, ret_data, bytes, start);
}

static struct err *make_room(struct overlay *o)
{
	size_t capacity = o->capacity ? 2 * o->capacity : 64;
	struct page *pages;

	if (o->count < o->capacity)
		return NULL;
	pages = reallocarray(o->pages, capacity, sizeof *pages);
	if (!pages)
		return err_nomem();
	o->pages = pages;
	o->capacity = capacity;
	return NULL;
}

/* The page, copied up if need be. */
static struct err *get_page(struct overlay *o, uint64_t number, uint8_t **ret_data)
{
	size_t i = find_page(o, number);
	CLEANUP_FREE uint8_t *data = NULL;

	if (i < o->count && o->pages[i].number == number) {
		*ret_data = o->pages[i].data;
		return NULL;
	}
	TRY(make_room(o));
	data = malloc(PAGE);
	if (!data)
		return err_nomem();
	TRY(read_below(o, number, data));
	memmove(o->pages + i + 1, o->pages + i, (o->count - i) * sizeof *o->pages);
	*ret_data = data;
	o->pages[i] = (struct page){number, take_ptr(data)};
	o->count++;
	return NULL;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* A run of pages that are not in the array, within [offset, offset + len_bytes). */
static struct err *read_run(const struct overlay *o, uint8_t *at, uint64_t len_bytes, uint64_t offset)
{
	uint64_t in_base = 0;

	if (offset < o->base->size_bytes)
		in_base = smaller(len_bytes, o->base->size_bytes - offset);
	if (in_base)
		TRY(blk_pread(o->base, at, in_base, offset));
	memset(at + in_base, 0, len_bytes - in_base);
	for (size_t i = extents_find(&o->zeros, offset); i < o->zeros.count; i++) {
		uint64_t start = o->zeros.ranges[i].start, end = o->zeros.ranges[i].end;

		if (start >= offset + len_bytes)
			break;
		start = start > offset ? start : offset;
		end = smaller(end, offset + len_bytes);
		memset(at + (start - offset), 0, end - start);
	}
	return NULL;
}

static struct err *overlay_pread(struct blk *blk, void *buf, size_t len_bytes, uint64_t offset)
{
	const struct overlay *o = to_overlay(blk);
	uint64_t end = offset + len_bytes;
	uint8_t *at = buf;

	for (size_t i = find_page(o, offset / PAGE); offset < end; i++) {
		uint64_t start = i < o->count ? smaller(o->pages[i].number * PAGE, end) : end;
		uint64_t bytes;

		if (start > offset) {
			TRY(read_run(o, at, start - offset, offset));
			at += start - offset;
			offset = start;
		}
		if (offset == end)
			break;
		bytes = smaller(end, (o->pages[i].number + 1) * PAGE) - offset;
		memcpy(at, o->pages[i].data + offset % PAGE, bytes);
		at += bytes;
		offset += bytes;
	}
	return NULL;
}

static struct err *overlay_pwrite(struct blk *blk, const void *buf, size_t len_bytes, uint64_t offset,
				  unsigned flags)
{
	const uint8_t *at = buf;

	(void)flags;
	while (len_bytes) {
		uint64_t bytes = smaller(len_bytes, PAGE - offset % PAGE);
		uint8_t *data = NULL;

		TRY(get_page(to_overlay(blk), offset / PAGE, &data));
		memcpy(data + offset % PAGE, at, bytes);
		at += bytes;
		offset += bytes;
		len_bytes -= bytes;
	}
	return NULL;
}

/* The whole pages in [start, end) become zeros. */
static void zero_pages(struct overlay *o, uint64_t start, uint64_t end)
{
	size_t first = find_page(o, start / PAGE), last = find_page(o, end / PAGE);

	for (size_t i = first; i < last; i++)
		free(o->pages[i].data);
	if (last > first) {
		memmove(o->pages + first, o->pages + last, (o->count - last) * sizeof *o->pages);
		o->count -= last - first;
	}
	extents_add(&o->zeros, start, end);
}

static struct err *overlay_zero(struct blk *blk, uint64_t len_bytes, uint64_t offset, unsigned flags)
{
	static const uint8_t zeros[PAGE];
	uint64_t end = offset + len_bytes, start = (offset + PAGE - 1) / PAGE * PAGE;

	if (start >= end)
		return overlay_pwrite(blk, zeros, len_bytes, offset, flags);
	TRY(overlay_pwrite(blk, zeros, start - offset, offset, flags));
	TRY(overlay_pwrite(blk, zeros, end % PAGE, end / PAGE * PAGE, flags));
	zero_pages(to_overlay(blk), start, end / PAGE * PAGE);
	return NULL;
}

/* What was behind a smaller end must not come back. */
static struct err *overlay_resize(struct blk *blk, uint64_t size_bytes)
{
	uint64_t old_bytes = blk->size_bytes;

	if (size_bytes > INT64_MAX)
		return err_failed("%s: cannot have %llu bytes", blk->name, (unsigned long long)size_bytes);
	if (size_bytes < old_bytes)
		TRY(overlay_zero(blk, old_bytes - size_bytes, size_bytes, 0));
	blk->size_bytes = size_bytes;
	return NULL;
}

static struct err *overlay_close(struct blk *blk)
{
	struct overlay *o = to_overlay(blk);

	for (size_t i = 0; i < o->count; i++)
		free(o->pages[i].data);
	free(o->pages);
	extents_deinit(&o->zeros);
	free(blk->name);
	free(o);
	return NULL;
}

static const struct blk_ops overlay_ops = {
	.kind = "overlay",
	.pread = overlay_pread,
	.pwrite = overlay_pwrite,
	.zero = overlay_zero,
	.resize = overlay_resize,
	.close = overlay_close,
};

struct err *vhdx_overlay_create(struct blk *base, struct blk **ret_overlay)
{
	CLEANUP_BLK struct blk *blk = NULL;
	struct overlay *o = calloc(1, sizeof *o);

	if (!o)
		return err_nomem();
	blk = &o->blk;
	o->base = base;
	o->blk = *base;
	o->blk.ops = &overlay_ops;
	o->blk.flags = 0;
	o->blk.name = strdup(base->name);
	if (!o->blk.name)
		return err_nomem();
	*ret_overlay = take_ptr(blk);
	return NULL;
}

void vhdx_overlay_changes(struct blk *overlay, struct extents *ret_set)
{
	const struct overlay *o = to_overlay(overlay);

	for (size_t i = 0; i < o->zeros.count; i++)
		extents_add(ret_set, o->zeros.ranges[i].start,
			    smaller(o->zeros.ranges[i].end, overlay->size_bytes));
	for (size_t i = 0; i < o->count; i++)
		extents_add(ret_set, o->pages[i].number * PAGE,
			    smaller((o->pages[i].number + 1) * PAGE, overlay->size_bytes));
}
