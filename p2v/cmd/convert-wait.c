/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * p2v convert --wait: all that does not need the last byte is done before the cutover.  The disks of the
 * result are there, empty; the appliance has started on them; and what the receiver has is copied into them,
 * round after round (p2v/sync/mirror.h).  When the job is complete the last difference is brought over, and
 * the appliance looks at its disks as if they had just been plugged in.
 *
 * The appliance starts before anything is copied, so that it assembles nothing, and keeps nothing in memory,
 * of disks that change under it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/cmd/convert.h"
#include "p2v/cmd/received.h"
#include "p2v/cmd/snapshot.h"
#include "p2v/sync/mirror.h"
#include "p2v/sync/passes.h"
#include "vhdx/vhdx.h"

#define STEP_NS 50000000ull /* between two looks at the job */
#define ROUND_SHARE 10 /* of the time, one part is spent in rounds */

struct wait {
	struct conversion *conversion;
	const char *folder;
	struct checkpoint job; /* as it was at the start, but for what completes it */
	struct blk **targets;
	struct mirror *mirror;
	struct mirror_options options;
	struct passes passes; /* as they were told last */
	bool has_told_ready, has_told_held;
};

static struct err *close_targets(struct wait *wait)
{
	struct err *err = NULL;

	for (size_t i = 0; wait->targets && i < wait->job.disk_count; i++) {
		if (wait->targets[i])
			err = err_first(err, blk_flush(wait->targets[i]));
		err = err_first(err, blk_close(take_ptr(wait->targets[i])));
	}
	free(take_ptr(wait->targets));
	return err;
}

static void wait_deinit(struct wait *wait)
{
	mirror_destroy(wait->mirror);
	err_free(close_targets(wait));
	checkpoint_deinit(&wait->job);
}

static struct err *start_appliance(struct wait *wait)
{
	struct conversion *c = wait->conversion;
	CLEANUP_FREE struct vhdx_create_options *disks = xcalloc(wait->job.disk_count, sizeof *disks);

	for (size_t i = 0; i < wait->job.disk_count; i++)
		disks[i] = (struct vhdx_create_options){
			.size_bytes = wait->job.disks[i].size_bytes,
			.logical_sector_bytes = wait->job.disks[i].logical_sector_bytes,
			.physical_sector_bytes = wait->job.disks[i].physical_sector_bytes,
		};
	TRY(session_open_empty(disks, wait->job.disk_count, scratch_path(c->work), c->log, &c->session));
	return session_start_appliance(&c->session);
}

static struct err *start_mirror(struct wait *wait)
{
	struct conversion *c = wait->conversion;
	uint64_t bytes;

	wait->targets = xcalloc(wait->job.disk_count, sizeof *wait->targets);
	for (size_t i = 0; i < wait->job.disk_count; i++)
		TRY(blk_nbd_open(server_uri(c->session.disks[i].server), BLK_NBD_WRITE, &wait->targets[i]));
	wait->options = (struct mirror_options){
		.folder = wait->folder,
		.job = &wait->job,
		.open = snapshot_open_copy,
		.arg = (void *)wait->folder,
		.targets = wait->targets,
		.scratch_dir = scratch_path(c->temporary),
	};
	TRY(mirror_create(&wait->options, &wait->mirror));
	TRY(mirror_count(wait->mirror, &bytes));
	return snapshot_check_space(scratch_path(c->work), bytes);
}

/* What a user wants to know who looks at it for hours. */
static void tell(struct wait *wait, const struct passes *now, const struct checkpoint *job)
{
	const struct log *log = wait->conversion->log;

	if (wait->passes.is_connected && !now->is_connected && !job->complete)
		log_warning(log, "%s: the sender has gone, without a cutover: waiting for it to come again",
			    job->name);
	if (!wait->passes.is_connected && now->is_connected && wait->has_told_ready)
		log_info(log, "%s: the sender is there", job->name);
	if (!wait->has_told_ready && now->over) {
		log_info(log, "%s: ready for the cutover", job->name);
		wait->has_told_ready = true;
	}
	if (job->held_since && !job->complete && !wait->has_told_held)
		log_info(log, "%s: the job is held: waiting for the sender's last word", job->name);
	wait->has_told_held = job->held_since;
	wait->passes = *now;
}

static struct err *look_at_job(struct wait *wait, bool *ret_is_complete)
{
	CLEANUP_CHECKPOINT struct checkpoint job = {0};
	struct passes passes;

	TRY(err_advise(checkpoint_load(wait->folder, &job), "the job was removed: send it again"));
	TRY(passes_load(wait->folder, &passes));
	tell(wait, &passes, &job);
	*ret_is_complete = job.complete;
	return NULL;
}

/* Until it is complete, or until_ns. */
static struct err *wait_for_completion(struct wait *wait, uint64_t until_ns, bool *ret_is_complete)
{
	const struct timespec step = {0, STEP_NS};

	for (;;) {
		TRY(look_at_job(wait, ret_is_complete));
		if (*ret_is_complete || run_now_ns() >= until_ns)
			return NULL;
		nanosleep(&step, NULL);
	}
}

/* Rounds cost what the manifests do: they leave the disk alone for most of the time. */
static struct err *mirror_until_complete(struct wait *wait)
{
	bool is_complete = false;

	while (!is_complete) {
		uint64_t start_ns = run_now_ns(), took_ns;
		struct mirror_round round;

		TRY(mirror_go_round(wait->mirror, &round));
		took_ns = run_now_ns() - start_ns;
		TRY(wait_for_completion(wait, start_ns + took_ns + ROUND_SHARE * took_ns, &is_complete));
	}
	return NULL;
}

/* Of a job that is complete all can be had, unless something is wrong with it. */
static struct err *bring_the_rest(struct wait *wait)
{
	struct mirror_round round;

	TRY(mirror_go_round(wait->mirror, &round));
	if (round.missing_bytes)
		TRY(mirror_go_round(wait->mirror, &round));
	if (round.missing_bytes) {
		const struct err *why = mirror_read_error(wait->mirror);

		return err_advise(
			err_failed("%s: cannot be read: %s", wait->folder,
				   why ? err_message(why) : "what is there is not what its manifest says"),
			"send it again: only what is wrong travels; or convert it without --wait");
	}
	mirror_destroy(take_ptr(wait->mirror));
	return close_targets(wait);
}

/* A disk whose table is for other sectors than the job's is rare: it is converted as it would be without us.
 */
static bool has_other_sectors(const struct wait *wait)
{
	const struct session *session = &wait->conversion->session;

	for (size_t i = 0; i < session->disk_count; i++)
		if (session->disks[i].source.sector_bytes != wait->job.disks[i].logical_sector_bytes)
			return true;
	return false;
}

static struct err *begin_anew(struct wait *wait, const struct strv *sources)
{
	struct conversion *c = wait->conversion;

	for (size_t i = 0; i < c->session.disk_count; i++)
		if (unlink(c->session.disks[i].file))
			return err_from_errno(errno, "%s", c->session.disks[i].file);
	session_close(&c->session);
	return session_open(sources, scratch_path(c->work), 0, c->log, &c->session);
}

/* From the moment of the commit on every second counts. */
static struct err *take_over(struct wait *wait)
{
	struct conversion *c = wait->conversion;
	CLEANUP_STRV struct strv sources = {0};
	uint64_t start_ns = c->times.started_ns = run_now_ns();

	log_info(c->log, "%s: the job is complete", wait->job.name);
	TRY(bring_the_rest(wait));
	TRY(received_list_disks(wait->folder, &sources));
	TRY(session_set_sources(&c->session, &sources));
	c->is_filled = !has_other_sectors(wait);
	c->times.take_over = (run_now_ns() - start_ns) / 1e9;
	return c->is_filled ? NULL : begin_anew(wait, &sources);
}

struct err *convert_wait(struct conversion *c)
{
	CLEANUP(wait_deinit) struct wait wait = {.conversion = c, .folder = c->options->job};

	TRY(checkpoint_load(wait.folder, &wait.job));
	TRY(start_appliance(&wait));
	TRY(start_mirror(&wait));
	TRY(mirror_until_complete(&wait));
	return take_over(&wait);
}
