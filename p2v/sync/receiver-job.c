/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A job's folder.  What makes a copy exist is its manifest: a copy without one
 * was never finished being made, and is made again.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "p2v/base/mem.h"
#include "p2v/sync/receiver-impl.h"

size_t copy_bytes(const struct copy *copy, uint64_t first_block, size_t count)
{
	uint64_t start = first_block * copy->block_bytes, end = start + (uint64_t)count * copy->block_bytes;

	return (end < copy->blk->size_bytes ? end : copy->blk->size_bytes) - start;
}

bool copy_has_blocks(const struct copy *copy, uint64_t first_block, uint64_t count)
{
	return first_block < copy->block_count && count <= copy->block_count - first_block;
}

static struct err *sync_folder(const char *folder)
{
	CLEANUP_FD int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) ? err_from_errno(errno, "%s", folder) : NULL;
}

/* What the files in the folder take already. */
static uint64_t space_taken(const char *folder)
{
	uint64_t bytes = 0;
	struct dirent *entry;
	struct stat st;
	DIR *dir = opendir(folder);

	while (dir && (entry = readdir(dir)))
		if (!fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) && S_ISREG(st.st_mode))
			bytes += (uint64_t)st.st_blocks * 512;
	if (dir)
		closedir(dir);
	return bytes;
}

static struct err *check_space(const struct receiver_options *options, const char *folder,
			       const struct message_job *message)
{
	uint64_t needed = 0, taken = space_taken(folder), available;
	struct statvfs fs;

	for (size_t i = 0; i < message->disk_count; i++)
		needed += message->disks[i].data_bytes;
	needed -= taken < needed ? taken : needed;
	if (statvfs(folder, &fs))
		return err_from_errno(errno, "%s", folder);
	available = (uint64_t)fs.f_bavail * fs.f_frsize;
	available -= options->reserve_bytes < available ? options->reserve_bytes : available;
	if (needed <= available)
		return NULL;
	return err_advise(err_refused("not enough space: %" PRIu64 " MiB more are needed, %" PRIu64
				      " MiB are free",
				      needed >> 20, available >> 20),
			  "free space at the receiver, or let it receive into another folder");
}

static struct err *open_copy(const struct receiver_options *options, struct job *job, size_t number)
{
	const struct checkpoint_disk *disk = &job->checkpoint.disks[number];
	CLEANUP_FREE char *path = xasprintf("%s/disk%zu.manifest", job->folder, number);
	struct copy *copy = &job->copies[number];
	struct err *err = manifest_open(path, disk->size_bytes, disk->block_bytes, &copy->manifest);

	if (err && err_errno(err) != ENOENT)
		return err_advise(err, "remove the job's folder, and send all of it again");
	copy->fresh = !!err;
	if (err) {
		err_free(err);
		TRY(options->store.make(options->store.arg, job->folder, number, disk, &copy->blk));
		TRY(blk_flush(copy->blk));
		TRY(manifest_create(path, disk->size_bytes, disk->block_bytes, &copy->manifest));
	} else {
		TRY(options->store.open(options->store.arg, job->folder, number, disk, &copy->blk));
	}
	if (copy->blk->size_bytes != disk->size_bytes)
		return err_advise(err_refused("the copy of disk %s is of another size", disk->id),
				  "remove the job's folder, and send all of it again");
	copy->block_bytes = disk->block_bytes;
	copy->block_count = manifest_block_count(copy->manifest);
	return NULL;
}

static struct err *open_checkpoint(struct job *job, const struct message_job *message)
{
	struct err *err = checkpoint_load(job->folder, &job->checkpoint);

	if (err && err_errno(err) != ENOENT)
		return err;
	if (err) {
		err_free(err);
		TRY(checkpoint_init(message, &job->checkpoint));
	} else {
		TRY(checkpoint_compare(&job->checkpoint, message));
		TRY(checkpoint_check_run(&job->checkpoint, message->run));
	}
	checkpoint_take_run(&job->checkpoint, message->run);
	return checkpoint_save(&job->checkpoint, job->folder);
}

static struct err *open_job(const struct receiver_options *options, const struct message_job *message,
			    struct job *job)
{
	if (mkdir(job->folder, 0700) && errno != EEXIST)
		return err_from_errno(errno, "%s", job->folder);
	TRY(checkpoint_lock(job->folder, &job->lock_fd));
	TRY(check_space(options, job->folder, message));
	TRY(open_checkpoint(job, message));
	job->copies = xcalloc(job->checkpoint.disk_count, sizeof *job->copies);
	for (size_t i = 0; i < job->checkpoint.disk_count; i++)
		TRY(open_copy(options, job, i));
	TRY(sync_folder(job->folder));
	return sync_folder(options->dir);
}

/* What was refused leaves a line in the log of a job that is one, and nothing otherwise. */
static void note_refusal(const struct job *job, const char *peer, const struct err *err)
{
	CLEANUP_FREE char *path = xasprintf("%s/" CHECKPOINT_FILE, job->folder);

	if (!access(path, F_OK))
		job_log(job, peer, "refused: %s", err_message(err));
	else
		(void)!rmdir(job->folder);
}

struct err *job_open(const struct receiver_options *options, const struct message_job *message,
		     const char *peer, struct job *ret_job)
{
	struct job job = {.store = &options->store, .lock_fd = -1};
	struct err *err;

	job.folder = xasprintf("%s/%.*s", options->dir, (int)message->name_bytes, message->name);
	err = open_job(options, message, &job);
	if (!err) {
		*ret_job = job;
		return NULL;
	}
	note_refusal(&job, peer, err);
	job_close(&job);
	return err;
}

void job_close(struct job *job)
{
	for (size_t i = 0; job->copies && i < job->checkpoint.disk_count; i++) {
		/* Everything that counts was made durable before. */
		err_free(blk_close(job->copies[i].blk));
		manifest_close(job->copies[i].manifest);
	}
	free(job->copies);
	if (job->folder && job->lock_fd >= 0)
		close(job->lock_fd);
	free(job->folder);
	checkpoint_deinit(&job->checkpoint);
	memset(job, 0, sizeof *job);
}

/* An interrupted commit may have left copies that look complete in a job that is not: so none is left out. */
struct err *job_begin_changes(struct job *job)
{
	if (job->is_changing)
		return NULL;
	if (job->checkpoint.complete || job->checkpoint.held_since) {
		job->checkpoint.complete = false;
		job->checkpoint.held_since = 0;
		TRY(checkpoint_save(&job->checkpoint, job->folder));
	}
	for (size_t i = 0; i < job->checkpoint.disk_count; i++)
		TRY(job->store->begin(job->store->arg, job->copies[i].blk));
	job->is_changing = true;
	return NULL;
}

struct err *job_hold(struct job *job, const struct root *root)
{
	/* Also where nothing has changed: then it may be complete, or look so. */
	TRY(job_begin_changes(job));
	job->is_changing = false;
	job->checkpoint.root = *root;
	job->checkpoint.held_since = time(NULL);
	return checkpoint_save(&job->checkpoint, job->folder);
}

struct err *job_end_hold(struct job *job)
{
	if (!job->checkpoint.held_since)
		return NULL;
	job->checkpoint.held_since = 0;
	return checkpoint_save(&job->checkpoint, job->folder);
}

struct err *job_complete(struct job *job, const struct root *root)
{
	for (size_t i = 0; i < job->checkpoint.disk_count; i++)
		TRY(job->store->finish(job->store->arg, job->copies[i].blk));
	job->is_changing = false;
	job->checkpoint.root = *root;
	job->checkpoint.held_since = 0;
	job->checkpoint.complete = true;
	job->checkpoint.completed = time(NULL);
	return checkpoint_save(&job->checkpoint, job->folder);
}
