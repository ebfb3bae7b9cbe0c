// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Power cuts in the life of a chain: a parent is made and used, a child is made
 * over it and used, merged into it, and used again.  Whatever a cut leaves of the
 * two files, the child opens over the parent and holds what flushes allow; it can
 * be used and merged, also where a merge was interrupted, and the parent then
 * holds the same.  $P2V_CHAIN_CUTS states are tried (default 600).
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "tests/base/lib-disk-user.h"
#include "tests/base/lib-must.h"
#include "tests/base/lib-overlay.h"
#include "tests/base/lib-power-cut.h"
#include "tests/base/lib-rng.h"
#include "tests/vhdx/lib-vhdx.h"

enum { PARENT, CHILD, FILES };

struct kind {
	const char *name;
	struct vhdx_create_options parent;
	uint32_t child_block_bytes;
	uint64_t window_bytes, stride_bytes;
	unsigned requests, flush_every;
};

static const struct kind kinds[] = {
	{"equal blocks", {.size_bytes = 3 * MIB + 1536, .block_bytes = MIB}, MIB, MIB, MIB, 50, 6},
	{"larger blocks", {.size_bytes = 7 * MIB, .block_bytes = MIB}, 4 * MIB, 65536, MIB, 60, 5},
	{"4 KiB sectors",
	 {.size_bytes = 4 * MIB, .block_bytes = 2 * MIB, .logical_sector_bytes = 4096},
	 MIB,
	 MIB,
	 MIB,
	 40,
	 6},
	/* Three chunks: each has a sector bitmap of its own, and a page of the BAT between. */
	{"many chunks", {.size_bytes = 9 * GIB, .block_bytes = 32 * MIB}, MIB, 16384, 512 * MIB, 80, 8},
};

/* More than an overlay stands. */
static const struct vhdx_merge_options one_thread = {.threads = 1};

struct life {
	const struct kind *kind;
	struct recording *recording;
	struct disk_user *user;
	struct blk *files[FILES];
	uint64_t seed;
	uint64_t born, finished, merging, merged, end; /* times, of the child */
};

static void use(struct life *life, struct blk *disk, uint64_t seed)
{
	struct disk_user_run run = {life->kind->requests, life->kind->flush_every, 0, 1,
				    life->seed * 8 + seed};

	must(disk_user_use(life->user, disk, &run));
}

static struct blk *open_chain(struct blk *parent_file, unsigned parent_flags, struct blk *child_file,
			      unsigned child_flags)
{
	struct blk *parent = vhdx_opened(parent_file, parent_flags), *child = NULL;

	must(vhdx_open_over(child_file, parent, child_flags, NULL, &child));
	return child;
}

static void make_parent(struct life *life)
{
	struct blk *vhdx;

	must(vhdx_create_on(lent(life->files[PARENT]), &life->kind->parent, NULL, &vhdx));
	use(life, vhdx, 0);
	must(vhdx_finish(vhdx));
	must(blk_close(vhdx));
	disk_user_all_is_durable(life->user);
}

static void make_child(struct life *life)
{
	struct vhdx_create_options options = {
		.block_bytes = life->kind->child_block_bytes,
		.parent = vhdx_opened(borrowed(life->files[PARENT]), 0),
	};
	struct blk *child;

	must(vhdx_create_on(lent(life->files[CHILD]), &options, NULL, &child));
	life->born = recording_tick(life->recording);
	use(life, child, 1);
	must(vhdx_finish(child));
	disk_user_all_is_durable(life->user);
	life->finished = recording_tick(life->recording);
	use(life, child, 2);
	must(blk_close(child));
}

static void merge_child(struct life *life)
{
	struct blk *child = open_chain(lent(life->files[PARENT]), VHDX_OPEN_WRITE, lent(life->files[CHILD]),
				       VHDX_OPEN_WRITE);

	life->merging = recording_tick(life->recording);
	must(vhdx_merge(child, &one_thread));
	disk_user_all_is_durable(life->user);
	life->merged = recording_tick(life->recording);
	use(life, child, 3);
	must(blk_close(child));
	life->end = recording_tick(life->recording);
}

static struct life *live(const struct kind *kind, uint64_t seed)
{
	struct disk_user_layout layout = {kind->parent.size_bytes, kind->window_bytes, kind->stride_bytes};
	struct life *life = xcalloc(1, sizeof *life);

	*life = (struct life){.kind = kind, .seed = seed, .recording = recording_create()};
	life->user = disk_user_create(&layout, life->recording);
	for (unsigned i = 0; i < FILES; i++)
		life->files[i] = recording_attach(life->recording, overlay_create(NULL));
	make_parent(life);
	make_child(life);
	merge_child(life);
	for (unsigned i = 0; i < FILES; i++)
		must(blk_close(life->files[i]));
	return life;
}

static void life_end(struct life *life)
{
	disk_user_destroy(life->user);
	recording_destroy(life->recording);
	free(life);
}

static struct err *judge_and_close(const struct life *life, struct blk *disk, const char *what)
{
	CLEANUP_BLK struct blk *owned = disk;

	return err_wrap(disk_user_judge(life->user, owned), "%s", what);
}

/* The power failed at this time, and left these files. */
static struct err *judge(const struct life *life, uint64_t time, struct blk *parent, struct blk *child,
			 bool new_blocks)
{
	unsigned incomplete = time <= life->finished ? VHDX_OPEN_INCOMPLETE : 0;
	struct blk *vhdx;

	TRY(judge_and_close(life, open_chain(borrowed(parent), 0, borrowed(child), incomplete),
			    "as it was left"));
	assert_no_errors_in(parent);
	if (!incomplete)
		assert_no_errors_in(child);
	vhdx = open_chain(borrowed(parent), 0, lent(child), VHDX_OPEN_WRITE | incomplete);
	must(vhdx_finish(vhdx));
	if (new_blocks) {
		struct err *err = disk_user_judge_new_blocks(life->user, vhdx);

		must(blk_close(vhdx));
		return err_wrap(err, "written after the cut");
	}
	TRY(judge_and_close(life, vhdx, "opened for writing"));
	vhdx = open_chain(lent(parent), VHDX_OPEN_WRITE, lent(child), VHDX_OPEN_WRITE);
	must(vhdx_merge(vhdx, &one_thread));
	assert_clean(child);
	assert_clean(parent);
	TRY(judge_and_close(life, vhdx, "the child after merging"));
	return judge_and_close(life, vhdx_opened(borrowed(parent), 0), "the parent after merging");
}

struct tally {
	size_t states, during_merge, after_merge;
};

static struct err *try_state(const struct life *life, struct power_cut *cut, uint64_t time,
			     struct tally *tally)
{
	CLEANUP_BLK struct blk *parent = NULL;
	CLEANUP_BLK struct blk *child = NULL;
	CLEANUP_FREE char *text = NULL;
	uint64_t hash;

	power_cut_choose(cut, &hash);
	text = power_cut_describe(cut);
	parent = power_cut_leave(cut, PARENT);
	child = power_cut_leave(cut, CHILD);
	tally->states++;
	tally->during_merge += time > life->merging && time < life->merged;
	tally->after_merge += time > life->merged;
	return err_wrap(judge(life, time, parent, child, tally->states % 4 == 0), "%s, seed %" PRIu64 ", %s",
			life->kind->name, life->seed, text);
}

static void try_life(const struct life *life, size_t states, struct tally *tally)
{
	struct power_cut *cut = power_cut_create(life->recording, life->seed);
	struct rng rng = {.state = life->seed ^ 0x77};
	uint64_t span = life->end - life->born;

	disk_user_rewind(life->user);
	for (uint64_t time = life->born + 1; time <= life->end; time++) {
		size_t tries = (states + rng_below(&rng, span)) / span;

		if (!tries)
			continue;
		(void)power_cut_advance(cut, time);
		disk_user_advance(life->user, time);
		if (!power_cut_pending(cut))
			tries = 1;
		for (size_t i = 0; i < tries; i++)
			must(try_state(life, cut, time, tally));
	}
	power_cut_destroy(cut);
}

static void test_power_cuts(void **state)
{
	const char *text = getenv("P2V_CHAIN_CUTS");
	size_t wanted = text ? strtoul(text, NULL, 10) : 600;
	struct tally tally = {0};

	(void)state;
	for (uint64_t seed = 1; tally.states < wanted; seed++) {
		for (size_t i = 0; i < COUNT_OF(kinds); i++) {
			struct life *life = live(&kinds[i], seed);

			try_life(life, wanted / COUNT_OF(kinds) < 300 ? wanted / COUNT_OF(kinds) + 1 : 300,
				 &tally);
			life_end(life);
		}
	}
	print_message("%zu states: %zu during a merge, %zu after it\n", tally.states, tally.during_merge,
		      tally.after_merge);
	assert_true(tally.during_merge && tally.after_merge);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_power_cuts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
