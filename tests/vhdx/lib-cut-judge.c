// SPDX-License-Identifier: GPL-3.0-or-later
#include "tests/vhdx/lib-cut-judge.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "tests/base/lib-must.h"
#include "tests/base/lib-overlay.h"
#include "tests/base/lib-power-cut.h"
#include "tests/base/lib-rng.h"
#include "tests/vhdx/lib-vhdx.h"

DEFINE_CLEANUP(power_cut, struct power_cut *, power_cut_destroy)
DEFINE_CLEANUP(recording, struct recording *, recording_destroy)

void cut_tally_deinit(struct cut_tally *tally)
{
	free(tally->hashes);
}

static void count_state(struct cut_tally *tally, uint64_t hash)
{
	array_grow(tally->hashes, tally->count, tally->capacity);
	tally->hashes[tally->count++] = hash;
}

static int compare_hashes(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

size_t cut_tally_distinct(struct cut_tally *tally)
{
	size_t distinct = 0;

	if (tally->count)
		qsort(tally->hashes, tally->count, sizeof *tally->hashes, compare_hashes);
	for (size_t i = 0; i < tally->count; i++)
		distinct += !i || tally->hashes[i] != tally->hashes[i - 1];
	return distinct;
}

static void gather(void *arg, const struct vhdx_finding *finding)
{
	char **first = arg;

	if (!*first && finding->severity == VHDX_ERROR)
		*first = xasprintf("%s (at %" PRIu64 ")", finding->text, finding->file_offset);
}

/* Checking finds nothing; or, in a file that is not complete, just that. */
static struct err *judge_by_check(struct blk *left, bool complete, bool replayed)
{
	CLEANUP_FREE char *first = NULL;
	struct vhdx_check_result result;

	TRY(vhdx_check_on(left, gather, &first, &result));
	if (result.errors != !complete)
		return err_failed("check finds %" PRIu64 " errors: %s", result.errors, first ? first : "");
	if (replayed && result.warnings)
		return err_failed("check finds %" PRIu64 " warnings after replay", result.warnings);
	return NULL;
}

/* What a cut left. */
struct left {
	struct blk *file;
	struct blk *parent; /* NULL: none */
};

static void left_deinit(struct left *left)
{
	err_free(blk_close(left->file));
	err_free(blk_close(left->parent));
}
#define CLEANUP_LEFT CLEANUP(left_deinit)

static struct err *open_over(struct blk *file, struct blk *parent_file, unsigned flags, struct blk **ret_vhdx)
{
	CLEANUP_BLK struct blk *parent_owned = parent_file;
	CLEANUP_BLK struct blk *parent = NULL;
	bool merge = flags & VHDX_OPEN_MERGE;

	TRY(err_wrap(vhdx_open_on(parent_file, merge ? VHDX_OPEN_WRITE : 0, NULL, &parent), "the parent"));
	(void)take_ptr(parent_owned);
	TRY(vhdx_open_over(file, parent, flags, NULL, ret_vhdx));
	(void)take_ptr(parent);
	return NULL;
}

/* Opens what is left; the file becomes the VHDX's, or stays the caller's after an error.  The parent is
 * only looked at unless it is to be merged into. */
static struct err *open_left(struct blk *file, struct blk *parent, unsigned flags, struct blk **ret_vhdx)
{
	flags |= VHDX_OPEN_INCOMPLETE;
	if (!parent)
		return vhdx_open_on(file, flags, NULL, ret_vhdx);
	if (!(flags & VHDX_OPEN_MERGE))
		parent = borrowed(parent);
	return open_over(file, parent, flags, ret_vhdx);
}

struct seen {
	bool complete;
	uint64_t replayed_entries;
};

/* As it is read without touching it. */
static struct err *judge_reading(const struct cut_life *life, const struct left *left, struct seen *ret_seen)
{
	CLEANUP_BLK struct blk *view = borrowed(left->file);
	CLEANUP_BLK struct blk *vhdx = NULL;
	CLEANUP_VHDX_INFO struct vhdx_info info = {0};

	TRY(err_wrap(open_left(view, left->parent, 0, &vhdx), "opening to read"));
	(void)take_ptr(view);
	TRY(vhdx_get_info(vhdx, &info));
	TRY(err_wrap(disk_user_judge(life->disk_user, vhdx), "read as it was left"));
	*ret_seen = (struct seen){!info.incomplete, info.log.replayed_entries};
	return judge_by_check(left->file, ret_seen->complete, false);
}

/* Opened for writing, which replays the log in the file; used, finished, and clean.  What is left is
 * used up. */
static struct err *judge_writing(const struct cut_life *life, struct left *left, bool new_blocks)
{
	struct blk *file = left->file;
	CLEANUP_BLK struct blk *vhdx = NULL;

	TRY(err_wrap(open_left(file, left->parent, VHDX_OPEN_WRITE, &vhdx), "opening to write"));
	left->file = NULL;
	TRY(err_wrap(disk_user_judge(life->disk_user, vhdx), "read after replay"));
	if (new_blocks)
		TRY(err_wrap(disk_user_judge_new_blocks(life->disk_user, vhdx), "written after replay"));
	TRY(err_wrap(vhdx_finish(vhdx), "finishing"));
	if (!new_blocks)
		TRY(err_wrap(disk_user_judge(life->disk_user, vhdx), "read after finishing"));
	return err_wrap(judge_by_check(file, true, true), "after finishing");
}

/* Merged once more, to the end.  What is left is used up. */
static struct err *judge_merging(const struct cut_life *life, struct left *left)
{
	struct blk *file = left->file, *parent = take_ptr(left->parent);
	CLEANUP_BLK struct blk *vhdx = NULL;

	TRY(err_wrap(open_left(file, parent, VHDX_OPEN_WRITE | VHDX_OPEN_MERGE, &vhdx), "opening to merge"));
	left->file = NULL;
	TRY(err_wrap(vhdx_merge(vhdx, NULL), "merging"));
	TRY(err_wrap(disk_user_judge(life->disk_user, vhdx), "read after merging"));
	TRY(err_wrap(disk_user_judge(life->disk_user, vhdx_parent(vhdx)), "the parent after merging"));
	TRY(vhdx_finish(vhdx));
	TRY(vhdx_finish(vhdx_parent(vhdx)));
	TRY(err_wrap(judge_by_check(file, true, true), "after merging"));
	return err_wrap(judge_by_check(parent, true, true), "the parent after merging");
}

/* The power fails again at each step of the replay. */
static struct err *judge_replay_cuts(const struct cut_life *life, const struct left *left, bool complete,
				     struct cut_tally *tally)
{
	CLEANUP(cleanup_recording) struct recording *recording = recording_create();
	struct blk *file = recording_attach(recording, overlay_copy_of(left->file)), *vhdx = NULL;
	CLEANUP(cleanup_power_cut) struct power_cut *cut = NULL;

	must(open_left(file, left->parent, VHDX_OPEN_WRITE, &vhdx));
	must(blk_close(vhdx));
	cut = power_cut_create(recording, life->seed);
	for (uint64_t time = 1; power_cut_advance(cut, time); time++) {
		CLEANUP_LEFT struct left again = {NULL, left->parent ? overlay_create(left->parent) : NULL};
		struct seen seen;
		uint64_t hash;

		power_cut_choose(cut, &hash);
		again.file = power_cut_leave(cut, 0);
		count_state(tally, hash);
		tally->in_replay++;
		TRY(err_wrap(judge_reading(life, &again, &seen), "replay cut at %" PRIu64, time));
		if (seen.complete != complete)
			return err_failed("replay cut at %" PRIu64 ": the file %s complete", time,
					  complete ? "is no longer" : "has become");
		TRY(err_wrap(judge_writing(life, &again, false), "replay cut at %" PRIu64, time));
	}
	return NULL;
}

/* Not yet a VHDX, or an incomplete one: never one that others would take. */
static struct err *judge_unborn(struct blk *left)
{
	CLEANUP_BLK struct blk *view = borrowed(left);
	CLEANUP_BLK struct blk *vhdx = NULL;
	struct err *err = vhdx_open_on(view, 0, NULL, &vhdx);

	if (err && err_kind(err) == ERR_REFUSED) {
		err_free(err);
		return NULL;
	}
	if (!err)
		(void)take_ptr(view);
	return err ? err : err_failed("opens before it was made");
}

static struct err *judge_phase(const struct cut_life *life, uint64_t time, bool complete)
{
	bool is_marked = life->marking && time >= life->marking;

	if (is_marked && time > life->marked && time < life->finishing_again && complete)
		return err_failed("is complete after it was marked as incomplete");
	if (!is_marked && time > life->finished && !complete)
		return err_failed("is incomplete after it was finished");
	if (time < life->finishing && complete)
		return err_failed("is complete before it was finished");
	return NULL;
}

static struct err *judge(const struct cut_life *life, struct power_cut *cut, uint64_t time,
			 struct cut_tally *tally)
{
	enum cut_story story = life->kind->story;
	bool alone = story == CUT_ALONE || story == CUT_AGAIN, merge = story == CUT_MERGE;
	CLEANUP_LEFT struct left left = {power_cut_leave(cut, 0), alone ? NULL : power_cut_leave(cut, 1)};
	struct seen seen;

	if (time <= life->created)
		return judge_unborn(left.file);
	TRY(judge_reading(life, &left, &seen));
	TRY(judge_phase(life, time, seen.complete));
	tally->complete += seen.complete;
	tally->replayed += seen.replayed_entries > 0;
	if (seen.replayed_entries && tally->replayed % 16 == 0)
		TRY(judge_replay_cuts(life, &left, seen.complete, tally));
	if (merge && tally->count % 2)
		return judge_merging(life, &left);
	return judge_writing(life, &left, tally->count % 4 == 0);
}

/* One state at the present time. */
static struct err *try_state(const struct cut_life *life, struct power_cut *cut, uint64_t time,
			     struct cut_tally *tally)
{
	CLEANUP_FREE char *text = NULL;
	uint64_t hash;

	power_cut_choose(cut, &hash);
	count_state(tally, hash);
	text = power_cut_describe(cut);
	return err_wrap(judge(life, cut, time, tally), "%s, seed %" PRIu64 ", %s", life->kind->name,
			life->seed, text);
}

struct err *cut_life_try(struct cut_life *life, size_t states, struct cut_tally *tally)
{
	CLEANUP(cleanup_power_cut) struct power_cut *cut = power_cut_create(life->recording, life->seed);
	struct rng rng = {.state = life->seed ^ 0x5bd1e995};
	uint64_t length = life->end - life->begin + 1;

	disk_user_rewind(life->disk_user);
	for (uint64_t time = life->begin; time <= life->end; time++) {
		size_t tries = (states + rng_below(&rng, length)) / length;

		if (!tries)
			continue;
		(void)power_cut_advance(cut, time);
		disk_user_advance(life->disk_user, time);
		/* Without anything undecided there is one state. */
		if (!power_cut_pending(cut))
			tries = 1;
		for (size_t i = 0; i < tries; i++)
			TRY(try_state(life, cut, time, tally));
	}
	return NULL;
}
