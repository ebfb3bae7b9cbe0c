/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An initramfs: cpio archives one after the other, each as it is or compressed,
 * with zeros between them; what comes later replaces what came before
 * (Documentation/driver-api/early-userspace/buffer-format.rst in Linux' source).
 * Usual are early ones with microcode, uncompressed, and then a compressed one
 * with everything else.
 */
#ifndef INJECT_DRIVERS_INITRAMFS_H
#define INJECT_DRIVERS_INITRAMFS_H

#include <stdbool.h>
#include <stdint.h>

#include "inject-drivers/compressors.h"
#include "inject-drivers/newc.h"
#include "p2v/base/err.h"

/* A run of the file: one uncompressed archive, or compressed data with any number of archives inside. */
struct initramfs_segment {
	uint64_t start;
	uint64_t end; /* without the zeros behind it */
	const struct compressor *compressor; /* NULL: none */
	unsigned archive_count;
};

struct initramfs_entry {
	char *path; /* without leading "./" or "/" */
	uint32_t fields[NEWC_FIELDS];
	unsigned segment;
	unsigned archive; /* within the segment */
	char *data; /* of small configuration files and module lists, NUL-terminated; else NULL */
};

/* Zero-initialised is empty. */
struct initramfs {
	char *path; /* on the host */
	char *name; /* in the guest, for messages */
	uint64_t size_bytes;
	struct initramfs_segment *segments;
	size_t segment_count;
	size_t segment_capacity;
	struct initramfs_entry *entries; /* in the order of the file */
	size_t entry_count;
	size_t entry_capacity;
};

/* Lists all of it.  ERR_REFUSED, saying what is wrong and where, if the kernel would not unpack it all.
 * Messages call it name. */
struct err *initramfs_read(const char *path, const char *name, struct initramfs *ret_initramfs)
	ERR_MUST_CHECK;
void initramfs_deinit(struct initramfs *initramfs);
#define CLEANUP_INITRAMFS CLEANUP(initramfs_deinit)

/* The entry that counts after unpacking: the last of that path.  NULL if there is none. */
const struct initramfs_entry *initramfs_find(const struct initramfs *initramfs, const char *path);

bool initramfs_entry_is_file(const struct initramfs_entry *entry);

/* Where VERSION's modules are, or would be: "usr/lib/modules/VERSION"; the caller frees it. */
char *initramfs_modules_dir(const struct initramfs *initramfs, const char *version);

/* Writes the regular files that `wants` accepts below host_dir, by the path that it returns (relative,
 * the caller's to free; NULL: not wanted). */
struct err *initramfs_extract(const struct initramfs *initramfs,
			      char *(*wants)(void *arg, const struct initramfs_entry *entry), void *arg,
			      const char *host_dir) ERR_MUST_CHECK;

#endif
