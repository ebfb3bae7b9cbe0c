/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a receiver knows of a copy: the hash of each block (wire.h, 3), in a file.
 *
 * The file is never wrong, whatever happens, if its user keeps to one order: doubt the blocks, sync the
 * manifest, change the copy, flush the copy, write the hashes.  What a hash says was then in the copy,
 * durable, before the hash was written.  Losing the latest hashes costs time, nothing else.
 *
 * Blocks of zeros are holes in the file, and memory is what a call needs: a disk of 10 TiB with 1 GiB of data
 * takes little of either.  Reads and writes may come from several threads.
 */
#ifndef P2V_SYNC_MANIFEST_H
#define P2V_SYNC_MANIFEST_H

#include "p2v/base/err.h"
#include "p2v/sync/hash.h"

struct manifest;

/* path must not exist; the copy must be all zeros.  Durable when it returns. */
struct err *manifest_create(const char *path, uint64_t size_bytes, uint32_t block_bytes,
			    struct manifest **ret_manifest) ERR_MUST_CHECK;
/* ERR_REFUSED: no manifest of ours, or of a disk of another size. */
struct err *manifest_open(const char *path, uint64_t size_bytes, uint32_t block_bytes,
			  struct manifest **ret_manifest) ERR_MUST_CHECK;
void manifest_close(struct manifest *manifest); /* takes NULL; syncs nothing */

uint64_t manifest_block_count(const struct manifest *manifest);
uint64_t manifest_page_count(const struct manifest *manifest);

/* Ranges must lie within the disk. */
struct err *manifest_read(struct manifest *manifest, uint64_t first_block, size_t count,
			  wire_hash *ret_hashes) ERR_MUST_CHECK;
struct err *manifest_write(struct manifest *manifest, uint64_t first_block, size_t count,
			   const wire_hash *hashes) ERR_MUST_CHECK;
/* The same hash for all of a range. */
struct err *manifest_fill(struct manifest *manifest, uint64_t first_block, uint64_t count,
			  const wire_hash hash) ERR_MUST_CHECK;
struct err *manifest_sync(struct manifest *manifest) ERR_MUST_CHECK;

struct err *manifest_hash_pages(struct manifest *manifest, const uint8_t key[WIRE_HASH_KEY_BYTES],
				uint64_t first_page, size_t count, wire_hash *ret_hashes) ERR_MUST_CHECK;

/* Called with blocks in ascending order, of which whole pages may not be zeros; what is left out is zeros. An
 * error ends the walk and is returned. */
typedef struct err *(*manifest_fn)(void *arg, uint64_t first_block, size_t count, const wire_hash *hashes);
/* Over [first_block, first_block + count), widened to whole pages; takes time for data, not for holes. */
struct err *manifest_walk(struct manifest *manifest, uint64_t first_block, uint64_t count, manifest_fn fn,
			  void *arg) ERR_MUST_CHECK;

/* The root of the disk (wire.h, 3), and how many of its blocks are in doubt: the root means nothing unless
 * that is 0. */
struct err *manifest_root(struct manifest *manifest, const uint8_t key[WIRE_HASH_KEY_BYTES], uint32_t disk,
			  struct root *ret_root, uint64_t *ret_in_doubt) ERR_MUST_CHECK;

DEFINE_CLEANUP(manifest, struct manifest *, manifest_close)
#define CLEANUP_MANIFEST CLEANUP(cleanup_manifest)

#endif
