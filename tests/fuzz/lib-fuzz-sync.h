/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Inputs of the sync targets: records, each for one connection, up to the end.
 *
 *	where (1)  length (2, little endian)  content
 */
#ifndef TESTS_FUZZ_LIB_FUZZ_SYNC_H
#define TESTS_FUZZ_LIB_FUZZ_SYNC_H

#include <stdbool.h>
#include <stdio.h>

#include "p2v/sync/codec.h"

/* A byte taken modulo FUZZ_SYNC_PLACES. */
enum fuzz_sync_where {
	FUZZ_SYNC_CONTROL,
	FUZZ_SYNC_LANE_0,
	FUZZ_SYNC_LANE_1,
	FUZZ_SYNC_CONTENT, /* receiver: a DATA with right hashes on lane 0: block (1), disk (1), content */
	FUZZ_SYNC_PLACES,
};

struct fuzz_sync_record {
	enum fuzz_sync_where where;
	const uint8_t *bytes;
	size_t len_bytes;
};

/* The next one; false at the end.  The last may be cut short. */
bool fuzz_sync_take(const uint8_t **at, size_t *left, struct fuzz_sync_record *ret_record);

/* Writes a record with one message, payload included; false with errno if that fails. */
bool fuzz_sync_put(FILE *to, enum fuzz_sync_where where, const struct message *message);

/* What fuzzing of "wire", "receiver" and "sender" starts from, in folders of these names below dir; false
 * with errno if that fails. */
bool fuzz_sync_seeds(const char *dir);

/* The disk that the sender's target sends. */
#define FUZZ_SYNC_DISK_BYTES ((1u << 20) + (64u << 10) + 512)
struct blk;
struct blk *fuzz_sync_disk(void);

#endif
