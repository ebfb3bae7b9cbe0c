/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading a guest in an appliance: from the cache if the path was fetched, else
 * by one call of libguestfs, which follows links inside the guest's root.
 */
#include "p2v/guest/appliance-guest.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "p2v/base/mem.h"
#include "p2v/guest/path.h"
#include "p2v/guest/sha256.h"

/* A message has at most 4 MiB (guestfs(3), "PROTOCOL LIMITS"). */
#define PIECE_BYTES (2u << 20)

struct err *memory_file_init(struct memory_file *file)
{
	file->fd = memfd_create("p2v", MFD_CLOEXEC);
	if (file->fd < 0)
		return err_from_errno(errno, "memory file");
	snprintf(file->path, sizeof file->path, "/proc/self/fd/%d", file->fd);
	return NULL;
}

void memory_file_deinit(struct memory_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
}

static bool means_missing(int errnum)
{
	return errnum == ENOENT || errnum == ENOTDIR || errnum == ELOOP;
}

/* For path_resolve() over the cache alone: says in *arg if that does not know enough. */
struct cached_walk {
	const struct cache *cache;
	bool is_unknown;
};

static struct err *lookup_cached_link(void *arg, const char *path, char **ret_target)
{
	struct cached_walk *walk = arg;
	const char *target = NULL;

	if (cache_link(walk->cache, path, &target) == CACHE_UNKNOWN)
		walk->is_unknown = true;
	*ret_target = xstrdup(target);
	return NULL;
}

/* What the cache says of a path, with all links followed, or all but the last. */
static enum cache_answer find_cached(const struct appliance_guest *guest, const char *path, unsigned flags,
				     struct cache_entry *ret_entry)
{
	struct cached_walk walk = {.cache = guest->cache};
	enum cache_answer answer = cache_find(guest->cache, path, ret_entry);
	CLEANUP_FREE char *resolved = NULL;
	struct err *err;

	/* The usual cases: a plain path that was fetched, or one that was not. */
	if (answer == CACHE_MISSING ||
	    (answer == CACHE_FOUND && (ret_entry->stat.kind != GUEST_SYMLINK || (flags & PATH_KEEP_LAST))))
		return answer;
	err = path_resolve(path, flags, lookup_cached_link, &walk, &resolved);
	if (err || walk.is_unknown) {
		err_free(err);
		return CACHE_UNKNOWN;
	}
	return cache_find(guest->cache, resolved, ret_entry);
}

static void convert_stat(const struct guestfs_statns *from, struct guest_stat *ret_stat)
{
	mode_t mode = (mode_t)from->st_mode;

	*ret_stat = (struct guest_stat){
		.kind = S_ISREG(mode)	? GUEST_FILE
			: S_ISDIR(mode) ? GUEST_DIRECTORY
			: S_ISLNK(mode) ? GUEST_SYMLINK
					: GUEST_OTHER,
		.mode = mode & 07777,
		.uid = (uid_t)from->st_uid,
		.gid = (gid_t)from->st_gid,
		.size_bytes = (uint64_t)from->st_size,
		.mtime = from->st_mtime_sec,
	};
}

static struct err *stat_with(struct guest *guest, const char *path, unsigned flags,
			     struct guest_stat *ret_stat)
{
	struct appliance_guest *own = appliance_guest_of(guest);
	guestfs_h *g = own->appliance->g;
	struct guestfs_statns *stat;
	struct cache_entry entry;
	enum cache_answer answer = find_cached(own, path, flags, &entry);

	if (answer == CACHE_MISSING)
		entry.stat = (struct guest_stat){.kind = GUEST_MISSING};
	if (answer != CACHE_UNKNOWN) {
		*ret_stat = entry.stat;
		return NULL;
	}
	stat = flags & PATH_KEEP_LAST ? guestfs_lstatns(g, path) : guestfs_statns(g, path);
	if (!stat && means_missing(guestfs_last_errno(g))) {
		*ret_stat = (struct guest_stat){.kind = GUEST_MISSING};
		return NULL;
	}
	if (!stat)
		return appliance_error(own->appliance, "%s", path);
	convert_stat(stat, ret_stat);
	guestfs_free_statns(stat);
	return NULL;
}

static struct err *appliance_guest_stat(struct guest *guest, const char *path, struct guest_stat *ret_stat)
{
	return stat_with(guest, path, 0, ret_stat);
}

static struct err *appliance_guest_lstat(struct guest *guest, const char *path, struct guest_stat *ret_stat)
{
	return stat_with(guest, path, PATH_KEEP_LAST, ret_stat);
}

/* In pieces that fit into a message each: unlike guestfs_download(), that costs no process. */
static struct err *read_pieces(struct appliance *appliance, const char *path, size_t bytes, char **ret_data,
			       size_t *ret_bytes)
{
	CLEANUP_FREE char *data = malloc(bytes + 1);
	size_t done = 0;

	if (!data)
		return err_nomem();
	while (done < bytes) {
		size_t wanted = bytes - done < PIECE_BYTES ? bytes - done : PIECE_BYTES;
		size_t got = 0;
		CLEANUP_FREE char *piece =
			guestfs_pread(appliance->g, path, (int)wanted, (int64_t)done, &got);

		if (!piece)
			return appliance_error(appliance, "%s", path);
		if (got == 0 || got > wanted)
			break;
		memcpy(data + done, piece, got);
		done += got;
	}
	data[done] = '\0';
	*ret_data = take_ptr(data);
	*ret_bytes = done;
	return NULL;
}

static struct err *appliance_guest_read(struct guest *guest, const char *path, char **ret_data,
					size_t *ret_bytes)
{
	struct appliance_guest *own = appliance_guest_of(guest);
	struct cache_entry entry;
	struct guest_stat stat;

	if (find_cached(own, path, 0, &entry) == CACHE_FOUND && entry.data) {
		*ret_data = xmalloc(entry.bytes + 1);
		memcpy(*ret_data, entry.data, entry.bytes + 1);
		*ret_bytes = entry.bytes;
		return NULL;
	}
	TRY(appliance_guest_stat(guest, path, &stat));
	*ret_data = NULL;
	*ret_bytes = 0;
	if (stat.kind == GUEST_MISSING)
		return NULL;
	if (stat.kind != GUEST_FILE)
		return err_failed("%s: not a regular file", path);
	if (stat.size_bytes > GUEST_READ_MAX_BYTES)
		return err_failed("%s: %llu bytes are too many to be read into memory", path,
				  (unsigned long long)stat.size_bytes);
	return read_pieces(own->appliance, path, (size_t)stat.size_bytes, ret_data, ret_bytes);
}

static struct err *appliance_guest_list(struct guest *guest, const char *path, struct strv *ret_names)
{
	struct appliance_guest *own = appliance_guest_of(guest);
	CLEANUP_FREE char *resolved = NULL;
	char **names;

	TRY(guest_resolve(guest, path, 0, &resolved));
	if (cache_list(own->cache, resolved, ret_names) != CACHE_UNKNOWN)
		return NULL;
	names = guestfs_ls(own->appliance->g, resolved);
	if (!names && means_missing(guestfs_last_errno(own->appliance->g)))
		return NULL;
	if (!names)
		return appliance_error(own->appliance, "%s", path);
	for (size_t i = 0; names[i]; i++) {
		strv_add(ret_names, names[i]);
		free(names[i]);
	}
	free(names);
	strv_sort(ret_names);
	return NULL;
}

static struct err *appliance_guest_readlink(struct guest *guest, const char *path, char **ret_target)
{
	struct appliance_guest *own = appliance_guest_of(guest);
	guestfs_h *g = own->appliance->g;
	const char *known = NULL;
	enum cache_answer answer = cache_link(own->cache, path, &known);

	*ret_target = xstrdup(known);
	if (answer != CACHE_UNKNOWN)
		return NULL;
	*ret_target = guestfs_readlink(g, path);
	if (!*ret_target && means_missing(guestfs_last_errno(g)))
		return NULL;
	/* EINVAL: there, and no symbolic link (readlink(2)). */
	if (!*ret_target && guestfs_last_errno(g) != EINVAL)
		return appliance_error(own->appliance, "%s", path);
	cache_note_link(own->cache, path, *ret_target);
	return NULL;
}

static struct err *appliance_guest_sha256(struct guest *guest, const char *path,
					  char ret_hex[GUEST_SHA256_TEXT_BYTES])
{
	struct appliance_guest *own = appliance_guest_of(guest);
	CLEANUP_FREE char *hex = NULL;
	struct cache_entry entry;

	if (find_cached(own, path, 0, &entry) == CACHE_FOUND && entry.data)
		return sha256_of_bytes(entry.data, entry.bytes, ret_hex);
	hex = guestfs_checksum(own->appliance->g, "sha256", path);
	if (!hex)
		return appliance_error(own->appliance, "%s", path);
	if (strlen(hex) != GUEST_SHA256_TEXT_BYTES - 1)
		return err_failed("%s: libguestfs gives no SHA-256", path);
	memcpy(ret_hex, hex, GUEST_SHA256_TEXT_BYTES);
	return NULL;
}

static struct err *appliance_guest_space(struct guest *guest, const char *path, struct guest_space *ret_space)
{
	struct appliance *appliance = appliance_guest_of(guest)->appliance;
	struct guestfs_statvfs *vfs = guestfs_statvfs(appliance->g, path);
	struct guestfs_statns *stat = guestfs_statns(appliance->g, path);
	struct err *err = NULL;

	if (!vfs || !stat)
		err = appliance_error(appliance, "%s", path);
	else
		*ret_space = (struct guest_space){
			.id = (uint64_t)stat->st_dev,
			.free_bytes = (uint64_t)vfs->bavail * (uint64_t)vfs->frsize,
		};
	guestfs_free_statvfs(vfs);
	guestfs_free_statns(stat);
	return err;
}

static void appliance_guest_destroy(struct guest *guest)
{
	struct appliance_guest *own = appliance_guest_of(guest);

	cache_destroy(own->cache);
	free(own);
}

static const struct guest_ops appliance_guest_ops = {
	.kind = "libguestfs",
	.stat = appliance_guest_stat,
	.lstat = appliance_guest_lstat,
	.read = appliance_guest_read,
	.list = appliance_guest_list,
	.readlink = appliance_guest_readlink,
	.copy_out = appliance_guest_copy_out,
	.sha256 = appliance_guest_sha256,
	.space = appliance_guest_space,
	.fetch = appliance_guest_fetch,
	.write = appliance_guest_write,
	.upload = appliance_guest_upload,
	.mkdir = appliance_guest_mkdir,
	.symlink = appliance_guest_symlink,
	.keep = appliance_guest_keep,
	.remove = appliance_guest_remove,
	.rename = appliance_guest_rename,
	.sync = appliance_guest_sync,
	.destroy = appliance_guest_destroy,
};

struct guest *appliance_guest_create(struct appliance *appliance)
{
	struct appliance_guest *guest = xcalloc(1, sizeof *guest);
	size_t bytes;
	CLEANUP_FREE char *label = guestfs_lgetxattr(appliance->g, "/", "security.selinux", &bytes);

	guest->guest.ops = &appliance_guest_ops;
	guest->appliance = appliance;
	guest->cache = cache_create();
	guest->has_labels = label != NULL;
	return &guest->guest;
}
