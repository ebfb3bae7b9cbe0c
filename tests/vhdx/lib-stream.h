/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Random requests on a VHDX, against sparse memory of the same size as the model.
 * They crowd around the places where something changes: the ends, block borders,
 * and the chunk borders at which the BAT has an entry that is no payload's.
 */
#ifndef TESTS_VHDX_LIB_STREAM_H
#define TESTS_VHDX_LIB_STREAM_H

#include "tests/base/lib-rng.h"
#include "tests/vhdx/lib-vhdx.h"

struct stream {
	struct blk *vhdx; /* the caller's; may be another one after each request */
	struct blk *model;
	struct extents touched; /* what was ever written */
	uint64_t chunk_bytes; /* of the disk, for each sector bitmap entry */
	uint64_t max_clear_bytes; /* zeroed or discarded at once; 0: as much as there is */
	struct rng rng;
	uint8_t *buf;
};

void stream_init(struct stream *s, uint64_t size_bytes, uint64_t chunk_bytes, uint64_t seed);
void stream_deinit(struct stream *s);

/* One write, zero, discard or flush on both. */
void stream_request(struct stream *s);

/* All that was ever written, and a bit around it, reads as in the model; the maps leave no gap. */
void stream_compare(struct stream *s);

#endif
