/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Files and folders of a guest held in memory, as guest_fetch() brought them.
 * It knows what it does not know: a path outside of what was fetched is
 * CACHE_UNKNOWN, and only a name that a fetched folder lacks is missing.
 * Paths are resolved ones; a path that leads through a symbolic link is unknown.
 */
#ifndef P2V_GUEST_CACHE_H
#define P2V_GUEST_CACHE_H

#include "p2v/guest/guest.h"

struct cache;
struct archive;

enum cache_answer { CACHE_UNKNOWN, CACHE_MISSING, CACHE_FOUND };

/* What is held at a path; the members are the cache's. */
struct cache_entry {
	struct guest_stat stat;
	const char *target; /* of a symbolic link */
	const char *data; /* NUL-terminated; NULL if the content is not held */
	size_t bytes;
};

struct cache *cache_create(void);
void cache_destroy(struct cache *cache); /* takes NULL */

enum cache_answer cache_find(const struct cache *cache, const char *path, struct cache_entry *ret_entry);

/* Names in a folder, sorted; CACHE_UNKNOWN unless all of them are known. */
enum cache_answer cache_list(const struct cache *cache, const char *path, struct strv *ret_names);

/* Whether something is a symbolic link, and to where, is worth knowing alone: every path is looked through
 * for links.  target NULL: it is there and no link. */
void cache_note_link(struct cache *cache, const char *path, const char *target);
enum cache_answer cache_link(const struct cache *cache, const char *path, const char **ret_target);

/* One path with what is at it; content may be NULL (not held). */
void cache_add(struct cache *cache, const char *path, const struct guest_stat *stat, const char *target,
	       const char *content, size_t bytes);

/* All of a tar archive (libarchive, opened) whose names are relative to the folder dir, which is then known
 * completely, but for the content of the files left out (cache_add() those). */
struct err *cache_add_archive(struct cache *cache, const char *dir, struct archive *archive) ERR_MUST_CHECK;

/* Forgets a path that is going to change, and that its folder's names are all known. */
void cache_forget(struct cache *cache, const char *path);

DEFINE_CLEANUP(cache, struct cache *, cache_destroy)
#define CLEANUP_CACHE CLEANUP(cleanup_cache)

#endif
