/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Each disk of the mirror has a manifest of its own, of the same form: what differs is where the two do. Both
 * are sparse, so that each is walked where it has something, and compared there with the other.
 *
 * A copy is opened anew in every round, as what is open knows nothing of what the receiver has allocated
 * since, and only if there is something to read.
 */
#include "p2v/sync/mirror.h"

#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/sync/manifest.h"

#define READ_BYTES (4u << 20) /* at a time, at most */

struct mirror_disk {
	struct manifest *theirs, *ours;
	uint64_t size_bytes;
	uint32_t block_bytes;
};

struct mirror {
	const struct mirror_options *options;
	struct mirror_disk *disks;
	size_t disk_count;
	uint8_t *data; /* READ_BYTES */
	struct err *read_error; /* the first of a round */
};

/* A round over a disk. */
struct round {
	struct mirror *mirror;
	size_t number;
	struct mirror_disk *disk;
	struct blk *copy; /* NULL: not open */
	bool cannot_open;
	bool only_counts;
	struct mirror_round *sums;
};

static struct err *open_manifests(struct mirror *mirror, size_t number)
{
	const struct mirror_options *options = mirror->options;
	const struct checkpoint_disk *described = &options->job->disks[number];
	CLEANUP_FREE char *theirs = xasprintf("%s/disk%zu.manifest", options->folder, number);
	CLEANUP_FREE char *ours = xasprintf("%s/disk%zu.mirror", options->scratch_dir, number);
	struct mirror_disk *disk = &mirror->disks[number];

	disk->size_bytes = described->size_bytes;
	disk->block_bytes = described->block_bytes;
	TRY(err_as(manifest_open(theirs, disk->size_bytes, disk->block_bytes, &disk->theirs), ERR_REFUSED));
	return manifest_create(ours, disk->size_bytes, disk->block_bytes, &disk->ours);
}

struct err *mirror_create(const struct mirror_options *options, struct mirror **ret_mirror)
{
	CLEANUP_MIRROR struct mirror *mirror = xcalloc(1, sizeof *mirror);

	mirror->options = options;
	mirror->disk_count = options->job->disk_count;
	mirror->disks = xcalloc(mirror->disk_count, sizeof *mirror->disks);
	mirror->data = aligned_alloc(WIRE_MIN_BLOCK_BYTES, READ_BYTES);
	if (!mirror->data)
		return err_nomem();
	for (size_t i = 0; i < mirror->disk_count; i++)
		TRY(open_manifests(mirror, i));
	*ret_mirror = take_ptr(mirror);
	return NULL;
}

void mirror_destroy(struct mirror *mirror)
{
	if (!mirror)
		return;
	for (size_t i = 0; i < mirror->disk_count; i++) {
		manifest_close(mirror->disks[i].theirs);
		manifest_close(mirror->disks[i].ours);
	}
	free(mirror->disks);
	free(mirror->data);
	err_free(mirror->read_error);
	free(mirror);
}

const struct err *mirror_read_error(const struct mirror *mirror)
{
	return mirror->read_error;
}

/* Of blocks, the last of which may be shorter. */
static size_t bytes_of(const struct mirror_disk *disk, uint64_t first_block, size_t count)
{
	uint64_t start = first_block * disk->block_bytes, bytes = (uint64_t)count * disk->block_bytes;

	return bytes < disk->size_bytes - start ? bytes : disk->size_bytes - start;
}

static void note_read_error(struct round *round, struct err *err)
{
	round->mirror->read_error = err_first(round->mirror->read_error, err);
}

static struct err *read_copy(struct round *round, size_t bytes, uint64_t offset)
{
	const struct mirror_options *options = round->mirror->options;

	if (!round->copy) {
		TRY(options->open(options->arg, round->number, &round->copy));
		if (round->copy->size_bytes != round->disk->size_bytes)
			return err_failed("%s: is of another size than the job's disk", round->copy->name);
	}
	return blk_pread(round->copy, round->mirror->data, bytes, offset);
}

static struct err *put_zeros(struct round *round, uint64_t first_block, size_t count)
{
	struct mirror_disk *disk = round->disk;
	size_t bytes = bytes_of(disk, first_block, count);

	TRY(blk_zero(round->mirror->options->targets[round->number], bytes, first_block * disk->block_bytes,
		     BLK_MAY_TRIM));
	round->sums->copied_bytes += bytes;
	return manifest_fill(disk->ours, first_block, count, hash_zero);
}

/* Blocks that were read as the manifest has them. */
static struct err *put_content(struct round *round, const uint8_t *data, uint64_t first_block, size_t count,
			       const wire_hash *hashes)
{
	struct mirror_disk *disk = round->disk;
	size_t bytes = bytes_of(disk, first_block, count);

	TRY(blk_pwrite(round->mirror->options->targets[round->number], data, bytes,
		       first_block * disk->block_bytes, 0));
	round->sums->copied_bytes += bytes;
	return manifest_write(disk->ours, first_block, count, hashes);
}

/* What can be had of a run of blocks that hold something; at most READ_BYTES. */
static struct err *bring_run(struct round *round, uint64_t first_block, size_t count, const wire_hash *hashes)
{
	struct mirror *mirror = round->mirror;
	struct mirror_disk *disk = round->disk;
	size_t bytes = bytes_of(disk, first_block, count), good;
	wire_hash found[READ_BYTES / WIRE_MIN_BLOCK_BYTES];
	struct err *err = NULL;

	progress_add(mirror->options->progress, bytes);
	if (!round->cannot_open)
		err = read_copy(round, bytes, first_block * disk->block_bytes);
	if (err || round->cannot_open) {
		round->cannot_open |= !round->copy;
		note_read_error(round, err);
		round->sums->missing_bytes += bytes;
		return NULL;
	}
	hash_blocks(mirror->options->job->hash_key, mirror->data, bytes, disk->block_bytes, found);
	for (size_t i = 0; i < count; i += good + !good) {
		for (good = 0; i + good < count && hash_equal(found[i + good], hashes[i + good]); good++)
			;
		if (good)
			TRY(put_content(round, mirror->data + i * disk->block_bytes, first_block + i, good,
					hashes + i));
		else
			round->sums->missing_bytes += bytes_of(disk, first_block + i, 1);
	}
	return NULL;
}

enum difference { SAME, DOUBTED, ZEROS, CONTENT };

static enum difference compare(const wire_hash theirs, const wire_hash ours)
{
	if (hash_equal(theirs, hash_in_doubt))
		return DOUBTED;
	if (hash_equal(theirs, ours))
		return SAME;
	return hash_equal(theirs, hash_zero) ? ZEROS : CONTENT;
}

static struct err *bring(struct round *round, enum difference difference, uint64_t first_block, size_t count,
			 const wire_hash *hashes)
{
	if (difference == SAME)
		return NULL;
	if (difference == DOUBTED || round->only_counts) {
		round->sums->missing_bytes += bytes_of(round->disk, first_block, count);
		return NULL;
	}
	if (difference == ZEROS)
		return put_zeros(round, first_block, count);
	return bring_run(round, first_block, count, hashes);
}

/* Blocks of which one of the manifests knows something, as many as are read at a time. */
static struct err *compare_blocks(struct round *round, uint64_t first_block, size_t count)
{
	wire_hash theirs[READ_BYTES / WIRE_MIN_BLOCK_BYTES], ours[READ_BYTES / WIRE_MIN_BLOCK_BYTES];
	size_t end;

	TRY(manifest_read(round->disk->theirs, first_block, count, theirs));
	TRY(manifest_read(round->disk->ours, first_block, count, ours));
	for (size_t i = 0; i < count; i = end) {
		enum difference difference = compare(theirs[i], ours[i]);

		for (end = i + 1; end < count && compare(theirs[end], ours[end]) == difference;)
			end++;
		TRY(bring(round, difference, first_block + i, end - i, theirs + i));
	}
	return NULL;
}

static struct err *compare_walked(void *arg, uint64_t first_block, size_t count, const wire_hash *hashes)
{
	struct round *round = arg;
	size_t step = READ_BYTES / round->disk->block_bytes;

	(void)hashes;
	for (size_t i = 0; i < count; i += step)
		TRY(compare_blocks(round, first_block + i, count - i < step ? count - i : step));
	return NULL;
}

/* Where theirs has a hole by now ours may have something: so both are walked. */
static struct err *go_over_disk(struct mirror *mirror, size_t number, bool only_counts,
				struct mirror_round *sums)
{
	struct mirror_disk *disk = &mirror->disks[number];
	struct round round = {
		.mirror = mirror, .number = number, .disk = disk, .only_counts = only_counts, .sums = sums};
	uint64_t blocks = manifest_block_count(disk->theirs);
	struct err *err = manifest_walk(disk->theirs, 0, blocks, compare_walked, &round);

	if (!err && !only_counts)
		err = manifest_walk(disk->ours, 0, blocks, compare_walked, &round);
	err_free(blk_close(round.copy));
	return err;
}

static struct err *go_over_all(struct mirror *mirror, bool only_counts, struct mirror_round *sums)
{
	for (size_t i = 0; i < mirror->disk_count; i++)
		TRY(go_over_disk(mirror, i, only_counts, sums));
	return NULL;
}

struct err *mirror_count(struct mirror *mirror, uint64_t *ret_bytes)
{
	struct mirror_round sums = {0};

	TRY(go_over_all(mirror, true, &sums));
	*ret_bytes = sums.missing_bytes;
	return NULL;
}

struct err *mirror_go_round(struct mirror *mirror, struct mirror_round *ret_round)
{
	struct mirror_round sums = {0};

	err_free(take_ptr(mirror->read_error));
	TRY(go_over_all(mirror, false, &sums));
	*ret_round = sums;
	return NULL;
}
