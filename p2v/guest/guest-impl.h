/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How a kind of guest is implemented, and what only this folder needs of one.
 *
 * The functions of guest.h check their arguments, resolve symbolic links where
 * a path is going to be changed, and make missing parent folders; so the
 * operations that change something are given resolved paths whose parent
 * exists.  The reading operations are given any absolute path.
 */
#ifndef P2V_GUEST_GUEST_IMPL_H
#define P2V_GUEST_GUEST_IMPL_H

#include "p2v/guest/guest.h"

#define GUEST_READ_MAX_BYTES (64u << 20)
#define GUEST_SHA256_TEXT_BYTES 65

/* A file system that holds guest files. */
struct guest_space {
	uint64_t id; /* equal for paths on the same file system */
	uint64_t free_bytes; /* for unprivileged writers */
};

struct guest_ops {
	const char *kind; /* "directory", "libguestfs" */

	struct err *(*stat)(struct guest *guest, const char *path, struct guest_stat *ret_stat);
	struct err *(*lstat)(struct guest *guest, const char *path, struct guest_stat *ret_stat);
	struct err *(*read)(struct guest *guest, const char *path, char **ret_data, size_t *ret_bytes);
	struct err *(*list)(struct guest *guest, const char *path, struct strv *ret_names);
	struct err *(*readlink)(struct guest *guest, const char *path, char **ret_target);
	struct err *(*copy_out)(struct guest *guest, const struct strv *paths, const char *host_dir);
	struct err *(*sha256)(struct guest *guest, const char *path, char ret_hex[GUEST_SHA256_TEXT_BYTES]);
	struct err *(*space)(struct guest *guest, const char *path, struct guest_space *ret_space);
	/* NULL where reading needs no preparation. */
	struct err *(*fetch)(struct guest *guest, const char *const *paths, uint64_t max_file_bytes);

	/* Replaces or creates; extended attributes of a replaced file stay (SELinux label, ACL). */
	struct err *(*write)(struct guest *guest, const char *path, const void *data, size_t bytes,
			     const struct guest_stat *stat);
	struct err *(*upload)(struct guest *guest, const char *path, const char *host_file,
			      const struct guest_stat *stat);
	struct err *(*mkdir)(struct guest *guest, const char *path, mode_t mode);
	struct err *(*symlink)(struct guest *guest, const char *path, const char *target);
	/* backup (which does not exist) becomes a second name of path, or a copy with all attributes. */
	struct err *(*keep)(struct guest *guest, const char *path, const char *backup);
	struct err *(*remove)(struct guest *guest, const char *path);
	struct err *(*rename)(struct guest *guest, const char *from, const char *to);
	struct err *(*sync)(struct guest *guest);

	void (*destroy)(struct guest *guest);
};

/* An implementation embeds this as its first member. */
struct guest {
	const struct guest_ops *ops;
};

/* SHA-256 of a file's content, computed where the file is, as 64 lower-case hex digits. */
struct err *guest_sha256(struct guest *guest, const char *path, char ret_hex[GUEST_SHA256_TEXT_BYTES])
	ERR_MUST_CHECK;

/* The file system that path is on, or would be on if it were made. */
struct err *guest_find_space(struct guest *guest, const char *path, struct guest_space *ret_space)
	ERR_MUST_CHECK;

/* Makes backup, which must not exist, another name or copy of the file path, which is about to be replaced.
 */
struct err *guest_keep(struct guest *guest, const char *path, const char *backup) ERR_MUST_CHECK;

/* path with every symbolic link resolved (with GUEST_KEEP_LAST all but the last component); what does not
 * exist is kept as it is.  The caller frees it. */
#define GUEST_KEEP_LAST (1u << 0)
struct err *guest_resolve(struct guest *guest, const char *path, unsigned flags, char **ret_path)
	ERR_MUST_CHECK;

#endif
