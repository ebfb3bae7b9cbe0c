// SPDX-License-Identifier: GPL-3.0-or-later
#include "tests/vhdx/lib-vhdx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/base/strv.h"
#include "tests/base/lib-must.h"

#define PIECE_BYTES (1u << 20)

struct blk *vhdx_in_memory(const struct vhdx_create_options *options, struct blk **ret_file)
{
	struct blk *file, *vhdx;

	must(blk_mem_create(0, &file));
	must(vhdx_create_on(file, options, NULL, &vhdx));
	*ret_file = file;
	return vhdx;
}

struct blk *copy_of(struct blk *blk)
{
	CLEANUP_FREE uint8_t *buf = xmalloc(PIECE_BYTES);
	struct blk *copy;

	must(blk_mem_create(blk->size_bytes, &copy));
	for (uint64_t offset = 0; offset < blk->size_bytes;) {
		uint64_t left = blk->size_bytes - offset;
		size_t bytes = left < PIECE_BYTES ? left : PIECE_BYTES;

		must(blk_pread(blk, buf, bytes, offset));
		if (!blk_is_zero(buf, bytes))
			must(blk_pwrite(copy, buf, bytes, offset, 0));
		offset += bytes;
	}
	return copy;
}

struct borrowed {
	struct blk blk;
	struct blk *of;
};

static struct err *borrowed_pread(struct blk *blk, void *buf, size_t len_bytes, uint64_t offset)
{
	return blk_pread(((struct borrowed *)blk)->of, buf, len_bytes, offset);
}

static struct err *borrowed_close(struct blk *blk)
{
	free(blk);
	return NULL;
}

struct blk *borrowed(struct blk *blk)
{
	static const struct blk_ops ops = {
		.kind = "borrowed", .pread = borrowed_pread, .close = borrowed_close};
	struct borrowed *b = xcalloc(1, sizeof *b);

	b->blk = *blk;
	b->blk.ops = &ops;
	b->blk.flags |= BLK_READ_ONLY;
	b->of = blk;
	return &b->blk;
}

static struct blk *of(struct blk *blk)
{
	return ((struct borrowed *)blk)->of;
}

static struct err *lent_pwrite(struct blk *blk, const void *buf, size_t len_bytes, uint64_t offset,
			       unsigned flags)
{
	return blk_pwrite(of(blk), buf, len_bytes, offset, flags);
}

static struct err *lent_zero(struct blk *blk, uint64_t len_bytes, uint64_t offset, unsigned flags)
{
	return blk_zero(of(blk), len_bytes, offset, flags);
}

static struct err *lent_discard(struct blk *blk, uint64_t len_bytes, uint64_t offset)
{
	return blk_discard(of(blk), len_bytes, offset);
}

static struct err *lent_flush(struct blk *blk)
{
	return blk_flush(of(blk));
}

static struct err *lent_resize(struct blk *blk, uint64_t size_bytes)
{
	TRY(blk_resize(of(blk), size_bytes));
	__atomic_store_n(&blk->size_bytes, size_bytes, __ATOMIC_RELAXED);
	return NULL;
}

struct blk *lent(struct blk *blk)
{
	static const struct blk_ops ops = {
		.kind = "lent",
		.pread = borrowed_pread,
		.pwrite = lent_pwrite,
		.zero = lent_zero,
		.discard = lent_discard,
		.flush = lent_flush,
		.resize = lent_resize,
		.close = borrowed_close,
	};
	struct borrowed *b = xcalloc(1, sizeof *b);

	b->blk = *blk;
	b->blk.ops = &ops;
	b->of = blk;
	return &b->blk;
}

static void print_finding(void *arg, const struct vhdx_finding *finding)
{
	struct text *all = arg;

	text_addf(all, "  %s at %llu: %s\n", finding->severity == VHDX_ERROR ? "error" : "warning",
		  (unsigned long long)finding->file_offset, finding->text);
}

static struct vhdx_check_result check(struct blk *file, char **ret_text)
{
	struct text all = {0};
	struct vhdx_check_result result;

	must(vhdx_check_on(file, print_finding, &all, &result));
	*ret_text = text_take(&all);
	return result;
}

void assert_clean(struct blk *file)
{
	CLEANUP_FREE char *text = NULL;
	struct vhdx_check_result result = check(file, &text);

	if (result.errors || result.warnings)
		fail_msg("findings:\n%s", text);
}

void assert_no_errors_in(struct blk *file)
{
	CLEANUP_FREE char *text = NULL;
	struct vhdx_check_result result = check(file, &text);

	if (result.errors)
		fail_msg("findings:\n%s", text);
}

void assert_has_finding(struct blk *file, const char *part_of_text)
{
	CLEANUP_FREE char *text = NULL;

	check(file, &text);
	if (!strstr(text, part_of_text))
		fail_msg("no finding with \"%s\" in:\n%s", part_of_text, text);
}

struct blk *vhdx_opened(struct blk *file, unsigned flags)
{
	struct blk *vhdx = NULL;

	must(vhdx_open_on(file, flags, NULL, &vhdx));
	assert_string_equal(vhdx->ops->kind, "vhdx");
	return vhdx;
}

void assert_same_range(struct blk *got, struct blk *expected, uint64_t len_bytes, uint64_t offset)
{
	CLEANUP_FREE uint8_t *a = xmalloc(PIECE_BYTES);
	CLEANUP_FREE uint8_t *b = xmalloc(PIECE_BYTES);

	while (len_bytes) {
		size_t bytes = len_bytes < PIECE_BYTES ? len_bytes : PIECE_BYTES;

		must(blk_pread(got, a, bytes, offset));
		must(blk_pread(expected, b, bytes, offset));
		for (size_t i = 0; memcmp(a, b, bytes) && i < bytes; i++)
			if (a[i] != b[i])
				fail_msg("byte %llu is %02x, not %02x", (unsigned long long)(offset + i),
					 a[i], b[i]);
		offset += bytes;
		len_bytes -= bytes;
	}
}

void poke(struct blk *file, uint64_t offset, const void *bytes, size_t len_bytes)
{
	must(blk_pwrite(file, bytes, len_bytes, offset, 0));
}

void poke_le32(struct blk *file, uint64_t offset, uint32_t value)
{
	le32 v = le32_make(value);

	poke(file, offset, &v, sizeof v);
}

void poke_le64(struct blk *file, uint64_t offset, uint64_t value)
{
	le64 v = le64_make(value);

	poke(file, offset, &v, sizeof v);
}

uint64_t peek_le64(struct blk *file, uint64_t offset)
{
	le64 v;

	must(blk_pread(file, &v, sizeof v, offset));
	return le64_get(v);
}

void fix_checksum(struct blk *file, uint64_t offset, size_t structure_bytes)
{
	CLEANUP_FREE uint8_t *buf = xmalloc(structure_bytes);

	must(blk_pread(file, buf, structure_bytes, offset));
	vhdx_checksum_set(buf, structure_bytes);
	poke(file, offset, buf, structure_bytes);
}

uint64_t current_header(struct blk *file)
{
	return peek_le64(file, VHDX_HEADER_1_OFFSET + 8) > peek_le64(file, VHDX_HEADER_2_OFFSET + 8)
		       ? VHDX_HEADER_1_OFFSET
		       : VHDX_HEADER_2_OFFSET;
}

char *run_ok(const char *const *argv)
{
	struct run_options options = {.time_limit_ns = 120ull * 1000000000};
	CLEANUP_RUN_RESULT struct run_result result = {0};

	must(run_argv(argv, &options, &result));
	return take_ptr(result.out);
}

char *corpus_file(const char *dir, const char *name)
{
	const char *corpora = getenv("P2V_CORPORA");
	CLEANUP_FREE char *packed = xasprintf("%s/%s", corpora ? corpora : "../shared/corpora", name);
	const char *program = str_ends_with(name, ".bz2") ? "bzip2" : "xz";
	CLEANUP_FREE char *base = xstrdup(strrchr(name, '/') + 1);
	char *path;

	if (access(packed, R_OK)) {
		print_message("  skipped: there is no %s\n", packed);
		return NULL;
	}
	*strrchr(base, '.') = 0;
	path = test_path(dir, base);
	free(RUN("sh", "-c", "\"$1\" -dc \"$2\" >\"$3\"", "sh", program, packed, path));
	return path;
}

char *sha256_of(struct blk *blk, uint64_t len_bytes)
{
	static const char *const argv[] = {"sha256sum", NULL};
	CLEANUP_FREE uint8_t *content = xmalloc(len_bytes);
	struct run_options options = {
		.time_limit_ns = 60ull * 1000000000, .input = content, .input_bytes = len_bytes};
	CLEANUP_RUN_RESULT struct run_result result = {0};

	must(blk_pread(blk, content, len_bytes, 0));
	must(run_argv(argv, &options, &result));
	return xstrndup(result.out, 64);
}
