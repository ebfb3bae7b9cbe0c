// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A disk that is full from any write, zero or flush on: making a file, using it,
 * finishing it, replaying its log, merging it into its parent, repairing and
 * converting.  Each time there is one error, which says so, and what the file was
 * before, or was acknowledged since, is still in it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "tests/base/lib-disk-user.h"
#include "tests/base/lib-must.h"
#include "tests/vhdx/lib-damage.h"
#include "vhdx/convert.h"
#include "vhdx/repair.h"

/* Enough for all runs here to come to their end undisturbed in the last try. */
#define MAX_NTH 2000u

static const enum blk_op ops[] = {BLK_OP_WRITE, BLK_OP_ZERO, BLK_OP_FLUSH};

/* Every request at first, then fewer: what follows is more of the same. */
static unsigned next_nth(unsigned nth)
{
	return nth + 1 + nth / 8;
}

/* The device, which stays open, with a full disk from a request on. */
static struct blk *full_from(struct blk *file, enum blk_op op, unsigned nth)
{
	const struct blk_fault fault = {.op = op, .end = UINT64_MAX, .nth = nth, .errnum = ENOSPC};
	struct blk *faulty;

	must(blk_fault_create(lent(file), &fault, 1, &faulty));
	return faulty;
}

/* One error that names the cause and the file; frees it.  True if there was one. */
static bool is_full(struct err *err)
{
	if (!err)
		return false;
	assert_int_equal(err_kind(err), ERR_FAILED);
	assert_int_equal(err_errno(err), ENOSPC);
	assert_non_null(strstr(err_message(err), "memory: "));
	assert_non_null(strstr(err_message(err), strerror(ENOSPC)));
	err_free(err);
	return true;
}

static const struct kind {
	const char *name;
	struct vhdx_create_options options;
	bool is_child;
	bool is_old; /* finished and in use before, else the full disk meets its making too */
} kinds[] = {
	{"new", {.size_bytes = 5 * MIB + 512, .block_bytes = 1 << 20}, false, false},
	{"finished", {.size_bytes = 5 * MIB + 512, .block_bytes = 1 << 20}, false, true},
	{"fixed", {.size_bytes = 4 * MIB, .block_bytes = 1 << 20, .flags = VHDX_FIXED}, false, false},
	{"new child", {.size_bytes = 4 * MIB, .block_bytes = 2 << 20}, true, false},
	{"child", {.size_bytes = 5 * MIB, .block_bytes = 1 << 20, .logical_sector_bytes = 4096}, true, true},
};

struct world {
	const struct kind *kind;
	struct recording *recording; /* for the time alone */
	struct disk_user *user;
	struct blk *parent, *file; /* in memory: what is on the disk */
};

static struct err *use(struct world *w, struct blk *disk, uint64_t seed)
{
	return disk_user_use(w->user, disk, &(struct disk_user_run){40, 6, 0, 1, seed});
}

/* Makes it, or opens it if it is there. */
static struct err *get(struct world *w, struct blk *file, bool is_there, struct blk **ret_vhdx)
{
	struct vhdx_create_options options = w->kind->options;
	struct blk *parent = w->parent ? vhdx_opened(borrowed(w->parent), 0) : NULL;
	struct err *err;

	if (!is_there) {
		options.parent = parent;
		options.size_bytes = parent ? 0 : options.size_bytes;
		options.logical_sector_bytes = parent ? 0 : options.logical_sector_bytes;
		err = vhdx_create_on(file, &options, NULL, ret_vhdx);
	} else {
		err = parent ? vhdx_open_over(file, parent, VHDX_OPEN_WRITE, NULL, ret_vhdx)
			     : vhdx_open_on(file, VHDX_OPEN_WRITE, NULL, ret_vhdx);
	}
	if (err)
		must(blk_close(parent));
	return err;
}

static void finish_and_close(struct world *w, struct blk *vhdx, uint64_t seed)
{
	must(use(w, vhdx, seed));
	must(vhdx_finish(vhdx));
	must(blk_close(vhdx));
	disk_user_all_is_durable(w->user);
}

static struct world world_make(const struct kind *kind)
{
	const struct disk_user_layout layout = {kind->options.size_bytes, MIB, MIB};
	struct world w = {.kind = kind, .recording = recording_create()};
	struct blk *vhdx;

	w.user = disk_user_create(&layout, w.recording);
	if (kind->is_child) {
		must(blk_mem_create(0, &w.parent));
		must(vhdx_create_on(lent(w.parent), &kind->options, NULL, &vhdx));
		finish_and_close(&w, vhdx, 1);
	}
	must(blk_mem_create(0, &w.file));
	if (kind->is_old) {
		must(get(&w, lent(w.file), false, &vhdx));
		finish_and_close(&w, vhdx, 2);
	}
	return w;
}

static void world_end(struct world *w)
{
	disk_user_destroy(w->user);
	recording_destroy(w->recording);
	must(blk_close(w->file));
	must(blk_close(w->parent));
}

/* Lives on the disk that gets full; the first error.  ret_is_made: there was a file to use. */
static struct err *live(struct world *w, struct blk *file, bool *ret_is_made)
{
	struct blk *vhdx;
	struct err *err = get(w, file, w->kind->is_old, &vhdx);

	*ret_is_made = !err;
	if (err) {
		err_free(blk_close(file));
		return err;
	}
	err = use(w, vhdx, 3);
	if (!err)
		err = vhdx_finish(vhdx);
	/* Closing tries to write out the rest: that may fail once more. */
	err_free(blk_close(vhdx));
	return err;
}

static void judge(struct world *w, const char *what)
{
	CLEANUP_BLK struct blk *left = copy_of(w->file);
	struct blk *parent = w->parent ? vhdx_opened(borrowed(w->parent), 0) : NULL, *vhdx;
	struct err *err;

	disk_user_rewind(w->user);
	disk_user_advance(w->user, recording_tick(w->recording));
	if (w->kind->is_old)
		assert_no_errors_in(left);
	must(parent ? vhdx_open_over(lent(left), parent, VHDX_OPEN_WRITE | VHDX_OPEN_INCOMPLETE, NULL, &vhdx)
		    : vhdx_open_on(lent(left), VHDX_OPEN_WRITE | VHDX_OPEN_INCOMPLETE, NULL, &vhdx));
	err = disk_user_judge(w->user, vhdx);
	if (!err)
		err = disk_user_judge_new_blocks(w->user, vhdx);
	if (err)
		fail_msg("%s, %s: %s", w->kind->name, what, err_message(err));
	must(vhdx_finish(vhdx));
	must(blk_close(vhdx));
	assert_clean(left);
}

static bool live_and_judge(const struct kind *kind, enum blk_op op, unsigned nth)
{
	struct world w = world_make(kind);
	CLEANUP_FREE char *what = xasprintf("operation %d from number %u on", op, nth);
	bool is_made, failed = is_full(live(&w, full_from(w.file, op, nth), &is_made));

	if (is_made)
		judge(&w, what);
	world_end(&w);
	return failed;
}

static void test_using(void **state)
{
	(void)state;
	for (size_t k = 0; k < COUNT_OF(kinds); k++) {
		for (size_t o = 0; o < COUNT_OF(ops); o++) {
			unsigned nth = 1, failures = 0;

			for (; live_and_judge(&kinds[k], ops[o], nth) && nth < MAX_NTH; nth = next_nth(nth))
				failures++;
			if (!failures || nth >= MAX_NTH)
				fail_msg("%s, operation %d: %u failures", kinds[k].name, ops[o], failures);
		}
	}
}

/* Opening for writing replays the log; where that fails, the next opening does it. */
static void test_replay(void **state)
{
	CLEANUP_BLK struct blk *dirty = damage_dirty_sample();
	CLEANUP_BLK struct blk *reference = vhdx_opened(borrowed(dirty), 0);
	unsigned failures = 0;

	(void)state;
	for (size_t o = 0; o < COUNT_OF(ops); o++) {
		for (unsigned nth = 1; nth < 8; nth++) {
			CLEANUP_BLK struct blk *file = copy_of(dirty);
			struct blk *faulty = full_from(file, ops[o], nth), *vhdx = NULL;
			bool failed = is_full(vhdx_open_on(faulty, VHDX_OPEN_WRITE, NULL, &vhdx));

			failures += failed;
			must(blk_close(failed ? faulty : vhdx));
			assert_no_errors_in(file);
			vhdx = vhdx_opened(lent(file), VHDX_OPEN_WRITE);
			assert_same_range(vhdx, reference, DAMAGE_DISK_BYTES, 0);
			must(blk_close(vhdx));
			assert_clean(file);
		}
	}
	assert_true(failures >= 6);
}

/* Either file of the pair is on the full disk; the child reads the same at every moment, and merges later. */
static struct err *merge_pair(struct blk *parent_file, struct blk *child_file)
{
	struct blk *parent = vhdx_opened(parent_file, VHDX_OPEN_WRITE), *child;
	struct err *err;

	must(vhdx_open_over(child_file, parent, VHDX_OPEN_WRITE | VHDX_OPEN_MERGE, NULL, &child));
	err = vhdx_merge(child, &(struct vhdx_merge_options){.threads = 1});
	err_free(blk_close(child));
	return err;
}

static bool merge_and_judge(enum blk_op op, unsigned nth, bool child_is_full)
{
	struct world w = world_make(&kinds[4]);
	struct blk *parent = child_is_full ? lent(w.parent) : full_from(w.parent, op, nth);
	struct blk *child = child_is_full ? full_from(w.file, op, nth) : lent(w.file);
	bool failed = is_full(merge_pair(parent, child));

	assert_no_errors_in(w.parent);
	assert_no_errors_in(w.file);
	judge(&w, "a merge");
	must(merge_pair(lent(w.parent), lent(w.file)));
	assert_clean(w.parent);
	judge(&w, "the merge after it");
	world_end(&w);
	return failed;
}

static void test_merge(void **state)
{
	(void)state;
	for (size_t o = 0; o < COUNT_OF(ops); o++) {
		for (unsigned child_is_full = 0; child_is_full < 2; child_is_full++) {
			unsigned nth = 1, failures = 0;

			for (; merge_and_judge(ops[o], nth, child_is_full) && nth < MAX_NTH;
			     nth = next_nth(nth))
				failures++;
			assert_true(nth < MAX_NTH);
			/* Nothing of the child is zeroed. */
			assert_true(failures || (ops[o] == BLK_OP_ZERO && child_is_full));
		}
	}
}

/* Half a repair is undone by its backup, or done again. */
static void test_repair(void **state)
{
	unsigned failures = 0;

	(void)state;
	for (size_t i = 0; i < damage_case_count; i++) {
		CLEANUP_BLK struct blk *file = damage_sample();
		CLEANUP_BLK struct blk *before = NULL;
		CLEANUP_BLK struct blk *backup = NULL;
		CLEANUP_VHDX_REPAIR struct vhdx_repair *plan = NULL;
		struct err *err;

		damage_field(file, &damage_cases[i].field);
		before = copy_of(file);
		err = vhdx_repair_plan(before, 0, &plan);
		err_free(err);
		if (err || !vhdx_repair_summarize(plan).needed)
			continue;
		must(blk_mem_create(0, &backup));
		must(vhdx_repair_back_up(plan, backup));
		for (unsigned nth = 1; nth < 4; nth++) {
			CLEANUP_BLK struct blk *faulty = full_from(file, ops[i % COUNT_OF(ops)], nth);

			if (!is_full(vhdx_repair_apply(plan, faulty)))
				break;
			failures++;
			must(vhdx_repair_undo(file, backup));
			assert_int_equal(file->size_bytes, before->size_bytes);
			assert_same_range(file, before, before->size_bytes, 0);
		}
		if (file->size_bytes == before->size_bytes)
			must(vhdx_repair_apply(plan, file));
		assert_clean(file);
	}
	assert_true(failures > damage_case_count / 2);
}

/* What is not whole is marked as incomplete: nobody takes it for the disk. */
static void assert_finished_or_says_so(struct blk *file, struct blk *source)
{
	CLEANUP_BLK struct blk *vhdx = NULL;
	struct blk *lent_file = borrowed(file);
	struct err *err = vhdx_open_on(lent_file, 0, NULL, &vhdx);

	if (!err) {
		assert_same_range(vhdx, source, source->size_bytes, 0);
		return;
	}
	assert_non_null(strstr(err_message(err), "incomplete"));
	err_free(err);
	must(blk_close(lent_file));
}

static bool convert_and_judge(struct blk *source, unsigned flags, enum blk_op op, unsigned nth)
{
	const struct vhdx_create_options options = {
		.size_bytes = source->size_bytes, .block_bytes = 1 << 20, .flags = flags};
	CLEANUP_BLK struct blk *file = NULL;
	struct blk *faulty, *vhdx;
	struct err *err;

	must(blk_mem_create(0, &file));
	faulty = full_from(file, op, nth);
	err = vhdx_create_on(faulty, &options, NULL, &vhdx);
	if (err) {
		must(blk_close(faulty));
		return is_full(err);
	}
	err = image_convert(source, vhdx, &(struct image_convert_options){.threads = 2});
	if (!err)
		err = vhdx_finish(vhdx);
	assert_finished_or_says_so(file, source);
	if (!err)
		assert_clean(file);
	err_free(blk_close(vhdx));
	return is_full(err);
}

static void test_convert(void **state)
{
	CLEANUP_BLK struct blk *source = vhdx_opened(damage_sample(), 0);

	(void)state;
	for (unsigned flags = 0; flags <= VHDX_FIXED; flags += VHDX_FIXED) {
		for (size_t o = 0; o < COUNT_OF(ops); o++) {
			unsigned nth = 1;

			while (convert_and_judge(source, flags, ops[o], nth) && nth < MAX_NTH)
				nth++;
			assert_true(nth < MAX_NTH);
			assert_true(nth > 2 || ops[o] == BLK_OP_ZERO);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_using),  cmocka_unit_test(test_replay),  cmocka_unit_test(test_merge),
		cmocka_unit_test(test_repair), cmocka_unit_test(test_convert),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
