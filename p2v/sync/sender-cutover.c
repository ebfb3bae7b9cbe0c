/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The cutover of disks that a server writes to (live.h).
 *
 * It commits only what was frozen all the time: if anything goes wrong before, writers
 * go on, and so do passes, unless there is nobody who could order another one.
 */
#include <math.h>

#include "p2v/base/format.h"
#include "p2v/sync/sender-live-impl.h"

#define MAX_TRIES 5

/* Whatever is in the way of it being compared as a whole while nobody may write. */
static struct err *check_whole_fits(const struct live *live)
{
	char seconds[FORMAT_BYTES];

	if (live->state.is_certain || live->whole_seconds * NS_PER_SECOND < live->options->freeze_limit_ns)
		return NULL;
	return err_advise(
		err_refused("what has changed is not known for certain, and comparing all of the disks takes "
			    "longer than the server may be frozen: %s",
			    format_seconds(ceil(live->whole_seconds), seconds)),
		"allow a longer --max-freeze, or stop the server and send its disks from the ISO");
}

/* Of what is pending, without what volumes write for themselves. */
static uint64_t count_written(const struct live *live)
{
	const struct live_source *source = live->source;
	uint64_t bytes = 0;

	for (size_t i = 0; i < live->disk_count; i++) {
		CLEANUP_EXTENTS struct extents own = {0};
		CLEANUP_EXTENTS struct extents written = {0};

		if (source->find_own)
			source->find_own(source->arg, i, &own);
		extents_subtract(&live->disks[i].pending, &own, &written);
		bytes += extents_total_bytes(&written);
	}
	return bytes;
}

static struct err *nobody_has_written(const struct live *live)
{
	uint64_t bytes = count_written(live);
	char text[FORMAT_BYTES];

	if (!bytes)
		return NULL;
	return err_advise(
		err_failed("%s were written while all file systems were frozen", format_size(bytes, text)),
		"something writes to the disks by itself (a database on a raw device, a cache that is "
		"written back, swap on striped volumes): stop it with --pre-freeze");
}

/* A disk that was compared since it is frozen needs no more than that nobody can have written: check() tells.
 */
static bool is_in_doubt(const struct live *live)
{
	for (size_t i = 0; i < live->disk_count; i++)
		if (live->disks[i].is_uncertain && !live->disks[i].is_compared)
			return true;
	return false;
}

static struct err *freeze(struct live *live)
{
	uint64_t start_ns = run_now_ns();

	TRY(live->source->freeze(live->source->arg));
	live->is_frozen = true;
	forecast_learn_freeze(&live->forecast, seconds_since(start_ns));
	return NULL;
}

static struct err *send_frozen(struct live *live)
{
	struct sender_cutover *cutover = &live->run->result->cutover;
	uint64_t start_ns = run_now_ns(), frozen_ns;

	TRY(freeze(live));
	frozen_ns = run_now_ns();
	TRY(live_take_changes(live));
	*cutover = (struct sender_cutover){.freeze_ns = frozen_ns - start_ns,
					   .rest_bytes = live->state.rest_bytes};
	/* What was lost before the freeze may be noticed late, and volumes may write something for
	 * themselves.
	 */
	for (unsigned tries = 0; tries < MAX_TRIES; tries++) {
		TRY(check_whole_fits(live));
		TRY(live_send_pending(live, true));
		TRY(live_take_changes(live));
		TRY(nobody_has_written(live));
		cutover->send_ns = run_now_ns() - frozen_ns;
		if (!live->state.rest_bytes && !is_in_doubt(live))
			return live->source->check(live->source->arg);
	}
	return err_advise(
		err_failed("what changes on the disks cannot be told for certain, even while they are "
			   "frozen"),
		"stop the server, and send its disks from the ISO");
}

/* Why lanes have ended is in the run. */
static const struct err *first_error(struct run *run, const struct err *err)
{
	LOCKED(&run->lock);

	return run->err ? run->err : err;
}

static struct err *cut_over(struct live *live)
{
	struct err *err = check_whole_fits(live);

	if (!err)
		err = live->source->prepare(live->source->arg);
	/* What that has written does not wait for the freeze. */
	if (!err)
		err = live_take_changes(live);
	if (!err && live->state.is_certain)
		err = live_send_pending(live, false);
	if (!err)
		err = send_frozen(live);
	if (!err)
		return NULL;
	live->is_frozen = false;
	live->run->result->cutover = (struct sender_cutover){0};
	for (size_t i = 0; i < live->disk_count; i++)
		live->disks[i].is_compared = false;
	live->source->thaw(live->source->arg, first_error(live->run, err));
	return err;
}

struct err *live_try_cutover(struct live *live, bool *ret_is_done)
{
	const struct live_source *source = live->source;
	struct err *err = cut_over(live);

	*ret_is_done = !err;
	if (!err || live->options->cuts_over || live->run->stopping ||
	    (source->is_over && source->is_over(source->arg)))
		return err;
	/* Whoever has ordered it was told why. */
	err_free(err);
	return NULL;
}
