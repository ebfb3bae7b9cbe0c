/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A generator of test data: the same seed gives the same stream. */
#ifndef TESTS_BASE_LIB_RNG_H
#define TESTS_BASE_LIB_RNG_H

#include <stddef.h>
#include <stdint.h>

struct rng {
	uint64_t state; /* the seed, to begin with */
};
uint64_t rng_next(struct rng *rng);
uint64_t rng_below(struct rng *rng, uint64_t limit);
void rng_fill(struct rng *rng, void *buf, size_t len_bytes);

#endif
