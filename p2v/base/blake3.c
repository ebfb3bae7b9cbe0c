/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Our names in front of the reference implementation, whose types do not show in headers of ours. */
#include "p2v/base/blake3.h"

#include <blake3.h>

_Static_assert(sizeof(blake3_hasher) <= sizeof(struct blake3), "a hash under way has room");
_Static_assert(_Alignof(blake3_hasher) <= _Alignof(struct blake3), "and is aligned");

static blake3_hasher *inner(struct blake3 *hash)
{
	return (blake3_hasher *)hash->opaque;
}

void blake3_begin(struct blake3 *ret_hash)
{
	blake3_hasher_init(inner(ret_hash));
}

void blake3_begin_keyed(const uint8_t key[BLAKE3_KEY_BYTES], struct blake3 *ret_hash)
{
	blake3_hasher_init_keyed(inner(ret_hash), key);
}

void blake3_begin_derive(const char *context, struct blake3 *ret_hash)
{
	blake3_hasher_init_derive_key(inner(ret_hash), context);
}

void blake3_add(struct blake3 *hash, const void *data, size_t len_bytes)
{
	blake3_hasher_update(inner(hash), data, len_bytes);
}

void blake3_end(const struct blake3 *hash, uint8_t *ret_digest, size_t digest_bytes)
{
	blake3_hasher_finalize((const blake3_hasher *)hash->opaque, ret_digest, digest_bytes);
}

void blake3_hash_blocks(const uint8_t key[BLAKE3_KEY_BYTES], const void *data, size_t data_bytes,
			size_t block_bytes, uint8_t *ret_digests, size_t digest_bytes)
{
	const uint8_t *at = data;
	blake3_hasher hasher;

	blake3_hasher_init_keyed(&hasher, key);
	while (data_bytes) {
		size_t bytes = data_bytes < block_bytes ? data_bytes : block_bytes;

		blake3_hasher_reset(&hasher);
		blake3_hasher_update(&hasher, at, bytes);
		blake3_hasher_finalize(&hasher, ret_digests, digest_bytes);
		at += bytes;
		data_bytes -= bytes;
		ret_digests += digest_bytes;
	}
}
