// SPDX-License-Identifier: GPL-3.0-or-later
#include "tests/fuzz/lib-fuzz-image.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "p2v/base/le.h"
#include "p2v/base/mem.h"
#include "tests/fuzz/lib-fuzz-checksums.h"

#define WORD 8u
#define MAX_PIECE_BYTES 65528u
#define READ_BYTES (256u << 10)

void fuzz_die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	abort();
}

static void take(struct fuzz_rest *rest, void *ret, size_t bytes)
{
	size_t have = rest->left < bytes ? rest->left : bytes;

	memset(ret, 0, bytes);
	if (have)
		memcpy(ret, rest->at, have);
	rest->at += have;
	rest->left -= have;
}

uint8_t fuzz_take_u8(struct fuzz_rest *rest)
{
	uint8_t value;

	take(rest, &value, sizeof value);
	return value;
}

uint32_t fuzz_take_u32(struct fuzz_rest *rest)
{
	le32 value;

	take(rest, &value, sizeof value);
	return le32_get(value);
}

bool fuzz_take_piece(struct fuzz_rest *rest, struct fuzz_piece *ret_piece)
{
	uint64_t offset = (uint64_t)fuzz_take_u32(rest) * WORD;
	le16 length;
	size_t bytes;

	take(rest, &length, sizeof length);
	bytes = le16_get(length) < rest->left ? le16_get(length) : rest->left;
	if (!bytes)
		return false;
	*ret_piece = (struct fuzz_piece){offset, rest->at, bytes};
	rest->at += bytes;
	rest->left -= bytes;
	return true;
}

static void must(struct err *err)
{
	FUZZ_ASSERT(!err, "the device in memory failed: %s", err_message(err));
}

static struct blk *decode(struct fuzz_rest *rest, uint64_t max_bytes)
{
	uint64_t size = (uint64_t)fuzz_take_u32(rest) * 512;
	struct fuzz_piece piece;
	struct blk *file;

	if (size > max_bytes)
		size = max_bytes;
	must(blk_mem_create(size, &file));
	while (fuzz_take_piece(rest, &piece)) {
		if (piece.file_offset >= size)
			continue;
		if (piece.len_bytes > size - piece.file_offset)
			piece.len_bytes = size - piece.file_offset;
		must(blk_pwrite(file, piece.bytes, piece.len_bytes, piece.file_offset, 0));
	}
	return file;
}

struct blk *fuzz_disk_decode(struct fuzz_rest *rest, unsigned *ret_flags)
{
	*ret_flags = fuzz_take_u8(rest);
	return decode(rest, FUZZ_MAX_DISK_BYTES);
}

struct blk *fuzz_image_decode(struct fuzz_rest *rest, unsigned *ret_flags)
{
	unsigned flags = fuzz_take_u8(rest);
	struct fuzz_rest pieces = *rest;
	struct blk *file = decode(rest, FUZZ_MAX_FILE_BYTES);

	(void)fuzz_take_u32(&pieces);
	if (flags & FUZZ_FIX_CHECKSUMS)
		fuzz_fix_checksums(file, pieces);
	*ret_flags = flags;
	return file;
}

static bool put_piece(uint64_t offset, const uint8_t *bytes, size_t len_bytes, FILE *to)
{
	le32 place = le32_make((uint32_t)(offset / WORD));
	le16 length = le16_make((uint16_t)len_bytes);

	return fwrite(&place, sizeof place, 1, to) == 1 && fwrite(&length, sizeof length, 1, to) == 1 &&
	       (!len_bytes || fwrite(bytes, len_bytes, 1, to) == 1);
}

/* The runs of words that are not zero; one zero word within a run is cheaper than a new piece. */
static bool put_pieces(uint64_t offset, const uint8_t *buf, size_t bytes, FILE *to)
{
	for (size_t at = 0, end; at + WORD <= bytes; at = end) {
		end = at + WORD;
		if (blk_is_zero(buf + at, WORD))
			continue;
		while (end + WORD <= bytes && end - at < MAX_PIECE_BYTES &&
		       !(blk_is_zero(buf + end, WORD) &&
			 (end + 2 * WORD > bytes || blk_is_zero(buf + end + WORD, WORD))))
			end += WORD;
		if (!put_piece(offset + at, buf + at, end - at, to))
			return false;
	}
	return true;
}

bool fuzz_image_encode(struct blk *file, uint64_t limit_bytes, unsigned flags, FILE *to)
{
	CLEANUP_FREE uint8_t *buf = xmalloc(READ_BYTES);
	uint64_t end = file->size_bytes < limit_bytes ? file->size_bytes : limit_bytes;
	le32 sectors = le32_make((uint32_t)(file->size_bytes / 512));

	if (fputc((int)flags, to) == EOF || fwrite(&sectors, sizeof sectors, 1, to) != 1)
		return false;
	for (uint64_t offset = 0; offset < end; offset += READ_BYTES) {
		size_t bytes = end - offset < READ_BYTES ? end - offset : READ_BYTES;

		memset(buf, 0, READ_BYTES);
		must(blk_pread(file, buf, bytes, offset));
		if (!blk_is_zero(buf, bytes) && !put_pieces(offset, buf, READ_BYTES, to))
			return false;
	}
	return put_piece(0, NULL, 0, to);
}

struct view {
	struct blk blk;
	struct blk *of;
	pthread_mutex_t lock; /* what follows */
	struct extents changed;
};

static struct blk *under(struct blk *blk)
{
	return ((struct view *)blk)->of;
}

static void note_change(struct blk *blk, uint64_t start, uint64_t end)
{
	struct view *view = (struct view *)blk;
	LOCKED(&view->lock);

	extents_add(&view->changed, start, end);
}

static struct err *view_pread(struct blk *blk, void *buf, size_t len_bytes, uint64_t offset)
{
	return blk_pread(under(blk), buf, len_bytes, offset);
}

static struct err *view_pwrite(struct blk *blk, const void *buf, size_t len_bytes, uint64_t offset,
			       unsigned flags)
{
	note_change(blk, offset, offset + len_bytes);
	return blk_pwrite(under(blk), buf, len_bytes, offset, flags);
}

static struct err *view_zero(struct blk *blk, uint64_t len_bytes, uint64_t offset, unsigned flags)
{
	note_change(blk, offset, offset + len_bytes);
	return blk_zero(under(blk), len_bytes, offset, flags);
}

static struct err *view_discard(struct blk *blk, uint64_t len_bytes, uint64_t offset)
{
	note_change(blk, offset, offset + len_bytes);
	return blk_discard(under(blk), len_bytes, offset);
}

static struct err *view_resize(struct blk *blk, uint64_t size_bytes)
{
	/* A file system has room for what a small input names, three blocks of the largest size behind a file
	 * (where the model lies) among it, but not for all. */
	if (size_bytes > 16 * FUZZ_MAX_FILE_BYTES)
		return err_failed("%s: no space", blk->name);
	if (size_bytes < blk->size_bytes)
		note_change(blk, size_bytes, blk->size_bytes);
	TRY(blk_resize(under(blk), size_bytes));
	blk->size_bytes = size_bytes;
	return NULL;
}

static struct err *view_close(struct blk *blk)
{
	struct view *view = (struct view *)blk;

	extents_deinit(&view->changed);
	pthread_mutex_destroy(&view->lock);
	free(view);
	return NULL;
}

struct blk *fuzz_view(struct blk *blk, unsigned flags)
{
	static const struct blk_ops ops = {
		.kind = "view",
		.pread = view_pread,
		.pwrite = view_pwrite,
		.zero = view_zero,
		.discard = view_discard,
		.resize = view_resize,
		.close = view_close,
	};
	struct view *view = xcalloc(1, sizeof *view);

	view->blk = *blk;
	view->blk.ops = &ops;
	view->blk.flags |= flags;
	view->of = blk;
	pthread_mutex_init(&view->lock, NULL);
	return &view->blk;
}

const struct extents *fuzz_view_changed(struct blk *view)
{
	return &((struct view *)view)->changed;
}
