/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A guest's files, wherever they are: in a disk image (libguestfs) or in a
 * directory tree (tests, and speed).  Paths are absolute inside the guest and
 * use '/'; symbolic links are followed inside the guest's own root, never out
 * of it.  Not thread-safe.
 *
 * Reading is cheap where it was fetched before: guest_fetch() brings whole
 * trees over in one call, and guest_read(), guest_stat() and guest_list() then
 * answer from memory.
 */
#ifndef P2V_GUEST_GUEST_H
#define P2V_GUEST_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "p2v/base/err.h"
#include "p2v/base/strv.h"

struct guest;

enum guest_kind { GUEST_MISSING, GUEST_FILE, GUEST_DIRECTORY, GUEST_SYMLINK, GUEST_OTHER };

struct guest_stat {
	enum guest_kind kind;
	mode_t mode; /* permission bits */
	uid_t uid;
	gid_t gid;
	uint64_t size_bytes;
	int64_t mtime; /* seconds since 1970 */
};

/* Symbolic links are followed; a path that is not there is GUEST_MISSING, not an error. */
struct err *guest_stat(struct guest *guest, const char *path, struct guest_stat *ret_stat) ERR_MUST_CHECK;

/* The last component is not followed. */
struct err *guest_lstat(struct guest *guest, const char *path, struct guest_stat *ret_stat) ERR_MUST_CHECK;

/* The whole file, at most 64 MiB, NUL-terminated behind *ret_bytes; the caller frees it.  A missing
 * file is *ret_data == NULL, not an error. */
struct err *guest_read(struct guest *guest, const char *path, char **ret_data, size_t *ret_bytes)
	ERR_MUST_CHECK;

/* Names in a directory, sorted, without "." and ".."; a missing directory has none. */
struct err *guest_list(struct guest *guest, const char *path, struct strv *ret_names) ERR_MUST_CHECK;

/* Target of a symbolic link, NULL if it is none; the caller frees it. */
struct err *guest_readlink(struct guest *guest, const char *path, char **ret_target) ERR_MUST_CHECK;

/* Fetches files and whole directory trees in as few calls as can be; missing ones are left out.
 * Single files over max_file_bytes (0: no limit) are not fetched. */
struct err *guest_fetch(struct guest *guest, const char *const *paths, uint64_t max_file_bytes)
	ERR_MUST_CHECK;

/* Copies files (any size) from the guest below host_dir, keeping their full paths. */
struct err *guest_copy_out(struct guest *guest, const struct strv *paths, const char *host_dir)
	ERR_MUST_CHECK;

/*
 * Changes.  Only plan_apply() calls these: see p2v/guest/plan.h.
 */

/* Writes beside and renames over, so that a reader sees the old or the new file; missing parent
 * folders are made (0755 root).  Owner and mode are stat's. */
struct err *guest_write(struct guest *guest, const char *path, const void *data, size_t bytes,
			const struct guest_stat *stat) ERR_MUST_CHECK;
struct err *guest_upload(struct guest *guest, const char *path, const char *host_file,
			 const struct guest_stat *stat) ERR_MUST_CHECK;
struct err *guest_symlink(struct guest *guest, const char *path, const char *target) ERR_MUST_CHECK;
struct err *guest_remove(struct guest *guest, const char *path) ERR_MUST_CHECK;
struct err *guest_rename(struct guest *guest, const char *from, const char *to) ERR_MUST_CHECK;

/* All changes durable on the disk. */
struct err *guest_sync(struct guest *guest) ERR_MUST_CHECK;

/* Releases it; changes not synced may be lost.  Takes NULL. */
void guest_destroy(struct guest *guest);

DEFINE_CLEANUP(guest, struct guest *, guest_destroy)
#define CLEANUP_GUEST CLEANUP(cleanup_guest)

#endif
