/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Invariant between calls: ranges are not empty, ascend, and neither overlap
 * nor touch.
 */
#include "p2v/base/extents.h"

#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"

void extents_deinit(struct extents *set)
{
	free(set->ranges);
	*set = (struct extents){0};
}

size_t extents_find(const struct extents *set, uint64_t offset)
{
	size_t low = 0, high = set->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (set->ranges[middle].end > offset)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* Replaces ranges [first, last) by `count` ones. */
static void splice(struct extents *set, size_t first, size_t last, const struct extent *with, size_t count)
{
	size_t tail = set->count - last;

	while (set->count - (last - first) + count > set->capacity) {
		set->capacity = set->capacity ? set->capacity * 2 : 8;
		set->ranges = xreallocarray(set->ranges, set->capacity, sizeof *set->ranges);
	}
	if (tail)
		memmove(set->ranges + first + count, set->ranges + last, tail * sizeof *set->ranges);
	if (count)
		memcpy(set->ranges + first, with, count * sizeof *with);
	set->count = first + count + tail;
}

void extents_add(struct extents *set, uint64_t start, uint64_t end)
{
	struct extent merged = {start, end};
	size_t first, last;

	if (start >= end)
		return;
	/* A range that ends exactly at start touches, so it is looked for from the byte before. */
	first = start ? extents_find(set, start - 1) : 0;
	last = first;
	while (last < set->count && set->ranges[last].start <= end) {
		if (set->ranges[last].start < merged.start)
			merged.start = set->ranges[last].start;
		if (set->ranges[last].end > merged.end)
			merged.end = set->ranges[last].end;
		last++;
	}
	splice(set, first, last, &merged, 1);
}

void extents_remove(struct extents *set, uint64_t start, uint64_t end)
{
	struct extent rest[2];
	size_t first, last, count = 0;

	if (start >= end)
		return;
	first = extents_find(set, start);
	last = first;
	while (last < set->count && set->ranges[last].start < end)
		last++;
	if (first == last)
		return;
	if (set->ranges[first].start < start)
		rest[count++] = (struct extent){set->ranges[first].start, start};
	if (set->ranges[last - 1].end > end)
		rest[count++] = (struct extent){end, set->ranges[last - 1].end};
	splice(set, first, last, rest, count);
}

void extents_unite(struct extents *set, const struct extents *more)
{
	struct extents both = {0};
	size_t i = 0, k = 0;

	while (i < set->count || k < more->count) {
		bool is_first =
			k == more->count || (i < set->count && set->ranges[i].start <= more->ranges[k].start);
		const struct extent *next = is_first ? &set->ranges[i++] : &more->ranges[k++];

		extents_add(&both, next->start, next->end);
	}
	extents_deinit(set);
	*set = both;
}

bool extents_contain(const struct extents *set, uint64_t start, uint64_t end)
{
	size_t i;

	if (start >= end)
		return true;
	i = extents_find(set, start);
	return i < set->count && set->ranges[i].start <= start && set->ranges[i].end >= end;
}

uint64_t extents_total_bytes(const struct extents *set)
{
	uint64_t total = 0;

	for (size_t i = 0; i < set->count; i++)
		total += set->ranges[i].end - set->ranges[i].start;
	return total;
}

void extents_intersect(const struct extents *a, const struct extents *b, struct extents *ret_set)
{
	size_t i = 0, k = 0;

	while (i < a->count && k < b->count) {
		const struct extent *x = &a->ranges[i], *y = &b->ranges[k];

		extents_add(ret_set, x->start > y->start ? x->start : y->start,
			    x->end < y->end ? x->end : y->end);
		if (x->end < y->end)
			i++;
		else
			k++;
	}
}

void extents_subtract(const struct extents *a, const struct extents *b, struct extents *ret_set)
{
	size_t k = 0;

	for (size_t i = 0; i < a->count; i++) {
		uint64_t start = a->ranges[i].start, end = a->ranges[i].end;

		while (k < b->count && b->ranges[k].end <= start)
			k++;
		for (size_t n = k; n < b->count && b->ranges[n].start < end; n++) {
			extents_add(ret_set, start, b->ranges[n].start);
			start = b->ranges[n].end;
		}
		extents_add(ret_set, start, end);
	}
}

void extents_align(struct extents *set, uint64_t align_bytes)
{
	struct extents aligned = {0};

	for (size_t i = 0; i < set->count; i++) {
		uint64_t start = set->ranges[i].start & ~(align_bytes - 1);
		uint64_t end = set->ranges[i].end;

		if (end & (align_bytes - 1))
			end = (end | (align_bytes - 1)) + 1;
		extents_add(&aligned, start, end);
	}
	extents_deinit(set);
	*set = aligned;
}
