/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What tests of VHDX files share. */
#ifndef TESTS_VHDX_LIB_VHDX_H
#define TESTS_VHDX_LIB_VHDX_H

#include "tests/base/lib-nbd-server.h"
#include "vhdx/format.h"
#include "vhdx/vhdx.h"

#define MIB (1024ull * 1024)
#define GIB (1024 * MIB)
#define TIB (1024 * GIB)

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

/* A VHDX in memory, not finished; the file behind it is *ret_file, which belongs to the VHDX. */
struct blk *vhdx_in_memory(const struct vhdx_create_options *options, struct blk **ret_file);

/* An independent copy in memory of what a device holds now: what a power cut would leave, if all writes
 * had reached the disk. */
struct blk *copy_of(struct blk *blk);

/* The same device, read-only, which stays open when this is closed. */
struct blk *borrowed(struct blk *blk);

/* The same, but writable. */
struct blk *lent(struct blk *blk);

/* The file has no findings at all; or only warnings; or at least one error. */
void assert_clean(struct blk *file);
void assert_no_errors_in(struct blk *file);
void assert_has_finding(struct blk *file, const char *part_of_text);

/* Opens a file, which must work, with what fails named. */
struct blk *vhdx_opened(struct blk *file, unsigned flags);

/* Both devices hold the same bytes in [offset, offset + len_bytes). */
void assert_same_range(struct blk *got, struct blk *expected, uint64_t len_bytes, uint64_t offset);

/* Overwrites bytes; sets the checksum of the header, region table or log entry there anew. */
void poke(struct blk *file, uint64_t offset, const void *bytes, size_t len_bytes);
void poke_le32(struct blk *file, uint64_t offset, uint32_t value);
void poke_le64(struct blk *file, uint64_t offset, uint64_t value);
void fix_checksum(struct blk *file, uint64_t offset, size_t structure_bytes);
uint64_t peek_le64(struct blk *file, uint64_t offset);

/* The current header's offset: that with the higher sequence number. */
uint64_t current_header(struct blk *file);

/* A file of the corpus ("vhdx/ext2.vhdx.xz"), unpacked into dir; NULL where there is no corpus.  The
 * caller frees the path. */
char *corpus_file(const char *dir, const char *name);

/* Runs a program, which must succeed; what it printed, for the caller to free. */
char *run_ok(const char *const *argv);
#define RUN(...) run_ok((const char *const[]){__VA_ARGS__, NULL})

/* sha256 of the first len_bytes of a device, in hex; the caller frees it. */
char *sha256_of(struct blk *blk, uint64_t len_bytes);

#endif
