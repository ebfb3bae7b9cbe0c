// SPDX-License-Identifier: GPL-3.0-or-later
#include "tests/vhdx/lib-cut-life.h"

#include <pthread.h>
#include <stdlib.h>

#include "p2v/base/mem.h"
#include "tests/base/lib-must.h"
#include "tests/base/lib-overlay.h"
#include "tests/vhdx/lib-flush-loser.h"
#include "tests/vhdx/lib-vhdx.h"

struct user {
	pthread_t thread;
	struct disk_user *disk_user;
	struct blk *disk;
	struct disk_user_run run;
	struct err *err;
};

static void *use(void *arg)
{
	struct user *user = arg;

	user->err = disk_user_use(user->disk_user, user->disk, &user->run);
	return NULL;
}

/* The guest, in as many threads as the kind says; each time another stream of requests. */
static void use_disk(struct cut_life *life, struct blk *disk, unsigned turn)
{
	unsigned threads = life->kind->threads;
	CLEANUP_FREE struct user *users = xcalloc(threads, sizeof *users);

	for (unsigned i = 0; i < threads; i++) {
		users[i].disk_user = life->disk_user;
		users[i].disk = disk;
		users[i].run = (struct disk_user_run){life->kind->requests / threads, life->kind->flush_every,
						      i, threads, (life->seed * 4 + turn) * 64 + i};
		if (threads == 1)
			use(&users[i]);
		else if (pthread_create(&users[i].thread, NULL, use, &users[i]))
			abort();
	}
	for (unsigned i = 0; i < threads; i++) {
		if (threads > 1)
			pthread_join(users[i].thread, NULL);
		must(users[i].err);
	}
}

/* Finishes what the guest uses as `disk`; all is durable then. */
static void finish(struct cut_life *life, struct blk *vhdx, struct blk *disk)
{
	must(vhdx_finish(vhdx));
	must(disk == vhdx ? NULL : blk_flush(disk));
	disk_user_all_is_durable(life->disk_user);
}

/* What the file holds in the end of a first life that is not recorded.  parent is taken over. */
static struct blk *unrecorded(struct cut_life *life, struct blk *parent, unsigned turn)
{
	struct vhdx_create_options options = life->kind->options;
	struct blk *file = overlay_create(NULL), *vhdx, *copy;

	options.parent = parent;
	options.size_bytes = parent ? 0 : options.size_bytes;
	must(vhdx_create_on(file, &options, NULL, &vhdx));
	use_disk(life, vhdx, turn);
	finish(life, vhdx, vhdx);
	copy = overlay_copy_of(file);
	must(blk_close(vhdx));
	return copy;
}

static void live_on(struct cut_life *life, struct blk *vhdx, struct blk *disk)
{
	life->created = recording_tick(life->recording);
	use_disk(life, disk, 2);
	life->finishing = recording_tick(life->recording);
	finish(life, vhdx, disk);
	life->finished = recording_tick(life->recording);
	if (life->kind->story == CUT_AGAIN) {
		life->marking = recording_tick(life->recording);
		must(vhdx_mark_incomplete(vhdx));
		life->marked = recording_tick(life->recording);
	}
	use_disk(life, disk, 3);
	life->finishing_again = recording_tick(life->recording);
	finish(life, vhdx, disk);
	life->end = recording_tick(life->recording);
}

/* From the first byte; with a parent, if there is one. */
static void live_from_birth(struct cut_life *life, struct blk *parent_file, const struct planted_fault *fault)
{
	struct vhdx_create_options options = life->kind->options;
	struct blk *recorded = recording_attach(life->recording, overlay_create(NULL)), *file = recorded;
	struct blk *vhdx, *disk;

	if (parent_file) {
		options.size_bytes = 0;
		options.parent = vhdx_opened(recording_attach(life->recording, parent_file), 0);
	}
	if (fault)
		file = flush_loser_create(recorded, fault->start, fault->end);
	life->begin = recording_tick(life->recording);
	must(vhdx_create_on(file, &options, NULL, &vhdx));
	/* A fault is to break the order of writes, not the promises to the guest: those, anybody notices. */
	disk = fault ? flush_keeper_create(vhdx, recorded) : vhdx;
	live_on(life, vhdx, disk);
	must(disk == vhdx ? NULL : blk_close(disk));
	must(blk_close(vhdx));
}

/* A child that is complete all the time. */
static void live_merged(struct cut_life *life, struct blk *parent_file, const struct planted_fault *fault)
{
	struct blk *child_file = unrecorded(life, vhdx_opened(overlay_copy_of(parent_file), 0), 1);
	struct blk *recorded = recording_attach(life->recording, child_file), *parent, *child;

	parent_file = recording_attach(life->recording, parent_file);
	if (fault)
		parent_file = flush_loser_create(parent_file, fault->start, fault->end);
	parent = vhdx_opened(parent_file, VHDX_OPEN_WRITE);
	life->begin = life->created = recording_tick(life->recording);
	must(vhdx_open_over(recorded, parent, VHDX_OPEN_WRITE | VHDX_OPEN_MERGE, NULL, &child));
	use_disk(life, child, 2);
	must(vhdx_merge(child, NULL));
	use_disk(life, child, 3);
	finish(life, child, child);
	life->end = recording_tick(life->recording);
	must(blk_close(child));
}

struct cut_life *cut_life_create(const struct cut_kind *kind, uint64_t seed,
				 const struct planted_fault *fault)
{
	struct cut_life *life = xcalloc(1, sizeof *life);
	struct disk_user_layout layout = {kind->options.size_bytes, kind->window_bytes, kind->stride_bytes};

	life->kind = kind;
	life->seed = seed;
	life->recording = recording_create();
	life->disk_user = disk_user_create(&layout, life->recording);
	if (kind->story == CUT_MERGE)
		live_merged(life, unrecorded(life, NULL, 0), fault);
	else
		live_from_birth(life, kind->story == CUT_CHILD ? unrecorded(life, NULL, 0) : NULL, fault);
	return life;
}

void cut_life_destroy(struct cut_life *life)
{
	disk_user_destroy(life->disk_user);
	recording_destroy(life->recording);
	free(life);
}
