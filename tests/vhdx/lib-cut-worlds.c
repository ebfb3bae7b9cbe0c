// SPDX-License-Identifier: GPL-3.0-or-later
#include "tests/vhdx/lib-cut-worlds.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "tests/base/lib-overlay.h"
#include "tests/base/lib-power-cut.h"
#include "tests/vhdx/lib-flush-loser.h"
#include "tests/vhdx/lib-vhdx.h"

DEFINE_CLEANUP(power_cut, struct power_cut *, power_cut_destroy)
DEFINE_CLEANUP(recording, struct recording *, recording_destroy)

struct cut_world {
	const struct cut_world_kind *kind;
	uint64_t seed;
	struct recording *recording;
	struct disk_user *guest;
	uint64_t created, finishing, finished, end; /* times */
};

struct user {
	pthread_t thread;
	struct disk_user *guest;
	struct blk *disk;
	struct disk_user_run run;
	struct err *err;
};

static void *use(void *arg)
{
	struct user *user = arg;

	user->err = disk_user_use(user->guest, user->disk, &user->run);
	return NULL;
}

static void use_disk(struct cut_world *world, struct blk *disk, uint64_t seed)
{
	unsigned threads = world->kind->threads ? world->kind->threads : 1;
	CLEANUP_FREE struct user *users = xcalloc(threads, sizeof *users);

	for (unsigned i = 0; i < threads; i++) {
		users[i].guest = world->guest;
		users[i].disk = disk;
		users[i].run = (struct disk_user_run){world->kind->requests / threads,
						      world->kind->flush_every, i, threads, seed * 64 + i};
		if (threads == 1)
			use(&users[i]);
		else if (pthread_create(&users[i].thread, NULL, use, &users[i]))
			abort();
	}
	for (unsigned i = 0; i < threads; i++) {
		if (threads > 1)
			pthread_join(users[i].thread, NULL);
		assert_no_error(users[i].err);
	}
}

struct cut_world *cut_world_live(const struct cut_world_kind *kind, uint64_t seed,
				 const struct planted_fault *fault)
{
	struct cut_world *world = xcalloc(1, sizeof *world);
	struct disk_user_layout layout = {kind->options.size_bytes, kind->window_bytes, kind->stride_bytes};
	struct blk *file = overlay_create(NULL), *recorded, *vhdx, *disk;

	/* Several threads: the memory below must stand it. */
	if (kind->threads > 1) {
		assert_no_error(blk_close(file));
		assert_no_error(blk_mem_create(0, &file));
	}
	world->kind = kind;
	world->seed = seed;
	world->recording = recording_create();
	world->guest = disk_user_create(&layout, world->recording);
	file = recorded = recording_attach(world->recording, file);
	if (fault)
		file = flush_loser_create(file, fault->start, fault->end);
	assert_no_error(vhdx_create_on(file, &kind->options, NULL, &vhdx));
	/* A fault is to break the order of writes, not the promises to the guest: those, anybody notices. */
	disk = fault ? flush_keeper_create(vhdx, recorded) : vhdx;
	world->created = recording_tick(world->recording);
	use_disk(world, disk, 2 * seed);
	world->finishing = recording_tick(world->recording);
	assert_no_error(vhdx_finish(vhdx));
	assert_no_error(disk == vhdx ? NULL : blk_flush(disk));
	world->finished = recording_tick(world->recording);
	disk_user_all_is_durable(world->guest);
	use_disk(world, disk, 2 * seed + 1);
	assert_no_error(vhdx_finish(vhdx));
	assert_no_error(disk == vhdx ? NULL : blk_flush(disk));
	disk_user_all_is_durable(world->guest);
	world->end = recording_tick(world->recording);
	assert_no_error(disk == vhdx ? NULL : blk_close(disk));
	assert_no_error(blk_close(vhdx));
	return world;
}

void cut_world_destroy(struct cut_world *world)
{
	disk_user_destroy(world->guest);
	recording_destroy(world->recording);
	free(world);
}

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

struct seen {
	bool complete;
	uint64_t replayed_entries;
};

/* As it is read without touching it. */
static struct err *judge_reading(const struct cut_world *world, struct blk *left, struct seen *ret_seen)
{
	CLEANUP_BLK struct blk *view = borrowed(left);
	CLEANUP_BLK struct blk *vhdx = NULL;
	CLEANUP_VHDX_INFO struct vhdx_info info = {0};

	TRY(err_wrap(vhdx_open_on(view, VHDX_OPEN_INSPECT, NULL, &vhdx), "opening to read"));
	(void)take_ptr(view);
	TRY(vhdx_get_info(vhdx, &info));
	TRY(err_wrap(disk_user_judge(world->guest, vhdx), "read as it was left"));
	*ret_seen = (struct seen){!info.incomplete, info.log.replayed_entries};
	return judge_by_check(left, ret_seen->complete, false);
}

/* Opened for writing, which replays the log in the file; used, finished, and clean.  Takes over left. */
static struct err *judge_writing(const struct cut_world *world, struct blk *left, bool new_blocks)
{
	CLEANUP_BLK struct blk *owned = left;
	CLEANUP_BLK struct blk *vhdx = NULL;

	TRY(err_wrap(vhdx_open_on(left, VHDX_OPEN_WRITE | VHDX_OPEN_INCOMPLETE, NULL, &vhdx),
		     "opening to write"));
	(void)take_ptr(owned);
	TRY(err_wrap(disk_user_judge(world->guest, vhdx), "read after replay"));
	if (new_blocks)
		TRY(err_wrap(disk_user_judge_new_blocks(world->guest, vhdx), "written after replay"));
	TRY(err_wrap(vhdx_finish(vhdx), "finishing"));
	if (!new_blocks)
		TRY(err_wrap(disk_user_judge(world->guest, vhdx), "read after finishing"));
	return err_wrap(judge_by_check(left, true, true), "after finishing");
}

/* The power fails again at each step of the replay. */
static struct err *judge_replay_cuts(const struct cut_world *world, struct blk *left, bool complete,
				     struct cut_tally *tally)
{
	CLEANUP(cleanup_recording) struct recording *recording = recording_create();
	struct blk *file = recording_attach(recording, overlay_copy_of(left)), *vhdx = NULL;
	CLEANUP(cleanup_power_cut) struct power_cut *cut = NULL;

	assert_no_error(vhdx_open_on(file, VHDX_OPEN_WRITE | VHDX_OPEN_INCOMPLETE, NULL, &vhdx));
	assert_no_error(blk_close(vhdx));
	cut = power_cut_create(recording, world->seed);
	for (uint64_t time = 1; power_cut_advance(cut, time); time++) {
		CLEANUP_BLK struct blk *again = NULL;
		struct seen seen;
		uint64_t hash;

		power_cut_choose(cut, &hash);
		again = power_cut_leave(cut, 0);
		count_state(tally, hash);
		tally->in_replay++;
		TRY(err_wrap(judge_reading(world, again, &seen), "replay cut at %" PRIu64, time));
		if (seen.complete != complete)
			return err_failed("replay cut at %" PRIu64 ": the file %s complete", time,
					  complete ? "is no longer" : "has become");
		TRY(err_wrap(judge_writing(world, take_ptr(again), false), "replay cut at %" PRIu64, time));
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

static struct err *judge_phase(const struct cut_world *world, uint64_t time, bool complete)
{
	if (time > world->finished && !complete)
		return err_failed("is incomplete after it was finished");
	if (time < world->finishing && complete)
		return err_failed("is complete before it was finished");
	return NULL;
}

static struct err *judge(const struct cut_world *world, struct power_cut *cut, uint64_t time,
			 struct cut_tally *tally)
{
	CLEANUP_BLK struct blk *left = power_cut_leave(cut, 0);
	struct seen seen;

	if (time <= world->created)
		return judge_unborn(left);
	TRY(judge_reading(world, left, &seen));
	TRY(judge_phase(world, time, seen.complete));
	tally->complete += seen.complete;
	tally->replayed += seen.replayed_entries > 0;
	if (seen.replayed_entries && tally->replayed % 16 == 0)
		TRY(judge_replay_cuts(world, left, seen.complete, tally));
	return judge_writing(world, take_ptr(left), tally->count % 4 == 0);
}

/* One state at the present time. */
static struct err *try_state(const struct cut_world *world, struct power_cut *cut, uint64_t time,
			     struct cut_tally *tally)
{
	CLEANUP_FREE char *text = NULL;
	uint64_t hash;

	power_cut_choose(cut, &hash);
	count_state(tally, hash);
	text = power_cut_describe(cut);
	return err_wrap(judge(world, cut, time, tally), "%s, seed %" PRIu64 ", %s", world->kind->name,
			world->seed, text);
}

struct err *cut_world_try(struct cut_world *world, size_t states, struct cut_tally *tally)
{
	CLEANUP(cleanup_power_cut) struct power_cut *cut = power_cut_create(world->recording, world->seed);
	struct rng rng = {.state = world->seed ^ 0x5bd1e995};

	disk_user_rewind(world->guest);
	for (uint64_t time = 1; time <= world->end; time++) {
		size_t tries = (states + rng_below(&rng, world->end)) / world->end;

		if (!tries)
			continue;
		(void)power_cut_advance(cut, time);
		disk_user_advance(world->guest, time);
		/* Without anything undecided there is one state. */
		if (!power_cut_pending(cut))
			tries = 1;
		for (size_t i = 0; i < tries; i++)
			TRY(try_state(world, cut, time, tally));
	}
	return NULL;
}
