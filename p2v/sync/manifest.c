/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The file: a header of one page of memory, then the hashes, 16 bytes a block.
 * 16 divides a sector, so that power cuts leave each hash old or new.  It has its
 * full length from the start; what was never written is a hole, and reads as the
 * hash of zeros.  Read and written by system calls, not mapped: a full disk is then
 * an error, and not a signal.
 */
#include "p2v/sync/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "p2v/base/crc32c.h"
#include "p2v/base/mem.h"

#define HEADER_BYTES 4096
#define CHUNK_HASHES 4096u /* read and written at a time; whole pages */

static const char magic[16] = "p2v manifest 1\n";

struct disk_header {
	char magic[16];
	le64 size_bytes;
	le32 block_bytes;
	le32 crc; /* CRC-32C of what is in front of it */
};

struct manifest {
	int fd;
	char *path;
	uint64_t block_count;
};

static struct err *io_error(const struct manifest *manifest, const char *what)
{
	struct err *err = err_from_errno(errno, "%s: %s", manifest->path, what);

	if (err_errno(err) == ENOSPC || err_errno(err) == EDQUOT)
		return err_advise(err, "free some space there");
	return err;
}

static struct err *read_at(struct manifest *manifest, void *buf, size_t bytes, uint64_t offset)
{
	uint8_t *at = buf;

	while (bytes) {
		ssize_t got = pread(manifest->fd, at, bytes, offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return io_error(manifest, "read");
		if (!got)
			return err_refused("%s: is too short", manifest->path);
		at += got;
		offset += got;
		bytes -= got;
	}
	return NULL;
}

static struct err *write_at(struct manifest *manifest, const void *buf, size_t bytes, uint64_t offset)
{
	const uint8_t *at = buf;

	while (bytes) {
		ssize_t put = pwrite(manifest->fd, at, bytes, offset);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return io_error(manifest, "write");
		at += put;
		offset += put;
		bytes -= put;
	}
	return NULL;
}

static uint64_t place(uint64_t block)
{
	return HEADER_BYTES + block * WIRE_HASH_BYTES;
}

static struct disk_header make_header(uint64_t size_bytes, uint32_t block_bytes)
{
	struct disk_header header = {
		.size_bytes = le64_make(size_bytes),
		.block_bytes = le32_make(block_bytes),
	};

	memcpy(header.magic, magic, sizeof magic);
	header.crc = le32_make(crc32c(0, &header, offsetof(struct disk_header, crc)));
	return header;
}

static struct err *open_file(const char *path, int flags, uint64_t size_bytes, uint32_t block_bytes,
			     struct manifest **ret_manifest)
{
	struct manifest *manifest = calloc(1, sizeof *manifest);
	struct err *err;

	if (!manifest)
		return err_nomem();
	manifest->path = xstrdup(path);
	manifest->block_count = (size_bytes + block_bytes - 1) / block_bytes;
	manifest->fd = open(path, O_RDWR | O_CLOEXEC | flags, 0600);
	if (manifest->fd < 0) {
		err = err_from_errno(errno, "%s", path);
		manifest_close(manifest);
		return err;
	}
	*ret_manifest = manifest;
	return NULL;
}

struct err *manifest_create(const char *path, uint64_t size_bytes, uint32_t block_bytes,
			    struct manifest **ret_manifest)
{
	struct disk_header header = make_header(size_bytes, block_bytes);
	CLEANUP_MANIFEST struct manifest *manifest = NULL;
	struct err *err;

	TRY(open_file(path, O_CREAT | O_EXCL, size_bytes, block_bytes, &manifest));
	err = write_at(manifest, &header, sizeof header, 0);
	if (!err && ftruncate(manifest->fd, place(manifest->block_count)))
		err = io_error(manifest, "resize");
	if (!err && fsync(manifest->fd))
		err = io_error(manifest, "sync");
	if (err) {
		unlink(path);
		return err;
	}
	*ret_manifest = take_ptr(manifest);
	return NULL;
}

struct err *manifest_open(const char *path, uint64_t size_bytes, uint32_t block_bytes,
			  struct manifest **ret_manifest)
{
	struct disk_header expected = make_header(size_bytes, block_bytes), header;
	CLEANUP_MANIFEST struct manifest *manifest = NULL;
	struct stat st;

	TRY(open_file(path, 0, size_bytes, block_bytes, &manifest));
	if (fstat(manifest->fd, &st))
		return io_error(manifest, "stat");
	if (st.st_size != place(manifest->block_count))
		return err_refused("%s: is of a wrong length", path);
	TRY(read_at(manifest, &header, sizeof header, 0));
	if (memcmp(&header, &expected, sizeof header))
		return err_refused("%s: is no manifest of this disk", path);
	*ret_manifest = take_ptr(manifest);
	return NULL;
}

void manifest_close(struct manifest *manifest)
{
	if (!manifest)
		return;
	if (manifest->fd >= 0)
		close(manifest->fd);
	free(manifest->path);
	free(manifest);
}

uint64_t manifest_block_count(const struct manifest *manifest)
{
	return manifest->block_count;
}

uint64_t manifest_page_count(const struct manifest *manifest)
{
	return (manifest->block_count + WIRE_PAGE_BLOCKS - 1) / WIRE_PAGE_BLOCKS;
}

struct err *manifest_read(struct manifest *manifest, uint64_t first_block, size_t count,
			  wire_hash *ret_hashes)
{
	return read_at(manifest, ret_hashes, count * WIRE_HASH_BYTES, place(first_block));
}

struct err *manifest_write(struct manifest *manifest, uint64_t first_block, size_t count,
			   const wire_hash *hashes)
{
	return write_at(manifest, hashes, count * WIRE_HASH_BYTES, place(first_block));
}

struct err *manifest_fill(struct manifest *manifest, uint64_t first_block, uint64_t count,
			  const wire_hash hash)
{
	CLEANUP_FREE wire_hash *hashes = malloc(CHUNK_HASHES * sizeof *hashes);

	if (!hashes)
		return err_nomem();
	for (size_t i = 0; i < CHUNK_HASHES && i < count; i++)
		memcpy(hashes[i], hash, sizeof *hashes);
	while (count) {
		size_t step = count < CHUNK_HASHES ? count : CHUNK_HASHES;

		TRY(manifest_write(manifest, first_block, step, hashes));
		first_block += step;
		count -= step;
	}
	return NULL;
}

struct err *manifest_sync(struct manifest *manifest)
{
	return fdatasync(manifest->fd) ? io_error(manifest, "sync") : NULL;
}

static size_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

struct err *manifest_hash_pages(struct manifest *manifest, const uint8_t key[WIRE_HASH_KEY_BYTES],
				uint64_t first_page, size_t count, wire_hash *ret_hashes)
{
	CLEANUP_FREE wire_hash *blocks = malloc(CHUNK_HASHES * sizeof *blocks);
	uint64_t block = first_page * WIRE_PAGE_BLOCKS;

	if (!blocks)
		return err_nomem();
	while (count) {
		size_t pages = smaller(count, CHUNK_HASHES / WIRE_PAGE_BLOCKS);
		size_t there = smaller(pages * WIRE_PAGE_BLOCKS, manifest->block_count - block);

		TRY(manifest_read(manifest, block, there, blocks));
		for (size_t at = 0; at < there; at += WIRE_PAGE_BLOCKS)
			hash_page(key, blocks + at, smaller(WIRE_PAGE_BLOCKS, there - at), *ret_hashes++);
		block += there;
		count -= pages;
	}
	return NULL;
}

/* The first block at or behind this one, at the start of a page, that is not in a hole. */
static uint64_t skip_hole(struct manifest *manifest, uint64_t block)
{
	off_t data = lseek(manifest->fd, place(block), SEEK_DATA);

	if (data < 0)
		return errno == ENXIO ? manifest->block_count : block;
	if ((uint64_t)data <= place(block))
		return block;
	block = ((uint64_t)data - HEADER_BYTES) / WIRE_HASH_BYTES;
	return block - block % WIRE_PAGE_BLOCKS;
}

struct err *manifest_walk(struct manifest *manifest, uint64_t first_block, uint64_t count, manifest_fn fn,
			  void *arg)
{
	CLEANUP_FREE wire_hash *hashes = malloc(CHUNK_HASHES * sizeof *hashes);
	uint64_t end = first_block + count, block = first_block - first_block % WIRE_PAGE_BLOCKS;

	if (!hashes)
		return err_nomem();
	end = smaller(manifest->block_count,
		      (end + WIRE_PAGE_BLOCKS - 1) / WIRE_PAGE_BLOCKS * WIRE_PAGE_BLOCKS);
	for (block = skip_hole(manifest, block); block < end; block = skip_hole(manifest, block)) {
		size_t step = smaller(CHUNK_HASHES, end - block);

		TRY(manifest_read(manifest, block, step, hashes));
		TRY(fn(arg, block, step, hashes));
		block += step;
		if (block >= end)
			break;
	}
	return NULL;
}

struct root_sum {
	const uint8_t *key;
	uint32_t disk;
	struct root root;
	uint64_t in_doubt;
};

static struct err *add_pages(void *arg, uint64_t first_block, size_t count, const wire_hash *hashes)
{
	struct root_sum *sum = arg;

	for (size_t at = 0; at < count; at += WIRE_PAGE_BLOCKS) {
		size_t blocks = smaller(WIRE_PAGE_BLOCKS, count - at);
		wire_hash page;

		hash_page(sum->key, hashes + at, blocks, page);
		for (size_t i = 0; i < blocks; i++)
			sum->in_doubt += hash_equal(hashes[at + i], hash_in_doubt);
		root_add_page(&sum->root, sum->key, sum->disk, (first_block + at) / WIRE_PAGE_BLOCKS, page);
	}
	return NULL;
}

struct err *manifest_root(struct manifest *manifest, const uint8_t key[WIRE_HASH_KEY_BYTES], uint32_t disk,
			  struct root *ret_root, uint64_t *ret_in_doubt)
{
	struct root_sum sum = {.key = key, .disk = disk};

	TRY(manifest_walk(manifest, 0, manifest->block_count, add_pages, &sum));
	*ret_root = sum.root;
	*ret_in_doubt = sum.in_doubt;
	return NULL;
}
