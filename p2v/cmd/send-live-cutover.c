/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The steps of a cutover on a running server (p2v/sync/live.h).
 *
 * Whatever fails up to send_live_keep() lets the server go on, and then services, and
 * what the user's command before the freeze has stopped.  Behind it nothing and nobody of
 * ours lets it go on any more.
 */
#include <string.h>
#include <time.h>

#include "capture/mounted.h"
#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/cmd/live-fence.h"
#include "p2v/cmd/send-live-impl.h"

#define NS_PER_SECOND 1000000000ull
#define HOOK_LIMIT_NS (120 * NS_PER_SECOND)
#define QUIET_LIMIT_NS (5 * NS_PER_SECOND)
#define QUIET_STEP_NS 2000000

static struct err *run_hook(const struct send_live *live, const char *name, const char *command)
{
	const char *const argv[] = {"sh", "-c", command, NULL};
	const struct run_options options = {.time_limit_ns = HOOK_LIMIT_NS, .log = &live->log.log};

	return err_advise(err_wrap(run_argv(argv, &options, NULL), "%s", name),
			  "see that the command works by itself, within %llu s",
			  (unsigned long long)(HOOK_LIMIT_NS / NS_PER_SECOND));
}

struct err *send_live_list_disks(const struct send_live *live, struct strv *ret_numbers)
{
	for (size_t i = 0; i < live->disks->count; i++) {
		CLEANUP_FREE char *number = mounted_device_number(live->disks->disks[i].path);

		if (!number)
			return err_failed("%s: is no device any more", live->disks->disks[i].path);
		strv_add(ret_numbers, number);
	}
	return NULL;
}

/* They may have changed since the last time. */
struct err *send_live_find_mounted(struct send_live *live)
{
	CLEANUP_STRV struct strv disks = {0};

	TRY(send_live_list_disks(live, &disks));
	strv_deinit(&live->points);
	live->points = (struct strv){0};
	mounted_on("", &disks, &live->points);
	return NULL;
}

struct err *send_live_tell_mounted(struct send_live *live)
{
	CLEANUP_FREEZE struct freeze *trial = NULL;
	bool shuts_down = live->options->mode == LIVE_MODE_SHUTDOWN;

	TRY(send_live_find_mounted(live));
	for (size_t i = 0; i < live->points.count; i++)
		log_info(&live->log.log, "%s: is to be %s for the cutover", live->points.items[i],
			 shuts_down ? "unmounted" : "frozen");
	if (shuts_down)
		return NULL;
	return err_as(freeze_create(&live->points, live->for_sender.freeze_limit_ns, &trial), ERR_REFUSED);
}

/* As they are now. */
static struct err *find_arrays(struct send_live *live)
{
	CLEANUP_STRV struct strv disks = {0};

	TRY(send_live_list_disks(live, &disks));
	arrays_deinit(&live->arrays);
	arrays_find("", &disks, &live->arrays);
	return arrays_check("", &live->arrays);
}

struct err *send_live_prepare(void *arg)
{
	struct send_live *live = arg;

	TRY(find_arrays(live));
	TRY(live_quiesce_begin(live->quiesce));
	if (live->options->pre_freeze) {
		live->was_prepared = true;
		TRY(run_hook(live, "--pre-freeze", live->options->pre_freeze));
	}
	TRY(send_live_take_swaps_back(live));
	if (live->options->mode == LIVE_MODE_SHUTDOWN)
		return send_live_prepare_shutdown(live);
	TRY(send_live_find_mounted(live));
	TRY(freeze_create(&live->points, live->for_sender.freeze_limit_ns, &live->freeze));
	return freeze_flush(live->freeze);
}

/* Whatever is not clean by then goes on writing, and is found by that. */
static void wait_until_clean(const struct send_live *live)
{
	const struct timespec step = {.tv_nsec = QUIET_STEP_NS};
	uint64_t end_ns = run_now_ns() + QUIET_LIMIT_NS;

	while (!arrays_are_clean("", &live->arrays) && run_now_ns() < end_ns)
		nanosleep(&step, NULL);
}

static struct err *wait_until_quiet(struct send_live *live)
{
	const struct timespec step = {.tv_nsec = QUIET_STEP_NS};
	uint64_t end_ns = run_now_ns() + QUIET_LIMIT_NS;

	for (size_t i = 0; i < live->disks->count;) {
		if (tracker_is_quiet(live->tracker, i)) {
			i++;
			continue;
		}
		if (run_now_ns() > end_ns)
			return err_advise(err_failed("%s: is written to although all its file systems are "
						     "frozen",
						     live->disks->disks[i].path),
					  "stop what writes to it by itself (swap, a database on a raw "
					  "device, a cache that is written back) with --pre-freeze");
		nanosleep(&step, NULL);
	}
	return NULL;
}

struct err *send_live_hold(struct send_live *live)
{
	unsigned unable;

	TRY(freeze_hold(live->freeze, &unable));
	wait_until_clean(live);
	TRY(wait_until_quiet(live));
	for (size_t i = 0; i < live->disks->count; i++)
		changes_look(live->disks->disks[i].path, &live->live_disks[i].look);
	return NULL;
}

void send_live_find_own(void *arg, size_t disk, struct extents *ret_own)
{
	const struct send_live *live = arg;

	if (disk < live->arrays.disk_count)
		extents_unite(ret_own, &live->arrays.own[disk]);
	extents_unite(ret_own, &live->swapped.touched[disk]);
}

struct err *send_live_freeze(void *arg)
{
	struct send_live *live = arg;

	live_log_hold(&live->log);
	live_neighbour_hurry(live->neighbour, true);
	return send_live_hold(live);
}

struct err *send_live_check_frozen(void *arg)
{
	const struct send_live *live = arg;

	return freeze_check(live->freeze);
}

/* Of a disk that is at rest.  Swapping goes on while all is frozen, but not all the time. */
static struct err *find_verdict(struct send_live *live, size_t number, struct tracker_verdict *ret_verdict)
{
	const struct timespec step = {.tv_nsec = QUIET_STEP_NS};
	uint64_t end_ns = run_now_ns() + QUIET_LIMIT_NS;

	for (;;) {
		tracker_check(live->tracker, number, ret_verdict);
		if (ret_verdict->certainty != TRACKER_SO_FAR || run_now_ns() > end_ns)
			return NULL;
		/* What was in flight may have to be taken first. */
		TRY(send_live_check_late(live, number));
		nanosleep(&step, NULL);
	}
}

/* Where the tracker is certain nothing has happened that it does not know.  Else the kernel's count must have
 * stood still, of swap too. */
static struct err *check_disk(struct send_live *live, size_t number)
{
	const struct live_disk *live_disk = &live->live_disks[number];
	const char *path = live->disks->disks[number].path;
	struct tracker_verdict verdict;
	struct changes_look now;
	uint64_t bytes;

	TRY(find_verdict(live, number, &verdict));
	if (verdict.certainty == TRACKER_CERTAIN)
		return send_live_check_late(live, number);
	changes_look(path, &now);
	if (tracker_tier(live->tracker) == TRACKER_HASH && !changes_between(&live_disk->look, &now, &bytes))
		return NULL;
	return err_advise(err_failed("%s: what was written before it was frozen is not known for certain: %s",
				     path, verdict.reason ? verdict.reason : "it is in use"),
			  "run the same command again; if it stays so, send the disks from the ISO");
}

struct err *send_live_check(void *arg)
{
	struct send_live *live = arg;

	for (size_t i = 0; i < live->disks->count; i++)
		TRY(check_disk(live, i));
	/* Where it was shut down nobody swaps any more. */
	if (!live->is_shutting_down)
		TRY(send_live_check_swaps(live));
	return freeze_check(live->freeze);
}

struct err *send_live_keep(void *arg)
{
	struct send_live *live = arg;

	TRY(send_live_check(live));
	TRY(freeze_keep(live->freeze));
	if (live->shutdown)
		TRY(live_shutdown_decide(live->shutdown));
	live->is_kept = true;
	live_quiesce_keep(live->quiesce);
	return NULL;
}

struct err *send_live_check_kept(void *arg)
{
	const struct send_live *live = arg;

	return freeze_check(live->freeze);
}

static void let_go_on(struct send_live *live)
{
	freeze_destroy(take_ptr(live->freeze));
	live_shutdown_destroy(take_ptr(live->shutdown));
	live_neighbour_hurry(live->neighbour, false);
	live_log_release(&live->log);
	if (live->was_prepared && live->options->post_freeze) {
		CLEANUP_ERR struct err *err = run_hook(live, "--post-freeze", live->options->post_freeze);

		if (err)
			log_warning(&live->log.log, "%s", err_message(err));
	}
	live->was_prepared = false;
	live_quiesce_undo(live->quiesce);
}

void send_live_thaw(void *arg, const struct err *why)
{
	struct send_live *live = arg;

	/* Then it goes on by starting again. */
	if (live->is_shutting_down)
		return;
	let_go_on(live);
	log_warning(&live->log.log, "no cutover, the server goes on: %s", err_message(why));
	live_orders_answer(live->orders, "failed: %s", err_message(why));
}

static struct err *fence(struct send_live *live)
{
	switch (live->options->fence) {
	case LIVE_FENCE_NETWORK:
		return live_fence_network();
	case LIVE_FENCE_POWEROFF:
		return live_fence_power_off();
	case LIVE_FENCE_FROZEN:
	case LIVE_FENCE_NONE:
		break;
	}
	return NULL;
}

/* Root, which is frozen last, is thawed first: what is to be run lies there. */
static char *how_to_thaw(const struct send_live *live)
{
	CLEANUP_TEXT struct text text = {0};

	for (size_t i = live->points.count; i--;)
		text_addf(&text, "%sfsfreeze --unfreeze %s", text.bytes ? "; " : "", live->points.items[i]);
	return text_take(&text);
}

/* The receiver may have completed the copy, or may not. */
static struct err *stay_frozen(struct send_live *live, struct err *cause)
{
	CLEANUP_ERR struct err *freed = cause;
	CLEANUP_FREE char *thaw = how_to_thaw(live);

	live_orders_answer(live->orders, "frozen: %s", err_message(cause));
	return err_advise(err_refused("the server stays frozen: %s", err_message(cause)),
			  "ask 'p2v status' at the receiver: if the job is complete, switch this server off; "
			  "if it is held, switch it off and then 'p2v convert --take-held' there, or let it "
			  "go on here (%s)",
			  thaw);
}

struct err *send_live_end(struct send_live *live, struct err *err)
{
	if (live->is_shutting_down)
		return send_live_end_shutdown(live, err);
	if (err && live->is_kept)
		return stay_frozen(live, err);
	if (err) {
		if (live->freeze)
			send_live_thaw(live, err);
		return err;
	}
	if (!live->is_kept) {
		live_orders_answer(live->orders, "done: the copy is complete, and the server goes on");
		let_go_on(live);
		return NULL;
	}
	err = fence(live);
	live_orders_answer(live->orders, "done: the copy is complete, and the server stays frozen");
	return err_as(err_wrap(err, "the copy is complete, and the server stays frozen"), ERR_REFUSED);
}
