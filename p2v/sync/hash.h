/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Hashes of blocks, pages, disks and jobs: wire.h, 3. */
#ifndef P2V_SYNC_HASH_H
#define P2V_SYNC_HASH_H

#include <stdbool.h>
#include <stddef.h>

#include "p2v/sync/wire.h"

typedef uint8_t wire_hash[WIRE_HASH_BYTES];

extern const wire_hash hash_zero; /* of zeros */
extern const wire_hash hash_in_doubt;

static inline bool hash_equal(const wire_hash a, const wire_hash b)
{
	return !__builtin_memcmp(a, b, WIRE_HASH_BYTES);
}

/* Of the blocks that lie in data one behind the other, the last of which may be shorter. */
void hash_blocks(const uint8_t key[WIRE_HASH_KEY_BYTES], const void *data, size_t data_bytes,
		 size_t block_bytes, wire_hash *ret_hashes);

/* From the hashes of the page's blocks, 1…WIRE_PAGE_BLOCKS. */
void hash_page(const uint8_t key[WIRE_HASH_KEY_BYTES], const wire_hash *blocks, size_t count,
	       wire_hash ret_hash);

/* The root of a disk: a sum over pages, from zeros on.  A page counts once: before it is added with another
 * hash it is taken out with the old one. */
struct root {
	uint8_t bytes[WIRE_ROOT_BYTES];
};
void root_add_page(struct root *root, const uint8_t key[WIRE_HASH_KEY_BYTES], uint32_t disk, uint64_t page,
		   const wire_hash hash);
void root_take_page(struct root *root, const uint8_t key[WIRE_HASH_KEY_BYTES], uint32_t disk, uint64_t page,
		    const wire_hash hash);
void root_add(struct root *root, const struct root *other);

/* The root of a job. */
void root_of_job(const uint8_t key[WIRE_HASH_KEY_BYTES], const uint64_t *size_bytes, const struct root *roots,
		 size_t count, struct root *ret_root);

#endif
