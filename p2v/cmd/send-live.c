/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the sender asks of a running server, answered by capture/: the tracker
 * tells what is written, mountinfo what is to be frozen, the user's commands what
 * else there is to do.
 *
 * What counts as used: what the used map says of a disk when we begin, and
 * whatever was written since.  So a file system that is made meanwhile is there,
 * and nothing that counts is ever dropped.  The content of swap partitions does
 * not count: the kernel goes on writing there while file systems are frozen.
 */
#include "p2v/cmd/send-live.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "capture/freeze.h"
#include "capture/mounted.h"
#include "capture/stack.h"
#include "capture/track.h"
#include "p2v/base/format.h"
#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/cmd/live-fence.h"
#include "p2v/cmd/live-log.h"
#include "p2v/cmd/live-orders.h"

#define NS_PER_SECOND 1000000000ull
#define DOWNTIME_NS (5 * NS_PER_SECOND)
#define MAX_FREEZE_NS (30 * NS_PER_SECOND)
#define HOOK_LIMIT_NS (120 * NS_PER_SECOND)
#define QUIET_LIMIT_NS (5 * NS_PER_SECOND)
#define QUIET_STEP_NS 2000000
#define SWAP_HEADER_BYTES (64u << 10) /* which tells that it is swap, and its UUID */

struct live_disk {
	struct extents used; /* or was written since we began */
	struct extents swap; /* the content of swap partitions */
	struct changes_look look; /* when it was frozen */
};

struct send_live {
	const struct send_live_options *options;
	const struct send_disks *disks;
	struct live_disk *live_disks;
	struct live_source source;
	struct live_options for_sender;
	struct live_log log;
	struct tracker *tracker;
	struct strv swaps; /* devices the content of which is left out */
	struct live_orders *orders;
	struct freeze *freeze; /* NULL but in a cutover */
	struct live_state state; /* the latest */
	unsigned told_pass;
	bool was_prepared; /* the user's command has run, and the other one has not yet */
};

struct err *send_live_parse_fence(const char *name, enum live_fence *ret_fence)
{
	static const char *const names[] = {"frozen", "network", "poweroff", "none"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!strcmp(name, names[i])) {
			*ret_fence = (enum live_fence)i;
			return NULL;
		}
	return err_advise(err_usage("--fence: '%s' is not known", name),
			  "say frozen, network, poweroff or none");
}

/*
 * What has changed, and what counts.
 */

static struct err *take_changes(void *arg, size_t disk, struct extents *ret_changed, bool *ret_is_certain)
{
	struct send_live *live = arg;
	CLEANUP_EXTENTS struct extents written = {0};
	CLEANUP_EXTENTS struct extents discarded = {0};
	CLEANUP_EXTENTS struct extents emptied = {0};
	struct live_disk *live_disk = &live->live_disks[disk];

	*ret_is_certain = tracker_take(live->tracker, disk, &written, &discarded);
	/* What nobody used, and is discarded once more, is no change. */
	extents_intersect(&discarded, &live_disk->used, &emptied);
	extents_unite(&written, &emptied);
	extents_subtract(&written, &live_disk->swap, ret_changed);
	extents_unite(&live_disk->used, ret_changed);
	return NULL;
}

static struct err *find_used(void *arg, size_t disk, struct extents *ret_used)
{
	const struct send_live *live = arg;

	extents_unite(ret_used, &live->live_disks[disk].used);
	return NULL;
}

static void leave_out_swap(struct send_live *live, size_t number)
{
	const struct machine_disk *disk = &live->disks->machine.disks[number];

	for (size_t i = 0; i < disk->partition_count; i++) {
		const struct machine_partition *partition = &disk->partitions[i];
		uint64_t start = partition->start_bytes + SWAP_HEADER_BYTES;
		uint64_t end = partition->start_bytes + partition->size_bytes;

		if (!partition->device || !strv_has(&partition->uses, "swap") || start >= end)
			continue;
		/* Whole cells: what is at the edges counts. */
		start = (start + TRACKER_CELL_BYTES - 1) / TRACKER_CELL_BYTES * TRACKER_CELL_BYTES;
		end = end / TRACKER_CELL_BYTES * TRACKER_CELL_BYTES;
		extents_add(&live->live_disks[number].swap, start, end);
		strv_add(&live->swaps, partition->device);
	}
}

/* A file system that is in use, but not known to be, would be taken for one whose map can be trusted. */
static bool is_used_unknown(const struct send_live *live, size_t number)
{
	const struct machine *machine = &live->disks->machine;
	CLEANUP_FREE char *device = mounted_device_number(live->disks->disks[number].path);
	CLEANUP_EXTENTS struct extents in_use = {0};
	CLEANUP_STRV struct strv disks = {0};
	CLEANUP_STRV struct strv points = {0};

	if (!machine->disk_count)
		return true;
	stack_in_use(machine, &machine->disks[number], &in_use);
	strv_add(&disks, device);
	mounted_on("", &disks, &points);
	return points.count && !in_use.count;
}

static struct err *find_used_at_start(struct send_live *live, size_t number)
{
	const struct send_disk *disk = &live->disks->disks[number];
	struct live_disk *live_disk = &live->live_disks[number];
	CLEANUP_USEDMAP struct usedmap map = {0};
	CLEANUP_EXTENTS struct extents used = {0};
	CLEANUP_BLK struct blk *cached = NULL;
	char text[FORMAT_BYTES];

	TRY(blk_file_open(disk->path, 0, 0, &cached));
	if (live->options->takes_all || is_used_unknown(live, number)) {
		extents_add(&used, 0, cached->size_bytes);
	} else {
		stack_take_used(&live->disks->machine, &live->disks->machine.disks[number], cached, &map);
		extents_unite(&used, &map.used);
	}
	if (live->disks->machine.disk_count)
		leave_out_swap(live, number);
	extents_subtract(&used, &live_disk->swap, &live_disk->used);
	log_info(&live->log.log, "%s: %s are in use", disk->path,
		 format_size(extents_total_bytes(&live_disk->used), text));
	return NULL;
}

/*
 * Orders, and how it stands.
 */

static void describe(const struct live_state *state, char *ret_text, size_t bytes)
{
	char rest[FORMAT_BYTES], changed[FORMAT_BYTES], sent[FORMAT_BYTES];

	if (!state->is_certain)
		snprintf(ret_text, bytes,
			 "pass %u: not all changes are known, everything is compared; cutover now would take "
			 "%.1f s",
			 state->pass, state->downtime_seconds);
	else if (!isfinite(state->downtime_seconds))
		snprintf(ret_text, bytes, "pass %u: %s have changed", state->pass,
			 format_size(state->rest_bytes, rest));
	else
		snprintf(ret_text, bytes, "pass %u: %s left; cutover now would take %.1f s%s", state->pass,
			 format_size(state->rest_bytes, rest), state->downtime_seconds,
			 state->is_converging ? "" : ": the rest does not become less");
	if (state->is_converging || !state->is_certain)
		return;
	bytes -= strlen(ret_text);
	snprintf(ret_text + strlen(ret_text), bytes, " (%s/s are written, %s/s brought over)",
		 format_size(state->changed_bytes_per_second, changed),
		 format_size(state->bytes_per_second, sent));
}

static enum live_order wait_for_order(void *arg, const struct live_state *state, uint64_t limit_ns)
{
	struct send_live *live = arg;
	char text[256];

	describe(state, text, sizeof text);
	if (live->told_pass != state->pass)
		log_info(&live->log.log, "%s", text);
	live->told_pass = state->pass;
	live->state = *state;
	switch (live_orders_wait(live->orders, limit_ns)) {
	case LIVE_WORD_CUTOVER:
		return LIVE_CUT_OVER;
	case LIVE_WORD_END:
		live_orders_answer(live->orders, "done: the sender ends");
		return LIVE_END;
	case LIVE_WORD_STATUS:
		live_orders_answer(live->orders, "state: %s", text);
		return LIVE_GO_ON;
	case LIVE_WORD_NONE:
		break;
	}
	return LIVE_GO_ON;
}

/*
 * The cutover.
 */

static struct err *run_hook(const struct send_live *live, const char *name, const char *command)
{
	const char *const argv[] = {"sh", "-c", command, NULL};
	const struct run_options options = {.time_limit_ns = HOOK_LIMIT_NS, .log = &live->log.log};

	return err_advise(err_wrap(run_argv(argv, &options, NULL), "%s", name),
			  "see that the command works by itself, within %llu s",
			  (unsigned long long)(HOOK_LIMIT_NS / NS_PER_SECOND));
}

static struct err *find_mounted(const struct send_live *live, struct strv *ret_points)
{
	CLEANUP_STRV struct strv disks = {0};

	for (size_t i = 0; i < live->disks->count; i++) {
		CLEANUP_FREE char *number = mounted_device_number(live->disks->disks[i].path);

		if (!number)
			return err_failed("%s: is no device any more", live->disks->disks[i].path);
		strv_add(&disks, number);
	}
	mounted_on("", &disks, ret_points);
	return NULL;
}

static struct err *prepare(void *arg)
{
	struct send_live *live = arg;
	CLEANUP_STRV struct strv points = {0};

	if (live->options->pre_freeze) {
		live->was_prepared = true;
		TRY(run_hook(live, "--pre-freeze", live->options->pre_freeze));
	}
	TRY(find_mounted(live, &points));
	TRY(freeze_create(&points, live->for_sender.freeze_limit_ns, &live->freeze));
	return freeze_flush(live->freeze);
}

/* What was swapped to is left out: it must have been swap all the time. */
static struct err *check_swaps(const struct send_live *live)
{
	for (size_t i = 0; i < live->swaps.count; i++) {
		if (!mounted_is_swap(live->swaps.items[i]))
			return err_advise(err_failed("%s: is no swap any more", live->swaps.items[i]),
					  "run the same command again");
	}
	return NULL;
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
					  "device) with --pre-freeze");
		nanosleep(&step, NULL);
	}
	return NULL;
}

static struct err *freeze(void *arg)
{
	struct send_live *live = arg;
	unsigned unable;

	live_log_hold(&live->log);
	TRY(freeze_hold(live->freeze, &unable));
	TRY(wait_until_quiet(live));
	for (size_t i = 0; i < live->disks->count; i++)
		changes_look(live->disks->disks[i].path, &live->live_disks[i].look);
	return NULL;
}

static struct err *check_frozen(void *arg)
{
	const struct send_live *live = arg;

	return freeze_check(live->freeze);
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

	tracker_check(live->tracker, number, &verdict);
	if (verdict.certainty == TRACKER_CERTAIN)
		return NULL;
	changes_look(path, &now);
	if (tracker_tier(live->tracker) == TRACKER_HASH && !changes_between(&live_disk->look, &now, &bytes))
		return NULL;
	return err_advise(err_failed("%s: what was written before it was frozen is not known for certain: %s",
				     path, verdict.reason ? verdict.reason : "it is in use"),
			  "run the same command again; if it stays so, send the disks from the ISO");
}

static struct err *check(void *arg)
{
	struct send_live *live = arg;

	for (size_t i = 0; i < live->disks->count; i++)
		TRY(check_disk(live, i));
	TRY(check_swaps(live));
	return freeze_check(live->freeze);
}

static void let_go_on(struct send_live *live)
{
	freeze_destroy(take_ptr(live->freeze));
	live_log_release(&live->log);
	if (live->was_prepared && live->options->post_freeze) {
		CLEANUP_ERR struct err *err = run_hook(live, "--post-freeze", live->options->post_freeze);

		if (err)
			log_warning(&live->log.log, "%s", err_message(err));
	}
	live->was_prepared = false;
}

static void thaw(void *arg, const struct err *why)
{
	struct send_live *live = arg;

	let_go_on(live);
	log_warning(&live->log.log, "no cutover, the server goes on: %s", err_message(why));
	live_orders_answer(live->orders, "failed: %s", err_message(why));
}

/*
 * From the beginning to the end.
 */

static struct err *start_tracker(struct send_live *live)
{
	struct tracker_options options = {.log = &live->log.log};
	CLEANUP_FREE const char **devices = xcalloc(live->disks->count, sizeof *devices);

	if (live->options->tracker)
		TRY(tracker_tier_parse(live->options->tracker, &options.tier));
	for (size_t i = 0; i < live->disks->count; i++)
		devices[i] = live->disks->disks[i].path;
	TRY(tracker_start(devices, live->disks->count, &options, &live->tracker));
	log_info(&live->log.log, "%s", tracker_describe(live->tracker));
	return NULL;
}

static struct err *check_devices(const struct send_disks *disks)
{
	for (size_t i = 0; i < disks->count; i++) {
		CLEANUP_FREE char *number = mounted_device_number(disks->disks[i].path);

		if (!number)
			return err_advise(err_refused("%s: is no disk of this machine", disks->disks[i].path),
					  "--live is for disks that are in use; leave it out for images");
	}
	return NULL;
}

/* That it can be done at all is known before anything is read. */
static struct err *tell_mounted(const struct send_live *live)
{
	CLEANUP_STRV struct strv points = {0};
	CLEANUP_FREEZE struct freeze *trial = NULL;

	TRY(find_mounted(live, &points));
	for (size_t i = 0; i < points.count; i++)
		log_info(&live->log.log, "%s: is to be frozen for the cutover", points.items[i]);
	return err_as(freeze_create(&points, live->for_sender.freeze_limit_ns, &trial), ERR_REFUSED);
}

static struct err *begin(struct send_live *live)
{
	TRY(check_devices(live->disks));
	TRY(tell_mounted(live));
	TRY(live_orders_create(LIVE_ORDERS_DIR, live->options->job, &live->orders));
	/* Before the used map: what becomes used later is then a change. */
	TRY(start_tracker(live));
	for (size_t i = 0; i < live->disks->count; i++)
		TRY(find_used_at_start(live, i));
	return NULL;
}

struct err *send_live_open(const struct send_disks *disks, const struct send_live_options *options,
			   struct send_live **ret_live)
{
	CLEANUP_SEND_LIVE struct send_live *live = xcalloc(1, sizeof *live);

	live->options = options;
	live->disks = disks;
	live->live_disks = xcalloc(disks->count, sizeof *live->live_disks);
	live_log_init(&live->log, options->log);
	live->source = (struct live_source){
		.arg = live,
		.take_changes = take_changes,
		.find_used = find_used,
		.wait = wait_for_order,
		.prepare = prepare,
		.freeze = freeze,
		.check_frozen = check_frozen,
		.check = check,
		.thaw = thaw,
	};
	live->for_sender = (struct live_options){
		.source = &live->source,
		.downtime_ns = options->downtime_ns ?: DOWNTIME_NS,
		.freeze_limit_ns = options->max_freeze_ns ?: MAX_FREEZE_NS,
		.cuts_over = options->cuts_over,
	};
	TRY(begin(live));
	*ret_live = take_ptr(live);
	return NULL;
}

const struct live_options *send_live_for_sender(const struct send_live *live)
{
	return &live->for_sender;
}

const struct log *send_live_log(const struct send_live *live)
{
	return &live->log.log;
}

struct err *send_live_may_commit(void *arg)
{
	return check(arg);
}

void send_live_fail(struct send_live *live, const struct err *why)
{
	if (live->freeze)
		thaw(live, why);
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

struct err *send_live_finish(struct send_live *live)
{
	struct err *err;

	if (live->options->fence == LIVE_FENCE_NONE) {
		live_orders_answer(live->orders, "done: the copy is complete, and the server goes on");
		let_go_on(live);
		return NULL;
	}
	err = err_wrap(freeze_keep(live->freeze), "the copy is complete, but the server goes on");
	if (err) {
		thaw(live, err);
		return err_advise(
			err_as(err, ERR_REFUSED),
			"what it writes from now on is not in the copy: run the same command again");
	}
	err = fence(live);
	live_orders_answer(live->orders, "done: the copy is complete, and the server stays frozen");
	return err_as(err_wrap(err, "the copy is complete, and the server stays frozen"), ERR_REFUSED);
}

void send_live_close(struct send_live *live)
{
	if (!live)
		return;
	freeze_destroy(live->freeze);
	tracker_stop(live->tracker);
	live_orders_destroy(live->orders);
	for (size_t i = 0; i < live->disks->count; i++) {
		extents_deinit(&live->live_disks[i].used);
		extents_deinit(&live->live_disks[i].swap);
	}
	free(live->live_disks);
	strv_deinit(&live->swaps);
	live_log_deinit(&live->log);
	free(live);
}
