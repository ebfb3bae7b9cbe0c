/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "p2v/base/remove-tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENTRIES_BYTES 2048 /* more than the longest entry; one such buffer a level lies on the stack */

static bool remove_folder(int parent_fd, const char *name, const dev_t *device);

/* True if it is gone, and if it was never there. */
static bool remove_entry(int fd, const char *name, dev_t device)
{
	if (!unlinkat(fd, name, 0) || errno == ENOENT)
		return true;
	return errno == EISDIR && remove_folder(fd, name, &device);
}

/* A folder that changes while it is listed may leave entries out: so it is listed until nothing goes. */
static void remove_entries(int fd, dev_t device)
{
	_Alignas(struct dirent64) char entries[ENTRIES_BYTES];
	bool progress;

	do {
		ssize_t bytes;

		progress = false;
		lseek(fd, 0, SEEK_SET);
		while ((bytes = getdents64(fd, entries, sizeof entries)) > 0) {
			for (ssize_t at = 0; at < bytes;) {
				const struct dirent64 *entry = (const void *)(entries + at);

				at += entry->d_reclen;
				if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
					progress |= remove_entry(fd, entry->d_name, device);
			}
		}
	} while (progress);
}

/* device NULL: whichever it is on. */
static bool remove_folder(int parent_fd, const char *name, const dev_t *device)
{
	int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd >= 0) {
		if (!fstat(fd, &st) && (!device || st.st_dev == *device))
			remove_entries(fd, st.st_dev);
		close(fd);
	}
	return !unlinkat(parent_fd, name, AT_REMOVEDIR) || errno == ENOENT;
}

bool remove_tree(const char *path)
{
	return remove_folder(AT_FDCWD, path, NULL);
}
