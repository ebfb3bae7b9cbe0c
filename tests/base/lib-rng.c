/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/base/lib-rng.h"

#include <string.h>

uint64_t rng_next(struct rng *rng)
{
	/* splitmix64 */
	uint64_t z = rng->state += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

uint64_t rng_below(struct rng *rng, uint64_t limit)
{
	return rng_next(rng) % limit;
}

void rng_fill(struct rng *rng, void *buf, size_t len_bytes)
{
	uint8_t *at = buf;

	while (len_bytes) {
		uint64_t value = rng_next(rng);
		size_t bytes = len_bytes < sizeof value ? len_bytes : sizeof value;

		memcpy(at, &value, bytes);
		at += bytes;
		len_bytes -= bytes;
	}
}
