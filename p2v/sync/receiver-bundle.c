/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A bundle that a machine brings: into its folder, under a name of ours, aside
 * first.  Its room is taken before it is asked for, so that bundles never use
 * what is reserved.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/sync/announced.h"
#include "p2v/sync/receiver-impl.h"

#define NS_PER_SECOND 1000000000ull
#define PART_FILE "support.part"

static struct err *take_room(const struct receiver_options *options, int fd, uint64_t bytes)
{
	bool is_taken = !fallocate(fd, 0, 0, bytes);
	struct statvfs fs;

	/* Where the file system cannot, a look has to do. */
	if (!is_taken && errno != EOPNOTSUPP && errno != ENOSPC)
		return err_from_errno(errno, "%s", options->dir);
	if (fstatvfs(fd, &fs))
		return err_from_errno(errno, "%s", options->dir);
	if ((uint64_t)fs.f_bavail * fs.f_frsize >= options->reserve_bytes + (is_taken ? 0 : bytes))
		return NULL;
	return err_advise(err_refused("not enough space for a bundle of %" PRIu64 " bytes", bytes),
			  "free space at the receiver");
}

static struct err *write_all(int fd, const uint8_t *data, size_t bytes)
{
	while (bytes) {
		ssize_t written = write(fd, data, bytes);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return err_from_errno(errno, "a bundle");
		data += written;
		bytes -= written;
	}
	return NULL;
}

static struct err *take_parts(struct announcing *connection, int fd, uint64_t left_bytes,
			      struct message *message)
{
	uint64_t heard_ns = run_now_ns();

	while (left_bytes) {
		TRY(channel_receive(connection->channel, CHANNEL_TYPE(WIRE_PART), message, NULL));
		if (message->part.bytes > left_bytes)
			return err_failed("the sender broke the protocol: PART: more than was told");
		TRY(write_all(fd, message->part.data, message->part.bytes));
		left_bytes -= message->part.bytes;
		if (run_now_ns() - heard_ns < NS_PER_SECOND)
			continue;
		heard_ns = run_now_ns();
		TRY(announcing_was_heard(connection));
	}
	return fsync(fd) ? err_from_errno(errno, "a bundle") : NULL;
}

/* The newest one gets the name, the one before another, and the oldest is gone. */
static struct err *give_name(const char *folder, const char *part)
{
	CLEANUP_FREE char *path = xasprintf("%s/" ANNOUNCED_BUNDLE_FILE, folder);
	CLEANUP_FREE char *older = xasprintf("%s/" ANNOUNCED_OLDER_BUNDLE_FILE, folder);
	CLEANUP_FD int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (rename(path, older) && errno != ENOENT)
		return err_from_errno(errno, "%s", path);
	if (rename(part, path))
		return err_from_errno(errno, "%s", path);
	return fd < 0 || fsync(fd) ? err_from_errno(errno, "%s", folder) : NULL;
}

static struct err *receive(struct announcing *connection, const char *folder, uint64_t bytes,
			   struct message *message)
{
	const struct message alive = {.type = WIRE_ALIVE};
	CLEANUP_FREE char *part = xasprintf("%s/" PART_FILE, folder);
	CLEANUP_FD int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct err *err;

	if (fd < 0)
		return err_from_errno(errno, "%s", part);
	err = take_room(connection->options, fd, bytes);
	if (!err)
		err = channel_send(connection->channel, &alive);
	if (!err)
		err = take_parts(connection, fd, bytes, message);
	if (!err)
		err = give_name(folder, part);
	if (err)
		unlink(part);
	return err;
}

struct err *bundle_receive(struct announcing *connection, uint64_t bytes, struct message *message)
{
	CLEANUP_FREE char *folder = announced_folder(connection->options->dir, connection->id);
	struct err *err;

	if (!announcing_begin_bundle(connection))
		return err_failed("another bundle of this machine is coming in just now");
	err = receive(connection, folder, bytes, message);
	announcing_end_bundle(connection);
	if (!err)
		log_info(connection->options->log,
			 "%s: a bundle of %" PRIu64 " bytes: %s/" ANNOUNCED_BUNDLE_FILE, connection->peer,
			 bytes, folder);
	return err;
}
