/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Changing a guest in an appliance: beside, then renamed over.  The appliance
 * knows no SELinux policy; so a file that replaces another takes over its label
 * with its other extended attributes, and a new one its folder's, which is what
 * most policies would give it.
 */
#include <errno.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/guest/appliance-guest.h"
#include "p2v/guest/path.h"

#define MESSAGE_MAX_BYTES (2u << 20)

static char *temporary_name(const char *path)
{
	CLEANUP_FREE char *parent = path_parent(path);

	return path_join(parent, ".p2v.new");
}

/* Labels of a new file or folder: those of what it is in. */
static void inherit_label(struct appliance_guest *guest, const char *path, const char *new_path)
{
	guestfs_h *g = guest->appliance->g;
	CLEANUP_FREE char *parent = path_parent(path);
	CLEANUP_FREE char *label = NULL;
	size_t bytes;

	if (!guest->has_labels)
		return;
	label = guestfs_lgetxattr(g, parent, "security.selinux", &bytes);
	/* FAT has none; a missing label is the guest's to mend. */
	if (label && guestfs_lsetxattr(g, "security.selinux", label, (int)bytes, new_path))
		log_debug(guest->appliance->log, "%s: %s", path, guestfs_last_error(g));
}

/* Owner, mode and extended attributes of the new file at temp, which will be path. */
static struct err *set_attributes(struct appliance_guest *guest, const char *path, const char *temp,
				  const struct guest_stat *stat)
{
	struct appliance *appliance = guest->appliance;
	struct guest_stat old;

	if (guestfs_chown(appliance->g, (int)stat->uid, (int)stat->gid, temp) ||
	    guestfs_chmod(appliance->g, (int)(stat->mode & 07777), temp))
		return appliance_error(appliance, "%s", path);
	TRY(guest_lstat(&guest->guest, path, &old));
	if (old.kind != GUEST_FILE) {
		inherit_label(guest, path, temp);
		return NULL;
	}
	if (guestfs_copy_attributes(appliance->g, path, temp, GUESTFS_COPY_ATTRIBUTES_XATTRIBUTES, 1, -1))
		log_debug(appliance->log, "%s: %s", path, guestfs_last_error(appliance->g));
	return NULL;
}

static struct err *replace(struct appliance_guest *guest, const char *path, const char *temp,
			   const struct guest_stat *stat)
{
	struct err *err = set_attributes(guest, path, temp, stat);

	if (!err && guestfs_rename(guest->appliance->g, temp, path))
		err = appliance_error(guest->appliance, "%s", path);
	cache_forget(guest->cache, path);
	return err;
}

static struct err *upload_bytes(struct appliance *appliance, const char *path, const char *temp,
				const char *data, size_t bytes)
{
	CLEANUP_MEMORY_FILE struct memory_file file = {.fd = -1};

	TRY(memory_file_init(&file));
	while (bytes > 0) {
		ssize_t n = write(file.fd, data, bytes);

		if (n < 0)
			return err_from_errno(errno, "%s", path);
		data += n;
		bytes -= (size_t)n;
	}
	if (guestfs_upload(appliance->g, file.path, temp))
		return appliance_error(appliance, "%s", path);
	return NULL;
}

/* A failed write leaves no half file behind. */
static struct err *or_remove(struct appliance_guest *guest, const char *temp, struct err *err)
{
	if (err)
		guestfs_rm_f(guest->appliance->g, temp);
	return err;
}

struct err *appliance_guest_write(struct guest *guest, const char *path, const void *data, size_t bytes,
				  const struct guest_stat *stat)
{
	struct appliance_guest *own = appliance_guest_of(guest);
	CLEANUP_FREE char *temp = temporary_name(path);
	struct err *err = NULL;

	if (bytes > MESSAGE_MAX_BYTES)
		err = upload_bytes(own->appliance, path, temp, data, bytes);
	else if (guestfs_write(own->appliance->g, temp, data, bytes))
		err = appliance_error(own->appliance, "%s", path);
	if (!err)
		err = replace(own, path, temp, stat);
	return or_remove(own, temp, err);
}

struct err *appliance_guest_upload(struct guest *guest, const char *path, const char *host_file,
				   const struct guest_stat *stat)
{
	struct appliance_guest *own = appliance_guest_of(guest);
	CLEANUP_FREE char *temp = temporary_name(path);
	struct err *err = NULL;

	if (guestfs_upload(own->appliance->g, host_file, temp))
		err = appliance_error(own->appliance, "%s", path);
	if (!err)
		err = replace(own, path, temp, stat);
	return or_remove(own, temp, err);
}

struct err *appliance_guest_mkdir(struct guest *guest, const char *path, mode_t mode)
{
	struct appliance_guest *own = appliance_guest_of(guest);
	guestfs_h *g = own->appliance->g;

	if (guestfs_mkdir_mode(g, path, (int)mode) || guestfs_chmod(g, (int)mode, path))
		return appliance_error(own->appliance, "%s", path);
	inherit_label(own, path, path);
	cache_forget(own->cache, path);
	return NULL;
}

struct err *appliance_guest_symlink(struct guest *guest, const char *path, const char *target)
{
	struct appliance_guest *own = appliance_guest_of(guest);
	guestfs_h *g = own->appliance->g;
	CLEANUP_FREE char *temp = temporary_name(path);
	struct err *err = NULL;

	if (guestfs_ln_s(g, target, temp)) {
		err = appliance_error(own->appliance, "%s", path);
	} else {
		inherit_label(own, path, temp);
		if (guestfs_rename(g, temp, path))
			err = appliance_error(own->appliance, "%s", path);
	}
	cache_forget(own->cache, path);
	return or_remove(own, temp, err);
}

struct err *appliance_guest_keep(struct guest *guest, const char *path, const char *backup)
{
	struct appliance_guest *own = appliance_guest_of(guest);
	guestfs_h *g = own->appliance->g;

	cache_forget(own->cache, backup);
	/* FAT has no links, and none leads to another file system. */
	if (guestfs_ln(g, path, backup) && guestfs_cp_a(g, path, backup))
		return appliance_error(own->appliance, "%s", backup);
	return NULL;
}

struct err *appliance_guest_remove(struct guest *guest, const char *path)
{
	struct appliance_guest *own = appliance_guest_of(guest);
	guestfs_h *g = own->appliance->g;
	struct guest_stat stat;

	TRY(guest_lstat(guest, path, &stat));
	cache_forget(own->cache, path);
	if (stat.kind == GUEST_MISSING)
		return NULL;
	if (stat.kind == GUEST_DIRECTORY ? guestfs_rmdir(g, path) : guestfs_rm(g, path))
		return appliance_error(own->appliance, "%s", path);
	return NULL;
}

struct err *appliance_guest_rename(struct guest *guest, const char *from, const char *to)
{
	struct appliance_guest *own = appliance_guest_of(guest);

	cache_forget(own->cache, from);
	cache_forget(own->cache, to);
	if (guestfs_rename(own->appliance->g, from, to))
		return appliance_error(own->appliance, "%s", to);
	return NULL;
}

struct err *appliance_guest_sync(struct guest *guest)
{
	struct appliance *appliance = appliance_guest_of(guest)->appliance;

	return guestfs_sync(appliance->g) ? appliance_error(appliance, "sync") : NULL;
}
