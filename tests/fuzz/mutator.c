// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Mutations that know pieces: mostly one piece's bytes change and its frame
 * stays; a change of length there would turn all that follows into noise.
 */
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "tests/fuzz/lib-fuzz-image.h"
#include "tests/fuzz/lib-fuzz-target.h"

static uint32_t next(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(*state >> 33);
}

/* A piece, each as likely as the others; its offset in the input, 0 if there is none. */
static size_t choose_piece(const uint8_t *data, size_t size, uint64_t *state, size_t *ret_bytes)
{
	struct fuzz_rest rest = {data + FUZZ_HEAD_BYTES, size - FUZZ_HEAD_BYTES};
	struct fuzz_piece piece;
	uint32_t seen = 0;
	size_t chosen = 0;

	while (fuzz_take_piece(&rest, &piece)) {
		if (next(state) % ++seen)
			continue;
		chosen = (size_t)(piece.bytes - data);
		*ret_bytes = piece.len_bytes;
	}
	return chosen;
}

/* Aligned fields of the piece: one gets a value near another one, or near a power of two. */
static void change_field(uint8_t *bytes, size_t len_bytes, uint64_t *state)
{
	size_t width = 1u << next(state) % 4, count = len_bytes / width;
	uint64_t value = 0, step = next(state) % 5;

	if (!count)
		return;
	if (next(state) % 2)
		value = 1ull << next(state) % 64;
	else
		memcpy(&value, bytes + next(state) % count * width, width);
	value += step - 2;
	memcpy(bytes + next(state) % count * width, &value, width);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	uint64_t state = seed;
	size_t bytes = 0, at, left;

	if (size <= FUZZ_HEAD_BYTES || next(&state) % 8 == 0)
		return LLVMFuzzerMutate(data, size, max_size);
	at = choose_piece(data, size, &state, &bytes);
	if (!at)
		return LLVMFuzzerMutate(data, size, max_size);
	if (next(&state) % 3 == 0) {
		change_field(data + at, bytes, &state);
		return size;
	}
	left = LLVMFuzzerMutate(data + at, bytes, bytes);
	if (left < bytes)
		memset(data + at + left, 0, bytes - left);
	return size;
}
