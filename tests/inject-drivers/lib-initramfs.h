/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An initramfs as a real tool makes it, and a guest with a real kernel's modules. */
#ifndef TESTS_INJECT_DRIVERS_LIB_INITRAMFS_H
#define TESTS_INJECT_DRIVERS_LIB_INITRAMFS_H

#include "inject-drivers/initramfs.h"
#include "p2v/guest/inspect.h"
#include "tests/guest/lib-tree.h"

/* A kernel whose modules are installed on this machine; NULL, having said so, if there is none. */
char *host_kernel_version(void);

/* A part that make-initramfs.sh makes: "main.cpio", "small.cpio", "early.cpio".  From the cache; NULL, having
 * said so, if this machine has no mkinitramfs. */
char *initramfs_part(const char *version, const char *name);

/* Runs a shell command, which must succeed; what it prints, to be freed. */
char *shell(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool has_program(const char *name);

/* Ways to pack: gzip, bzip2, lzma, xz, zstd, lz4, lzo, none; NULL-ended. */
struct packing {
	const char *name;
	const char *command; /* from standard input to standard output, as the kernel wants it */
	const char *unpack;
};
extern const struct packing packings[];

/* A guest with the modules of this machine's kernel that the targets' and the old hardware's drivers need,
 * and their lists; its initramfs is a copy of the file. */
struct tree *guest_with_kernel(const char *version, const char *initramfs_file);

/* What inspect_guest() finds in it; static parts are the caller's. */
void inspection_of_kernel(const char *version, struct inspection *ret_inspection);

/* "path mode uid gid nlink mtime size rdev" of each entry but "TRAILER!!!", a line each, in order. */
char *initramfs_listing(const struct initramfs *initramfs);

#endif
