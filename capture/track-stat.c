/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Documentation/block/stat.rst and Documentation/ABI/stable/sysfs-block.  Fields
 * 7 and 14 of `stat` are sectors written and discarded, from one counter a
 * direction that rises when a request, or a part of it, is done.
 */
#include "capture/track-stat.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "capture/sysroot.h"
#include "p2v/base/mem.h"

#define SECTOR_BYTES 512u
#define MAX_TEXT 512

enum { FILE_STAT, FILE_INFLIGHT, FILE_SIZE, FILE_SEQUENCE, FILE_IOSTATS, FILES };

static const struct {
	const char *name;
	bool is_needed;
} files[FILES] = {
	[FILE_STAT] = {"stat", true},
	[FILE_INFLIGHT] = {"inflight", true},
	[FILE_SIZE] = {"size", true},
	[FILE_SEQUENCE] = {"diskseq", false},
	[FILE_IOSTATS] = {"queue/iostats", false},
};

struct track_stat_reader {
	int fds[FILES];
};

struct err *track_stat_open(dev_t device, struct track_stat_reader **ret_reader)
{
	struct track_stat_reader *reader = xcalloc(1, sizeof *reader);
	struct err *err = NULL;

	for (int i = 0; i < FILES; i++) {
		CLEANUP_FREE char *path =
			xasprintf("/sys/dev/block/%u:%u/%s", major(device), minor(device), files[i].name);

		reader->fds[i] = open(path, O_RDONLY | O_CLOEXEC);
		if (reader->fds[i] < 0 && files[i].is_needed && !err)
			err = err_from_errno(errno, "%s", path);
	}
	if (err) {
		track_stat_close(reader);
		return err;
	}
	*ret_reader = reader;
	return NULL;
}

void track_stat_close(struct track_stat_reader *reader)
{
	if (!reader)
		return;
	for (int i = 0; i < FILES; i++)
		if (reader->fds[i] >= 0)
			close(reader->fds[i]);
	free(reader);
}

/* False if it cannot be read: sysfs answers ENODEV once the disk is gone. */
static bool read_text(const struct track_stat_reader *reader, int file, char text[MAX_TEXT])
{
	ssize_t bytes = pread(reader->fds[file], text, MAX_TEXT - 1, 0);

	if (bytes <= 0)
		return false;
	text[bytes] = '\0';
	return true;
}

bool track_stat_look_counters(const struct track_stat_reader *reader, struct track_stat *ret_stat)
{
	char text[MAX_TEXT];

	/* The requests before their end: what is in flight then is not in the sectors yet. */
	if (!read_text(reader, FILE_INFLIGHT, text) ||
	    sscanf(text, "%*u %" SCNu64, &ret_stat->writes_in_flight) != 1)
		return false;
	ret_stat->discarded_sectors = 0; /* not counted before 4.18 */
	return read_text(reader, FILE_STAT, text) &&
	       sscanf(text, "%*u %*u %*u %*u %*u %*u %" SCNu64 " %*u %*u %*u %*u %*u %*u %" SCNu64,
		      &ret_stat->written_sectors, &ret_stat->discarded_sectors) >= 1;
}

bool track_stat_look(const struct track_stat_reader *reader, struct track_stat *ret_stat)
{
	char text[MAX_TEXT];

	*ret_stat = (struct track_stat){.is_counting = true};
	if (!track_stat_look_counters(reader, ret_stat) || !read_text(reader, FILE_SIZE, text))
		return false;
	ret_stat->size_bytes = strtoull(text, NULL, 10) * SECTOR_BYTES;
	if (reader->fds[FILE_SEQUENCE] >= 0 && read_text(reader, FILE_SEQUENCE, text))
		ret_stat->sequence = strtoull(text, NULL, 10);
	if (reader->fds[FILE_IOSTATS] >= 0 && read_text(reader, FILE_IOSTATS, text))
		ret_stat->is_counting = strtoull(text, NULL, 10) != 0;
	return true;
}

const char *track_stat_objection(dev_t device)
{
	CLEANUP_FREE char *folder = xasprintf("/sys/dev/block/%u:%u", major(device), minor(device));
	CLEANUP_FREE char *zones = sysroot_read("", "%s/queue/zoned", folder);

	if (zones && strcmp(zones, "none"))
		return "it is a zoned disk, of which whole zones are emptied without a length";
	/* Where there are no requests nothing tells when a write has reached the disk. */
	if (!sysroot_has("", "%s/mq", folder))
		return "the kernel keeps no requests for it that could be followed to their end";
	return NULL;
}
