/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The compressors that a Linux kernel can unpack an initramfs with
 * (lib/decompress.c in its source).
 */
#ifndef INJECT_DRIVERS_COMPRESSORS_H
#define INJECT_DRIVERS_COMPRESSORS_H

#include <stddef.h>
#include <stdint.h>

#include "p2v/base/err.h"
#include "p2v/base/log.h"

struct archive;

struct compressor {
	const char *name;
	const char *magic;
	size_t magic_bytes;
	int (*read_filter)(struct archive *); /* libarchive's, for unpacking */
	/* Where the data ends that begin at start, at most end; NULL: the filter finds out by itself. */
	uint64_t (*find_end)(int fd, uint64_t start, uint64_t end);
	/* Makes FILE`suffix` from FILE, which comes last; NULL-ended. */
	const char *const *argv;
	const char *suffix;
};

#define COMPRESSOR_MAGIC_BYTES 6 /* the longest */

/* NULL if the bytes begin none. */
const struct compressor *compressor_find(const void *head, size_t bytes);

/* Compresses path into *ret_path (the caller's to free and unlink); path stays or goes. */
struct err *compressor_run(const struct compressor *compressor, const char *path, const struct log *log,
			   char **ret_path) ERR_MUST_CHECK;

#endif
