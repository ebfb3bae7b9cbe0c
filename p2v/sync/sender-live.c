/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Passes over disks that a server writes to (live.h).
 *
 * What is known of each disk is which blocks may differ from what was brought over
 * (`pending`).  A change becomes pending when it is taken, before anything is read,
 * and ends to be when a pass that began later is through.  Where changes are not
 * certain the whole disk is pending, which a pass by hash makes good.
 *
 * Blocks that change in every pass are left for the last one.  What is not used any
 * more by then is left as it is in the copy.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "p2v/base/format.h"
#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/sync/sender-live-impl.h"

#define PAUSE_NS NS_PER_SECOND

/* Changes in a part of it that is not used are none. */
static struct err *take_disk(struct live *live, size_t number)
{
	struct live_disk *disk = &live->disks[number];
	uint32_t block_bytes = sender_block_bytes(live->run->options);
	CLEANUP_EXTENTS struct extents changed = {0};
	CLEANUP_EXTENTS struct extents used = {0};
	CLEANUP_EXTENTS struct extents newest = {0};
	CLEANUP_EXTENTS struct extents pending = {0};
	bool is_certain = false;

	TRY(live->source->take_changes(live->source->arg, number, &changed, &is_certain));
	TRY(live->source->find_used(live->source->arg, number, &used));
	disk->is_uncertain |= !is_certain;
	/* Then it is of no interest what of it is known. */
	if (!is_certain)
		extents_remove(&changed, 0, UINT64_MAX);
	extents_align(&changed, block_bytes);
	extents_align(&used, block_bytes);
	extents_intersect(&changed, &used, &newest);
	extents_deinit(&disk->hot);
	disk->hot = (struct extents){0};
	extents_intersect(&newest, &disk->newest, &disk->hot);
	extents_unite(&disk->pending, &newest);
	extents_intersect(&disk->pending, &used, &pending);
	extents_deinit(&disk->pending);
	extents_deinit(&disk->newest);
	extents_deinit(&disk->used);
	disk->pending = pending;
	disk->newest = newest;
	disk->used = used;
	pending = newest = used = (struct extents){0};
	return NULL;
}

struct err *live_take_changes(struct live *live)
{
	struct live_state *state = &live->state;
	double seconds = live->taken_ns ? seconds_since(live->taken_ns) : 0;
	uint64_t changed_bytes = 0;

	live->taken_ns = run_now_ns();
	state->rest_bytes = 0;
	state->is_certain = true;
	for (size_t i = 0; i < live->disk_count; i++) {
		TRY(take_disk(live, i));
		state->rest_bytes += extents_total_bytes(&live->disks[i].pending);
		state->is_certain &= !live->disks[i].is_uncertain;
		changed_bytes += extents_total_bytes(&live->disks[i].newest);
	}
	state->changed_bytes_per_second = seconds > 0 ? changed_bytes / seconds : 0;
	return NULL;
}

/* Sends what `live->sent` says of certain disks, and all of the others. */
static struct work_list *list_work(struct live *live)
{
	struct run *run = live->run;
	struct work_list *list = work_list_create(sender_block_bytes(run->options));

	for (size_t i = 0; i < live->disk_count; i++) {
		const struct live_disk *disk = &live->disks[i];
		uint64_t size_bytes = run->options->disks[i].blk->size_bytes;

		if (disk->is_uncertain)
			work_list_add_used(list, i, size_bytes, &disk->used, run->disk_flags[i]);
		else
			work_list_add_changed(list, i, size_bytes, &live->sent[i]);
	}
	return list;
}

/* Of whom the server waits we do not wait longer than it may. */
static struct err *check_frozen(struct live *live)
{
	return live->is_frozen ? live->source->check_frozen(live->source->arg) : NULL;
}

static void hold_back(struct live *live)
{
	const struct live_source *source = live->source;

	live->run->hold_back = source->hold_back && !live->is_frozen ? source->hold_back(source->arg) : 0;
}

static bool pass_is_over(struct run *run)
{
	struct timespec until;
	LOCKED(&run->lock);

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec++;
	while (run->lanes_in_pass && !run->stopping)
		if (pthread_cond_timedwait(&run->changed, &run->lock, &until) == ETIMEDOUT)
			break;
	return !run->lanes_in_pass || run->stopping;
}

/* Also where it is for nothing any more: lanes must be through with it before there can be another. */
static struct err *wait_for_pass(struct live *live)
{
	struct run *run = live->run;
	struct err *err = NULL;

	while (!pass_is_over(run)) {
		hold_back(live);
		if (!err)
			err = check_frozen(live);
	}
	/* Why, its lane has told. */
	return run->stopping ? err_first(err, err_failed("stopped")) : err;
}

static void begin_pass(struct live *live, struct work_list *work)
{
	struct run *run = live->run;
	LOCKED(&run->lock);

	work_list_destroy(run->work);
	run->work = work;
	run->blocks_changed = live->sent;
	/* What shows it may wait for a file system that is frozen. */
	run->progress = live->is_frozen ? NULL : run->options->progress;
	live->progress_bytes += work_list_read_bytes(work);
	progress_set_total(run->progress, live->progress_bytes);
	for (size_t i = 0; i < live->disk_count; i++)
		if (live->disks[i].is_uncertain)
			run->roots[i] = (struct root){{0}};
	run->is_urgent = live->is_frozen;
	run->held_ns = 0;
	run->pass_number++;
	run->lanes_in_pass = run->lane_count;
	pthread_cond_broadcast(&run->changed);
}

static void learn(struct live *live, bool was_whole, uint64_t bytes, double seconds)
{
	if (was_whole)
		live->whole_seconds = seconds;
	else
		forecast_learn_pass(&live->forecast, bytes, seconds);
	live->state.bytes_per_second = live->forecast.bytes_per_second;
}

/* Brings over what is in `live->sent`, and uncertain disks as a whole. */
static struct err *make_pass(struct live *live)
{
	struct work_list *work = list_work(live);
	uint64_t bytes = 0, start_ns = run_now_ns();
	bool is_whole = !live->state.is_certain;
	double seconds;

	for (size_t i = 0; i < live->disk_count; i++)
		bytes += extents_total_bytes(&live->sent[i]);
	hold_back(live);
	begin_pass(live, work);
	TRY(wait_for_pass(live));
	for (size_t i = 0; i < live->disk_count; i++) {
		struct live_disk *disk = &live->disks[i];
		CLEANUP_EXTENTS struct extents left = {0};

		if (!disk->is_uncertain)
			extents_subtract(&disk->pending, &live->sent[i], &left);
		extents_deinit(&disk->pending);
		disk->pending = left;
		left = (struct extents){0};
		disk->is_compared |= disk->is_uncertain && live->is_frozen;
		disk->is_uncertain = false;
		live->run->disk_flags[i] &= ~WIRE_DISK_FRESH;
	}
	/* The last pass is without pauses. */
	seconds =
		seconds_since(start_ns) - live->run->held_ns / (double)NS_PER_SECOND / live->run->lane_count;
	learn(live, is_whole, bytes, fmax(seconds, 0));
	return NULL;
}

struct err *live_send_pending(struct live *live, bool with_hot)
{
	for (size_t i = 0; i < live->disk_count; i++) {
		CLEANUP_EXTENTS struct extents none = {0};

		extents_deinit(&live->sent[i]);
		live->sent[i] = (struct extents){0};
		extents_subtract(&live->disks[i].pending, with_hot ? &none : &live->disks[i].hot,
				 &live->sent[i]);
	}
	return make_pass(live);
}

static struct err *not_converging(const struct live *live)
{
	const struct live_state *state = &live->state;
	char rest[FORMAT_BYTES], changed[FORMAT_BYTES], sent[FORMAT_BYTES], seconds[FORMAT_BYTES];

	return err_advise(
		err_refused("the server writes %s/s, %s/s are brought over, and %s are left: that does not "
			    "become less",
			    format_size(state->changed_bytes_per_second, changed),
			    format_size(state->bytes_per_second, sent), format_size(state->rest_bytes, rest)),
		"allow a --downtime of %s, raise --limit, or stop what writes most with --pre-freeze",
		isfinite(state->downtime_seconds) ? format_seconds(ceil(state->downtime_seconds), seconds)
						  : "more");
}

static void look_ahead(struct live *live)
{
	struct live_state *state = &live->state;

	if (state->is_certain)
		forecast_learn_rest(&live->forecast, state->rest_bytes);
	state->downtime_seconds = state->is_certain ? forecast_downtime(&live->forecast, state->rest_bytes)
						    : live->whole_seconds + live->forecast.freeze_seconds;
	state->is_ready = state->downtime_seconds * NS_PER_SECOND <= live->options->downtime_ns;
	state->is_converging = state->is_ready || !state->is_certain || isinf(state->downtime_seconds) ||
			       forecast_is_converging(&live->forecast);
}

/* Passes begin this long after one another, or later. */
static uint64_t time_to_wait(struct live *live)
{
	uint64_t pause_ns = live->options->pause_ns ?: PAUSE_NS;
	uint64_t gone_ns = run_now_ns() - live->began_ns;

	/* Reading everything again and again is no use to the server. */
	if (!live->state.is_certain && live->whole_seconds * NS_PER_SECOND > pause_ns)
		pause_ns = live->whole_seconds * NS_PER_SECOND;
	return gone_ns < pause_ns ? pause_ns - gone_ns : 0;
}

/* In steps, so that an end is noticed. */
static enum live_order wait_for_order(struct live *live, uint64_t limit_ns)
{
	enum live_order order;

	do {
		uint64_t step_ns = limit_ns < NS_PER_SECOND ? limit_ns : NS_PER_SECOND;

		order = live->source->wait(live->source->arg, &live->state, step_ns);
		limit_ns -= step_ns;
	} while (order == LIVE_GO_ON && limit_ns && !live->run->stopping);
	return order;
}

/* One round of the loop: tells, waits where there is nothing to hurry for, does what is ordered. */
static struct err *go_on(struct live *live, bool *ret_is_done)
{
	const struct live_options *options = live->options;
	bool cuts_over;
	enum live_order order;

	TRY(live_take_changes(live));
	live->state.pass++;
	look_ahead(live);
	cuts_over = options->cuts_over && live->state.is_ready;
	order = wait_for_order(live, cuts_over ? 0 : time_to_wait(live));
	live->began_ns = run_now_ns();
	if (order == LIVE_END)
		return err_advise(err_refused("ended before the cutover"),
				  "the same command goes on where this one was");
	if (cuts_over || order == LIVE_CUT_OVER)
		return live_try_cutover(live, ret_is_done);
	if (!live->state.is_converging && options->cuts_over)
		return not_converging(live);
	/* What changes all the time waits, but where nothing is known yet. */
	return live_send_pending(live, live->state.is_ready || isinf(live->state.downtime_seconds));
}

static struct err *make_all_passes(struct live *live)
{
	bool is_done = false;

	/* The first brings over all there is, whatever is said to have changed. */
	TRY(live_take_changes(live));
	for (size_t i = 0; i < live->disk_count; i++)
		live->disks[i].is_uncertain = true;
	live->state.is_certain = false;
	TRY(live_send_pending(live, true));
	while (!is_done) {
		if (live->run->stopping)
			return err_failed("stopped");
		TRY(go_on(live, &is_done));
	}
	return NULL;
}

/* Lanes look at what was to be sent up to their end. */
static void end_passes(struct run *run)
{
	LOCKED(&run->lock);

	run->is_last_pass = true;
	pthread_cond_broadcast(&run->changed);
	while (run->lanes_running)
		pthread_cond_wait(&run->changed, &run->lock);
}

void sender_make_passes(struct run *run)
{
	struct live live = {.run = run,
			    .options = run->options->live,
			    .source = run->options->live->source,
			    .disk_count = run->options->disk_count};
	struct err *err;

	live.disks = xcalloc(live.disk_count, sizeof *live.disks);
	live.sent = xcalloc(live.disk_count, sizeof *live.sent);
	err = make_all_passes(&live);
	if (err)
		sender_stop(run, err);
	end_passes(run);
	for (size_t i = 0; i < live.disk_count; i++) {
		extents_deinit(&live.disks[i].used);
		extents_deinit(&live.disks[i].pending);
		extents_deinit(&live.disks[i].newest);
		extents_deinit(&live.disks[i].hot);
		extents_deinit(&live.sent[i]);
	}
	free(live.disks);
	free(live.sent);
}
