/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * BLAKE3, the hash of the sync protocol: plain, keyed and key derivation ("BLAKE3: one function, fast
 * everywhere", 2.2 and 2.3).  The processor's widest vectors are chosen at run time.
 */
#ifndef P2V_BASE_BLAKE3_H
#define P2V_BASE_BLAKE3_H

#include <stddef.h>
#include <stdint.h>

#define BLAKE3_DIGEST_BYTES 32
#define BLAKE3_KEY_BYTES 32

/* A hash under way: a value, holds nothing to release; wipe it with explicit_bzero() if it is keyed. */
struct blake3 {
	uint64_t opaque[256];
};

void blake3_begin(struct blake3 *ret_hash);
void blake3_begin_keyed(const uint8_t key[BLAKE3_KEY_BYTES], struct blake3 *ret_hash);
/* Context: fixed, unique to the application and the purpose; what is added is the key material. */
void blake3_begin_derive(const char *context, struct blake3 *ret_hash);

void blake3_add(struct blake3 *hash, const void *data, size_t len_bytes);
/* Any length; a shorter result is the start of a longer one.  More may be added afterwards. */
void blake3_end(const struct blake3 *hash, uint8_t *ret_digest, size_t digest_bytes);

/* The keyed hash of each of count blocks that lie one behind the other, the last of which may be shorter,
 * cut to digest_bytes each.  data_bytes must be more than count - 1 blocks. */
void blake3_hash_blocks(const uint8_t key[BLAKE3_KEY_BYTES], const void *data, size_t data_bytes,
			size_t block_bytes, uint8_t *ret_digests, size_t digest_bytes);

#endif
