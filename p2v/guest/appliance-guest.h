/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The guest in an appliance: what its reading half and its writing half share. */
#ifndef P2V_GUEST_APPLIANCE_GUEST_H
#define P2V_GUEST_APPLIANCE_GUEST_H

#include "p2v/guest/appliance-impl.h"
#include "p2v/guest/cache.h"
#include "p2v/guest/guest-impl.h"

struct appliance_guest {
	struct guest guest;
	struct appliance *appliance;
	struct cache *cache;
	bool has_labels; /* the root folder carries an SELinux label */
};

static inline struct appliance_guest *appliance_guest_of(struct guest *guest)
{
	return (struct appliance_guest *)guest;
}

struct err *appliance_guest_fetch(struct guest *guest, const char *const *paths, uint64_t max_file_bytes)
	ERR_MUST_CHECK;
struct err *appliance_guest_copy_out(struct guest *guest, const struct strv *paths, const char *host_dir)
	ERR_MUST_CHECK;

struct err *appliance_guest_write(struct guest *guest, const char *path, const void *data, size_t bytes,
				  const struct guest_stat *stat) ERR_MUST_CHECK;
struct err *appliance_guest_upload(struct guest *guest, const char *path, const char *host_file,
				   const struct guest_stat *stat) ERR_MUST_CHECK;
struct err *appliance_guest_mkdir(struct guest *guest, const char *path, mode_t mode) ERR_MUST_CHECK;
struct err *appliance_guest_symlink(struct guest *guest, const char *path, const char *target) ERR_MUST_CHECK;
struct err *appliance_guest_keep(struct guest *guest, const char *path, const char *backup) ERR_MUST_CHECK;
struct err *appliance_guest_remove(struct guest *guest, const char *path) ERR_MUST_CHECK;
struct err *appliance_guest_rename(struct guest *guest, const char *from, const char *to) ERR_MUST_CHECK;
struct err *appliance_guest_sync(struct guest *guest) ERR_MUST_CHECK;

/* Adds to a list for tar_open() what is to be left out. */
void tar_add_exclude(struct strv *excludes, const char *relative_path);

struct memory_file;
struct archive;

/* The archive of a folder of the guest, in a memory file that is made here, opened for reading. */
struct err *tar_open(struct appliance *appliance, const char *dir, const struct strv *excludes,
		     struct memory_file *file, struct archive **ret_archive) ERR_MUST_CHECK;
void cleanup_archive(struct archive **archive);

/* A file in memory that a libguestfs call can write to or read from; path is its name for that call. */
struct memory_file {
	int fd;
	char path[32];
};

struct err *memory_file_init(struct memory_file *file) ERR_MUST_CHECK;
void memory_file_deinit(struct memory_file *file);
#define CLEANUP_MEMORY_FILE CLEANUP(memory_file_deinit)

#endif
