/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Taking looks at eight cells at a time, and exchanges them only where one is
 * marked: a disk of 10 TiB has 160 MiB of them, nearly all untouched.  Others
 * set single bytes meanwhile; to the processor such a store is before the
 * exchange or behind it.
 */
#include "capture/track-cells.h"

#define SECTOR_SHIFT 9
#define WORD_CELLS sizeof(uint64_t)

static uint64_t area_cells(const struct track_area *area, uint64_t size_bytes)
{
	unsigned shift = area->shift + SECTOR_SHIFT;

	return (size_bytes >> shift) + ((size_bytes & ((1ull << shift) - 1)) != 0);
}

static uint64_t whole_words(uint64_t cells)
{
	return (cells + WORD_CELLS - 1) / WORD_CELLS * WORD_CELLS;
}

static uint64_t coarse_cells(uint64_t cells)
{
	return (cells + TRACK_COARSE - 1) >> TRACK_COARSE_SHIFT;
}

void track_area_place(struct track_area *area, uint64_t size_bytes, uint32_t cell_bytes, uint64_t *at)
{
	uint64_t cells;

	area->shift = __builtin_ctz(cell_bytes) - SECTOR_SHIFT;
	cells = area_cells(area, size_bytes);
	area->fine_at = *at;
	area->coarse_at = area->fine_at + whole_words(cells);
	*at = area->coarse_at + whole_words(coarse_cells(cells));
}

static void mark(uint8_t *cell)
{
	__atomic_store_n(cell, 1, __ATOMIC_SEQ_CST);
}

void track_area_mark(const struct track_area *area, uint8_t *cells, uint64_t start, uint64_t end)
{
	unsigned shift = area->shift + SECTOR_SHIFT;
	uint64_t cell = start >> shift, behind;

	if (start >= end)
		return;
	behind = ((end - 1) >> shift) + 1;
	while (cell < behind) {
		if (!(cell % TRACK_COARSE) && behind - cell >= TRACK_COARSE) {
			mark(cells + area->coarse_at + (cell >> TRACK_COARSE_SHIFT));
			cell += TRACK_COARSE;
		} else {
			mark(cells + area->fine_at + cell++);
		}
	}
}

/* Cells of 1 << shift bytes. */
static void take_cells(uint8_t *cells, uint64_t count, unsigned shift, uint64_t size_bytes,
		       struct extents *ret_set)
{
	uint64_t *words = (uint64_t *)cells;

	for (uint64_t i = 0; i < whole_words(count) / WORD_CELLS; i++) {
		uint64_t word = __atomic_load_n(&words[i], __ATOMIC_RELAXED);
		const uint8_t *taken = (const uint8_t *)&word;

		if (!word)
			continue;
		word = __atomic_exchange_n(&words[i], 0, __ATOMIC_SEQ_CST);
		for (unsigned k = 0; k < WORD_CELLS; k++) {
			uint64_t start = (i * WORD_CELLS + k) << shift, end = start + (1ull << shift);

			if (taken[k] && start < size_bytes)
				extents_add(ret_set, start, end < size_bytes ? end : size_bytes);
		}
	}
}

void track_area_take(const struct track_area *area, uint8_t *cells, uint64_t size_bytes,
		     struct extents *ret_set)
{
	unsigned shift = area->shift + SECTOR_SHIFT;
	uint64_t count = area_cells(area, size_bytes);
	CLEANUP_EXTENTS struct extents fine = {0};
	CLEANUP_EXTENTS struct extents coarse = {0};

	take_cells(cells + area->fine_at, count, shift, size_bytes, &fine);
	take_cells(cells + area->coarse_at, coarse_cells(count), shift + TRACK_COARSE_SHIFT, size_bytes,
		   &coarse);
	extents_unite(ret_set, &fine);
	extents_unite(ret_set, &coarse);
}
