/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A set of bytes of a disk: sorted, disjoint, half-open ranges [start, end).
 * Ranges that touch are one range.  Adding in ascending order costs O(1).
 */
#ifndef P2V_BASE_EXTENTS_H
#define P2V_BASE_EXTENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "p2v/base/cleanup.h"

struct extent {
	uint64_t start;
	uint64_t end;
};

/* Zero-initialised is the empty set.  The members may be read; only the functions below write them. */
struct extents {
	struct extent *ranges;
	size_t count;
	size_t capacity;
};

void extents_deinit(struct extents *set);

/* Adds or removes [start, end); an empty range changes nothing. */
void extents_add(struct extents *set, uint64_t start, uint64_t end);
void extents_remove(struct extents *set, uint64_t start, uint64_t end);
void extents_unite(struct extents *set, const struct extents *more); /* linear, however the two interleave */

/* True if all of [start, end) is in the set (an empty range always is). */
bool extents_contain(const struct extents *set, uint64_t start, uint64_t end);

/* Index of the first range that ends after offset; set->count if there is none. */
size_t extents_find(const struct extents *set, uint64_t offset);

uint64_t extents_total_bytes(const struct extents *set);

/* ret_set must be empty and becomes: what is in both; what is in a but not in b. */
void extents_intersect(const struct extents *a, const struct extents *b, struct extents *ret_set);
void extents_subtract(const struct extents *a, const struct extents *b, struct extents *ret_set);

/* Widens every range to multiples of align_bytes (a power of two), merging what then meets. */
void extents_align(struct extents *set, uint64_t align_bytes);

#define CLEANUP_EXTENTS CLEANUP(extents_deinit)

#endif
