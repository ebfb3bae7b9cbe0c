/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Arrays of bits in memory. */
#ifndef VHDX_BITS_H
#define VHDX_BITS_H

#include <stdbool.h>
#include <stdint.h>

static inline bool bit_get(const uint64_t *bits, uint64_t i)
{
	return bits[i / 64] >> i % 64 & 1;
}

static inline void bit_set(uint64_t *bits, uint64_t i, bool value)
{
	if (value)
		bits[i / 64] |= 1ull << i % 64;
	else
		bits[i / 64] &= ~(1ull << i % 64);
}

/* The first bit from i on that is set; count if there is none. */
static inline uint64_t bit_next(const uint64_t *bits, uint64_t i, uint64_t count)
{
	while (i < count) {
		uint64_t rest = bits[i / 64] >> i % 64;

		if (rest)
			return i + (uint64_t)__builtin_ctzll(rest);
		i = (i / 64 + 1) * 64;
	}
	return count;
}

#endif
