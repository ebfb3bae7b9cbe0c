/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One table.  Unpacking is libarchive's; packing is left to the very programs
 * that mkinitramfs(8) and dracut(8) call, because the kernel's unpackers want
 * forms that libarchive does not write: xz with CRC32, LZ4's legacy frame.
 *
 * Levels are mkinitramfs' own, but for xz and lzma: level 1 instead of 6 takes
 * a fifth of the time for 14 % more bytes, and the guest's next kernel update
 * packs as it always did.
 */
#include "inject-drivers/compressors.h"

#include <archive.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>

#include "p2v/base/le.h"
#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/base/strv.h"

#define TIME_LIMIT_NS (1800 * 1000000000ull)

#define MAGIC(bytes) .magic = (bytes), .magic_bytes = sizeof(bytes) - 1

#define LZ4_LEGACY_MAGIC 0x184c2102
#define LZ4_BLOCK_MAX_BYTES (8u << 20) /* unpacked */
/* LZ4_COMPRESSBOUND() of that */
#define LZ4_PACKED_MAX_BYTES (LZ4_BLOCK_MAX_BYTES + LZ4_BLOCK_MAX_BYTES / 255 + 16)

/* LZ4's legacy frame (lz4_Frame_format.md) has no end: blocks with their size in front, until something
 * else comes.  Of that the kernel only takes another such frame. */
static uint64_t find_lz4_end(int fd, uint64_t start, uint64_t end)
{
	uint64_t at = start;
	le32 word;

	while (end - at > sizeof word && pread(fd, &word, sizeof word, (off_t)at) == sizeof word) {
		uint32_t bytes = le32_get(word);

		if (bytes == LZ4_LEGACY_MAGIC)
			bytes = 0;
		else if (bytes == 0 || bytes > LZ4_PACKED_MAX_BYTES)
			return at;
		if (bytes > end - at - sizeof word)
			return end; /* cut short: the filter will say so */
		at += sizeof word + bytes;
	}
	return at;
}

/* libarchive's filter takes anything but another frame for damage. */
static uint64_t find_zstd_end(int fd, uint64_t start, uint64_t end)
{
	uint64_t page = start - start % (uint64_t)sysconf(_SC_PAGESIZE);
	char *map = mmap(NULL, end - page, PROT_READ, MAP_PRIVATE, fd, (off_t)page);
	uint64_t at = start;

	if (map == MAP_FAILED)
		return end;
	while (at < end) {
		size_t bytes = ZSTD_findFrameCompressedSize(map + (at - page), end - at);

		if (ZSTD_isError(bytes))
			break;
		at += bytes;
	}
	munmap(map, end - page);
	return at == start ? end : at;
}

static const struct compressor compressors[] = {
	{
		.name = "gzip",
		MAGIC("\x1f\x8b"),
		.read_filter = archive_read_support_filter_gzip,
		.argv = (const char *const[]){"gzip", "-n", "-f", NULL},
		.suffix = ".gz",
	},
	{
		.name = "bzip2",
		MAGIC("BZh"),
		.read_filter = archive_read_support_filter_bzip2,
		.argv = (const char *const[]){"bzip2", "-f", NULL},
		.suffix = ".bz2",
	},
	{
		.name = "lzma",
		MAGIC("\x5d\x00\x00"),
		.read_filter = archive_read_support_filter_lzma,
		.argv = (const char *const[]){"xz", "--format=lzma", "-1", "-f", NULL},
		.suffix = ".lzma",
	},
	{
		.name = "xz",
		MAGIC("\xfd"
		      "7zXZ\x00"),
		.read_filter = archive_read_support_filter_xz,
		/* The kernel checks CRC32 only (lib/decompress_unxz.c). */
		.argv = (const char *const[]){"xz", "--check=crc32", "-1", "--threads=0", "-f", NULL},
		.suffix = ".xz",
	},
	{
		.name = "zstd",
		MAGIC("\x28\xb5\x2f\xfd"),
		.read_filter = archive_read_support_filter_zstd,
		.find_end = find_zstd_end,
		.argv = (const char *const[]){"zstd", "-q", "-9", "-T0", "-f", NULL},
		.suffix = ".zst",
	},
	{
		.name = "lz4",
		MAGIC("\x02\x21\x4c\x18"),
		.read_filter = archive_read_support_filter_lz4,
		.find_end = find_lz4_end,
		/* -l: the legacy frame, the only one the kernel reads; -m: name the result by suffix. */
		.argv = (const char *const[]){"lz4", "-q", "-l", "-9", "-f", "-m", NULL},
		.suffix = ".lz4",
	},
	{
		.name = "lzo",
		MAGIC("\x89LZO"),
		.read_filter = archive_read_support_filter_lzop,
		.argv = (const char *const[]){"lzop", "-q", "-f", NULL},
		.suffix = ".lzo",
	},
};

const struct compressor *compressor_find(const void *head, size_t bytes)
{
	for (size_t i = 0; i < sizeof compressors / sizeof *compressors; i++) {
		const struct compressor *compressor = &compressors[i];

		if (bytes >= compressor->magic_bytes &&
		    memcmp(head, compressor->magic, compressor->magic_bytes) == 0)
			return compressor;
	}
	return NULL;
}

struct err *compressor_run(const struct compressor *compressor, const char *path, const struct log *log,
			   char **ret_path)
{
	const struct run_options options = {.time_limit_ns = TIME_LIMIT_NS, .log = log};
	CLEANUP_STRV struct strv argv = {0};
	struct err *err;

	for (size_t i = 0; compressor->argv[i]; i++)
		strv_add(&argv, compressor->argv[i]);
	strv_add(&argv, path);
	err = run_argv((const char *const *)argv.items, &options, NULL);
	if (err && err_errno(err) == ENOENT)
		return err_advise(err, "install %s on this host: the guest's initramfs is packed with it",
				  compressor->argv[0]);
	if (err)
		return err;
	*ret_path = xasprintf("%s%s", path, compressor->suffix);
	return NULL;
}
