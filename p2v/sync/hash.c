/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "p2v/sync/hash.h"

#include <string.h>

#include "p2v/base/blake3.h"
#include "p2v/base/blk.h"

const wire_hash hash_zero;
const wire_hash hash_in_doubt = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
				 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

void hash_blocks(const uint8_t key[WIRE_HASH_KEY_BYTES], const void *data, size_t data_bytes,
		 size_t block_bytes, wire_hash *ret_hashes)
{
	const uint8_t *at = data;

	for (; data_bytes; ret_hashes++) {
		size_t bytes = data_bytes < block_bytes ? data_bytes : block_bytes;

		if (blk_is_zero(at, bytes))
			memset(ret_hashes, 0, sizeof *ret_hashes);
		else
			blake3_hash_blocks(key, at, bytes, block_bytes, *ret_hashes, sizeof *ret_hashes);
		at += bytes;
		data_bytes -= bytes;
	}
}

void hash_page(const uint8_t key[WIRE_HASH_KEY_BYTES], const wire_hash *blocks, size_t count,
	       wire_hash ret_hash)
{
	bool all_zero = true;

	for (size_t i = 0; i < count; i++) {
		if (hash_equal(blocks[i], hash_in_doubt)) {
			memcpy(ret_hash, hash_in_doubt, sizeof hash_in_doubt);
			return;
		}
		all_zero &= hash_equal(blocks[i], hash_zero);
	}
	if (all_zero)
		memset(ret_hash, 0, WIRE_HASH_BYTES);
	else
		blake3_hash_blocks(key, blocks, count * WIRE_HASH_BYTES, count * WIRE_HASH_BYTES, ret_hash,
				   WIRE_HASH_BYTES);
}

static void page_term(const uint8_t key[WIRE_HASH_KEY_BYTES], uint32_t disk, uint64_t page,
		      const wire_hash hash, struct root *ret_term)
{
	struct {
		le32 disk;
		le64 page;
		wire_hash hash;
	} __attribute__((packed)) term = {le32_make(disk), le64_make(page), {0}};

	memcpy(term.hash, hash, sizeof term.hash);
	blake3_hash_blocks(key, &term, sizeof term, sizeof term, ret_term->bytes, sizeof ret_term->bytes);
}

void root_add(struct root *root, const struct root *other)
{
	unsigned carry = 0;

	for (size_t i = 0; i < sizeof root->bytes; i++) {
		carry += root->bytes[i] + other->bytes[i];
		root->bytes[i] = carry;
		carry >>= 8;
	}
}

void root_add_page(struct root *root, const uint8_t key[WIRE_HASH_KEY_BYTES], uint32_t disk, uint64_t page,
		   const wire_hash hash)
{
	struct root term;

	if (hash_equal(hash, hash_zero))
		return;
	page_term(key, disk, page, hash, &term);
	root_add(root, &term);
}

void root_take_page(struct root *root, const uint8_t key[WIRE_HASH_KEY_BYTES], uint32_t disk, uint64_t page,
		    const wire_hash hash)
{
	const struct root one = {{1}};
	struct root term;

	if (hash_equal(hash, hash_zero))
		return;
	page_term(key, disk, page, hash, &term);
	/* Minus, in two's complement. */
	for (size_t i = 0; i < sizeof term.bytes; i++)
		term.bytes[i] = ~term.bytes[i];
	root_add(&term, &one);
	root_add(root, &term);
}

void root_of_job(const uint8_t key[WIRE_HASH_KEY_BYTES], const uint64_t *size_bytes, const struct root *roots,
		 size_t count, struct root *ret_root)
{
	struct blake3 hash;

	blake3_begin_keyed(key, &hash);
	for (size_t i = 0; i < count; i++) {
		le64 size = le64_make(size_bytes[i]);

		blake3_add(&hash, &size, sizeof size);
		blake3_add(&hash, roots[i].bytes, sizeof roots[i].bytes);
	}
	blake3_end(&hash, ret_root->bytes, sizeof ret_root->bytes);
	explicit_bzero(&hash, sizeof hash);
}
