/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The bytes that stand for a disk's cells, as track-shared.h lays them out: where
 * they go, and how they are taken.
 */
#ifndef CAPTURE_TRACK_CELLS_H
#define CAPTURE_TRACK_CELLS_H

#include "capture/track-shared.h"
#include "p2v/base/extents.h"

/* Cells of cell_bytes (a power of two) for size_bytes, from *at on, which is moved behind them. */
void track_area_place(struct track_area *area, uint64_t size_bytes, uint32_t cell_bytes, uint64_t *at);

/* Marks [start, end), of bytes; atomic, from any thread. */
void track_area_mark(const struct track_area *area, uint8_t *cells, uint64_t start, uint64_t end);

/* Adds what is marked to the set, cut at size_bytes, and clears it: each mark is either in the set or stays.
 */
void track_area_take(const struct track_area *area, uint8_t *cells, uint64_t size_bytes,
		     struct extents *ret_set);

#endif
