/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Rounds of a mirror (p2v/sync/mirror.h) until one finds nothing to do that began and ended between the same
 * two passes of the sender: then it is what the server's disks were like at the end of a pass, as near to one
 * moment as can be had without freezing it.  Where passes follow one another without a pause there is no
 * such moment: after a while what there is has to do.
 */
#include "p2v/cmd/snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>

#include "p2v/base/format.h"
#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/cmd/sync.h"
#include "p2v/sync/mirror.h"
#include "p2v/sync/passes.h"
#include "vhdx/vhdx.h"

#define NS_PER_SECOND 1000000000ull
#define PATIENCE_NS (60 * NS_PER_SECOND) /* behind the first round */
#define PAUSE_NS 50000000
#define MARGIN_BYTES (64ull << 20) /* for journals that are replayed, and what a conversion adds */

struct targets {
	struct blk **disks;
	size_t count;
};

static void targets_deinit(struct targets *targets)
{
	for (size_t i = 0; i < targets->count; i++)
		err_free(blk_close(targets->disks[i]));
	free(targets->disks);
}

static struct err *make_targets(const char *work_dir, const struct log *log, struct snapshot *snapshot,
				struct targets *ret_targets)
{
	const struct checkpoint *job = &snapshot->job;

	ret_targets->disks = xcalloc(job->disk_count, sizeof *ret_targets->disks);
	for (size_t i = 0; i < job->disk_count; i++) {
		const struct vhdx_create_options options = {
			.size_bytes = job->disks[i].size_bytes,
			.logical_sector_bytes = job->disks[i].logical_sector_bytes,
			.physical_sector_bytes = job->disks[i].physical_sector_bytes,
		};

		strv_addf(&snapshot->files, "%s/" SYNC_DISK_FILE, work_dir, i);
		TRY(vhdx_create(snapshot->files.items[i], &options, log, &ret_targets->disks[i]));
		ret_targets->count++;
	}
	return NULL;
}

static struct err *finish_targets(struct targets *targets)
{
	for (size_t i = 0; i < targets->count; i++) {
		TRY(vhdx_finish(targets->disks[i]));
		TRY(blk_close(take_ptr(targets->disks[i])));
	}
	return NULL;
}

/* How far the job is; the sender's passes say nothing of one that is at rest. */
struct look {
	bool is_final, is_still;
	uint64_t passes;
};

static struct err *look_at_job(const char *folder, struct look *ret_look)
{
	CLEANUP_CHECKPOINT struct checkpoint job = {0};
	struct passes passes;

	TRY(checkpoint_load(folder, &job));
	TRY(passes_load(folder, &passes));
	ret_look->is_final = job.complete || job.held_since;
	ret_look->is_still = ret_look->is_final || passes.is_between;
	ret_look->passes = passes.over;
	return NULL;
}

static bool is_same_moment(const struct look *before, const struct look *after)
{
	return before->is_still && after->is_still && before->is_final == after->is_final &&
	       before->passes == after->passes;
}

static struct err *check_begun(const char *folder)
{
	struct look look;

	TRY(look_at_job(folder, &look));
	if (look.is_final || look.passes)
		return NULL;
	return err_advise(
		err_refused("%s: not all of the server is here yet: its first pass is not over", folder),
		"wait for it: 'p2v status' tells when it is");
}

struct err *snapshot_check_space(const char *work_dir, uint64_t wanted_bytes)
{
	char wanted[FORMAT_BYTES], available[FORMAT_BYTES];
	struct statvfs fs;

	if (statvfs(work_dir, &fs))
		return err_from_errno(errno, "%s", work_dir);
	wanted_bytes += MARGIN_BYTES;
	if ((uint64_t)fs.f_bavail * fs.f_frsize >= wanted_bytes)
		return NULL;
	return err_advise(err_refused("%s: %s free, but the rehearsal takes a copy of the disks of %s",
				      work_dir, format_size((uint64_t)fs.f_bavail * fs.f_frsize, available),
				      format_size(wanted_bytes, wanted)),
			  "free some space there, or name another folder with --out");
}

/* What looks damaged in a file that is being written is not worth a warning. */
struct err *snapshot_open_copy(void *arg, size_t number, struct blk **ret_blk)
{
	CLEANUP_FREE char *path = xasprintf("%s/" SYNC_DISK_FILE, (const char *)arg, number);

	return vhdx_open(path, VHDX_OPEN_INCOMPLETE, NULL, ret_blk);
}

static void pause_between_rounds(void)
{
	const struct timespec pause = {0, PAUSE_NS};

	nanosleep(&pause, NULL);
}

static struct err *cannot_read(const char *folder, const struct mirror *mirror)
{
	const struct err *why = mirror_read_error(mirror);

	return err_advise(err_failed("%s: cannot be read: %s", folder,
				     why ? err_message(why) : "what is there is not what its manifest says"),
			  "let the sender run again: what is wrong is sent once more");
}

static struct err *go_round(const char *folder, struct mirror *mirror, struct snapshot *snapshot)
{
	uint64_t until_ns = 0;

	for (;;) {
		struct mirror_round round;
		struct look before, after;

		TRY(look_at_job(folder, &before));
		TRY(mirror_go_round(mirror, &round));
		TRY(look_at_job(folder, &after));
		snapshot->passes = after.passes;
		snapshot->is_final = after.is_final;
		snapshot->is_settled =
			!round.copied_bytes && !round.missing_bytes && is_same_moment(&before, &after);
		if (snapshot->is_settled)
			return NULL;
		if (!until_ns)
			until_ns = run_now_ns() + PATIENCE_NS;
		else if (run_now_ns() > until_ns)
			return mirror_read_error(mirror) ? cannot_read(folder, mirror) : NULL;
		if (!round.copied_bytes)
			pause_between_rounds();
	}
}

static struct err *take(const char *folder, const char *work_dir, enum progress_style style,
			const struct log *log, struct snapshot *snapshot)
{
	CLEANUP(targets_deinit) struct targets targets = {0};
	CLEANUP_MIRROR struct mirror *mirror = NULL;
	struct mirror_options options = {
		.folder = folder,
		.job = &snapshot->job,
		.open = snapshot_open_copy,
		.arg = (void *)folder,
		.scratch_dir = work_dir,
	};
	uint64_t bytes;
	struct err *err;

	TRY(check_begun(folder));
	TRY(checkpoint_load(folder, &snapshot->job));
	TRY(make_targets(work_dir, log, snapshot, &targets));
	options.targets = targets.disks;
	TRY(mirror_create(&options, &mirror));
	TRY(mirror_count(mirror, &bytes));
	TRY(snapshot_check_space(work_dir, bytes));
	options.progress = progress_create(stderr, style, "copy", bytes);
	err = go_round(folder, mirror, snapshot);
	progress_destroy(options.progress);
	TRY(err);
	return finish_targets(&targets);
}

struct err *snapshot_take(const char *folder, const char *work_dir, enum progress_style style,
			  const struct log *log, struct snapshot *ret_snapshot)
{
	struct snapshot snapshot = {0};
	struct err *err = take(folder, work_dir, style, log, &snapshot);

	if (err)
		snapshot_deinit(&snapshot);
	else
		*ret_snapshot = snapshot;
	return err;
}

void snapshot_deinit(struct snapshot *snapshot)
{
	checkpoint_deinit(&snapshot->job);
	strv_deinit(&snapshot->files);
}
