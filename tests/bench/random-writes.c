/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Writes 64 KiB at random places of an NBD export, each place at most once, and
 * flushes after each 64: what a database does to a new disk.
 *
 *	random-writes URI COUNT
 *
 * The writes between two flushes are under way at once.  The same places each time.
 */
#include <errno.h>
#include <inttypes.h>
#include <libnbd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "p2v/base/cleanup.h"

#define REQUEST_BYTES (64u << 10)
#define BATCH 64u

static int fail(void)
{
	fprintf(stderr, "random-writes: %s\n", nbd_get_error());
	return 1;
}

/* A walk over all of [0, count) without pattern: a congruential generator that has each number once. */
static uint64_t next_place(uint64_t *state, uint64_t count)
{
	uint64_t mask = 1;

	while (mask < count)
		mask *= 2;
	do {
		*state = (*state * 0x9e3779b97f4a7c15 + 0x632be59bd9b4e019) & (mask - 1);
	} while (*state >= count);
	return *state;
}

static int write_batch(struct nbd_handle *nbd, const uint8_t *data, uint64_t *state, uint64_t places,
		       unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (nbd_aio_pwrite(nbd, data, REQUEST_BYTES, next_place(state, places) * REQUEST_BYTES,
				   NBD_NULL_COMPLETION, 0) < 0)
			return -1;
	while (nbd_aio_in_flight(nbd) > 0) {
		int64_t cookie;

		if (nbd_poll(nbd, -1) < 0)
			return -1;
		while ((cookie = nbd_aio_peek_command_completed(nbd)) > 0)
			if (nbd_aio_command_completed(nbd, cookie) != 1)
				return -1;
	}
	return nbd_flush(nbd, 0);
}

int main(int argc, char **argv)
{
	uint64_t count = argc == 3 ? strtoull(argv[2], NULL, 10) : 0, places, state = 1;
	CLEANUP_FREE uint8_t *data = malloc(REQUEST_BYTES);
	struct nbd_handle *nbd = nbd_create();
	int status = 0;

	if (!count || !data || !nbd) {
		fputs("usage: random-writes URI COUNT\n", stderr);
		return 2;
	}
	for (size_t i = 0; i < REQUEST_BYTES; i++)
		data[i] = (uint8_t)(i * 31 + i / 251 + 1);
	if (nbd_connect_uri(nbd, argv[1]) < 0)
		return fail();
	places = (uint64_t)nbd_get_size(nbd) / REQUEST_BYTES;
	for (uint64_t done = 0; done < count && !status; done += BATCH)
		if (write_batch(nbd, data, &state, places, count - done < BATCH ? count - done : BATCH) < 0)
			status = fail();
	nbd_shutdown(nbd, 0);
	nbd_close(nbd);
	return status;
}
