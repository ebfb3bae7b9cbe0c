/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the sender asks of a running server, answered by capture/: the tracker
 * tells what is written, mountinfo what is to be frozen, the user's commands what
 * else there is to do.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "capture/mounted.h"
#include "p2v/base/format.h"
#include "p2v/base/mem.h"
#include "p2v/cmd/send-live-impl.h"

#define NS_PER_SECOND 1000000000ull
#define DOWNTIME_NS (5 * NS_PER_SECOND)
#define MAX_FREEZE_NS (30 * NS_PER_SECOND)
#define MAX_SHUTDOWN_NS (600 * NS_PER_SECOND)

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

struct err *send_live_parse_mode(const char *name, enum live_mode *ret_mode)
{
	if (strcmp(name, "freeze") && strcmp(name, "shutdown"))
		return err_advise(err_usage("--mode: '%s' is not known", name), "say freeze or shutdown");
	*ret_mode = strcmp(name, "freeze") ? LIVE_MODE_SHUTDOWN : LIVE_MODE_FREEZE;
	return NULL;
}

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

static unsigned hold_back(void *arg)
{
	const struct send_live *live = arg;

	return live_neighbour_level(live->neighbour);
}

static struct err *start_tracker(struct send_live *live)
{
	struct tracker_options options = {.log = &live->log.log};
	CLEANUP_FREE const char **devices = xcalloc(live->disks->count, sizeof *devices);

	if (live->options->tracker)
		TRY(tracker_options_parse(live->options->tracker, &options));
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

static struct err *begin(struct send_live *live)
{
	TRY(check_devices(live->disks));
	if (live->options->mode == LIVE_MODE_SHUTDOWN)
		TRY(live_shutdown_check());
	TRY(send_live_tell_mounted(live));
	TRY(live_quiesce_create(&live->options->quiesce, &live->log.log, &live->quiesce));
	TRY(live_orders_create(LIVE_ORDERS_DIR, live->options->job, &live->orders));
	/* Before the used map: what becomes used later is then a change. */
	TRY(start_tracker(live));
	TRY(send_live_find_used(live));
	return live_neighbour_create(live->disks, &live->log.log, &live->neighbour);
}

/* Of a server that goes on as well nothing is decided. */
static struct live_source make_source(struct send_live *live)
{
	bool goes_on = live->options->fence == LIVE_FENCE_NONE;
	bool shuts_down = live->options->mode == LIVE_MODE_SHUTDOWN;

	return (struct live_source){
		.arg = live,
		.take_changes = send_live_take_changes,
		.find_used = send_live_tell_used,
		.find_own = send_live_find_own,
		.wait = wait_for_order,
		.hold_back = hold_back,
		.prepare = send_live_prepare,
		.freeze = shuts_down ? send_live_shut_down : send_live_freeze,
		.check_frozen = send_live_check_frozen,
		.check = send_live_check,
		.thaw = send_live_thaw,
		.is_over = send_live_is_over,
		.keep = goes_on ? NULL : send_live_keep,
		.check_kept = send_live_check_kept,
	};
}

struct err *send_live_open(const struct send_disks *disks, const struct send_live_options *options,
			   struct send_live **ret_live)
{
	CLEANUP_SEND_LIVE struct send_live *live = xcalloc(1, sizeof *live);
	uint64_t limit_ns = options->mode == LIVE_MODE_SHUTDOWN ? MAX_SHUTDOWN_NS : MAX_FREEZE_NS;

	live->options = options;
	live->disks = disks;
	live->live_disks = xcalloc(disks->count, sizeof *live->live_disks);
	live_log_init(&live->log, options->log);
	live->source = make_source(live);
	live->for_sender = (struct live_options){
		.source = &live->source,
		.downtime_ns = options->downtime_ns ?: DOWNTIME_NS,
		.freeze_limit_ns = options->max_freeze_ns ?: limit_ns,
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
	return send_live_check(arg);
}

void send_live_close(struct send_live *live)
{
	if (!live)
		return;
	freeze_destroy(live->freeze);
	arrays_deinit(&live->arrays);
	live_shutdown_destroy(live->shutdown);
	live_quiesce_destroy(live->quiesce);
	tracker_stop(live->tracker);
	live_orders_destroy(live->orders);
	live_neighbour_destroy(live->neighbour);
	for (size_t i = 0; i < live->disks->count; i++) {
		extents_deinit(&live->live_disks[i].used);
		extents_deinit(&live->live_disks[i].late);
	}
	free(live->live_disks);
	swapped_deinit(&live->swapped);
	strv_deinit(&live->points);
	live_log_deinit(&live->log);
	free(live);
}
