/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The tier of classic trace points, for kernels that tell nothing of their
 * structures: track-points.bpf.c.
 *
 * When a request is queued, newer kernels name the partition, older ones the disk:
 * so the programs know both, and partitions that come or go are a doubt.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "capture/kernelfs.h"
#include "capture/sysroot.h"
#include "capture/track-event.h"
#include "capture/track-kernel.h"
#include "capture/track-points.skel.h"
#include "p2v/base/mem.h"

#define MAX_KERNEL_LOG (256u << 10)
#define MAX_NAMES 256u /* of a disk and its partitions */
#define CALLS_LOOKS 20
#define SAME_LOOKS 3
#define PAUSE_NS 20000

static const char *const events[TRACK_EVENTS] = {
	[TRACK_QUEUE] = "block_bio_queue",
	[TRACK_ISSUE] = "block_rq_issue",
	[TRACK_COMPLETE] = "block_rq_complete",
};

struct points_state {
	struct track_points_bpf *program;
	struct track_kernel kernel;
	struct track_values calls;
	struct strv *partitions; /* of each disk, "259:1" */
	size_t disk_count;
	struct bpf_link *links[TRACK_EVENTS];
};

static struct err *configure(struct tracker *tracker, struct points_state *state, int tracefs)
{
	struct track_points_bpf *program = state->program;

	TRY(track_kernel_configure(&state->kernel, tracker, program->obj, tracker->disk_count * MAX_NAMES,
				   &program->rodata->setup));
	TRY(track_values_configure(&state->calls, &state->kernel, program->maps.calls, 1));
	for (int event = 0; event < TRACK_EVENTS; event++) {
		struct track_fields fields;

		TRY(track_event_find_fields(tracefs, events[event], &fields));
		program->rodata->fields[event] = fields;
	}
	return NULL;
}

static struct err *load(struct tracker *tracker, struct points_state *state, int tracefs)
{
	CLEANUP_FREE char *kernel_log = xcalloc(1, MAX_KERNEL_LOG);
	LIBBPF_OPTS(bpf_object_open_opts, options, .kernel_log_buf = kernel_log,
		    .kernel_log_size = MAX_KERNEL_LOG);

	state->program = track_points_bpf__open_opts(&options);
	if (!state->program)
		return err_from_errno(errno, "opening the kernel program");
	TRY(configure(tracker, state, tracefs));
	TRY(track_kernel_load(state->program->skeleton, kernel_log, tracker->log));
	TRY(track_kernel_open(&state->kernel));
	return track_values_open(&state->calls);
}

static void list_partitions(const struct track_disk *disk, struct strv *ret_numbers)
{
	CLEANUP_FREE char *folder =
		xasprintf("/sys/dev/block/%u:%u", major(disk->number), minor(disk->number));
	CLEANUP_STRV struct strv names = {0};

	sysroot_list("", folder, &names);
	for (size_t i = 0; i < names.count; i++) {
		CLEANUP_FREE char *number = NULL;

		if (!sysroot_has("", "%s/%s/partition", folder, names.items[i]))
			continue;
		number = sysroot_read("", "%s/%s/dev", folder, names.items[i]);
		if (number)
			strv_add(ret_numbers, number);
	}
}

/* False: it is no number. */
static bool parse_number(const char *text, dev_t *ret_number)
{
	unsigned major_number, minor_number;

	if (sscanf(text, "%u:%u", &major_number, &minor_number) != 2)
		return false;
	*ret_number = makedev(major_number, minor_number);
	return true;
}

static struct err *name_partitions(const struct tracker *tracker, struct points_state *state, size_t disk)
{
	struct strv *numbers = &state->partitions[disk];
	dev_t number;

	for (size_t i = 0; i < numbers->count; i++)
		if (parse_number(numbers->items[i], &number))
			TRY(track_kernel_name_disk(&state->kernel, tracker, disk, number));
	return NULL;
}

static struct err *name_disks(const struct tracker *tracker, struct points_state *state)
{
	for (size_t i = 0; i < tracker->disk_count; i++) {
		if (tracker->disks[i].objection)
			continue;
		TRY(track_kernel_name_disk(&state->kernel, tracker, i, tracker->disks[i].number));
		list_partitions(&tracker->disks[i], &state->partitions[i]);
		TRY(name_partitions(tracker, state, i));
	}
	return NULL;
}

/* The raw ones go first, so that none of the others is run unseen. */
static struct err *attach(struct points_state *state, int tracefs)
{
	const struct track_points_bpf *program = state->program;
	const struct bpf_program *programs[TRACK_EVENTS] = {
		[TRACK_QUEUE] = program->progs.track_queue,
		[TRACK_ISSUE] = program->progs.track_issue,
		[TRACK_COMPLETE] = program->progs.track_complete,
	};

	bpf_program__set_autoattach(program->progs.track_queue, false);
	bpf_program__set_autoattach(program->progs.track_issue, false);
	bpf_program__set_autoattach(program->progs.track_complete, false);
	errno = -track_points_bpf__attach(state->program);
	if (errno)
		return err_from_errno(errno, "attaching the kernel programs");
	for (int event = 0; event < TRACK_EVENTS; event++)
		TRY(track_event_attach(tracefs, events[event], programs[event], &state->links[event]));
	return NULL;
}

static void release(struct points_state *state)
{
	for (int event = 0; event < TRACK_EVENTS; event++)
		bpf_link__destroy(state->links[event]);
	for (size_t i = 0; i < state->disk_count; i++)
		strv_deinit(&state->partitions[i]);
	free(state->partitions);
	track_values_close(&state->calls);
	track_kernel_close(&state->kernel);
	track_points_bpf__destroy(state->program);
	free(state);
}
DEFINE_CLEANUP(points_state, struct points_state *, release)

static struct err *points_start(struct tracker *tracker)
{
	CLEANUP(cleanup_points_state) struct points_state *state = xcalloc(1, sizeof *state);
	CLEANUP_FD int tracefs = -1;

	track_kernel_hush();
	state->disk_count = tracker->disk_count;
	state->partitions = xcalloc(tracker->disk_count, sizeof *state->partitions);
	TRY(kernelfs_open_tracefs(&tracefs));
	TRY(load(tracker, state, tracefs));
	TRY(name_disks(tracker, state));
	TRY(attach(state, tracefs));
	tracker->cells = state->kernel.cells;
	tracker->state = take_ptr(state);
	return NULL;
}

static void points_stop(struct tracker *tracker)
{
	release(tracker->state);
}

static void points_drain(struct tracker *tracker)
{
	struct points_state *state = tracker->state;

	track_kernel_drain(&state->kernel);
}

static void points_look(struct tracker *tracker, size_t disk, struct track_counts *ret_seen)
{
	struct points_state *state = tracker->state;
	struct track_calls calls;

	track_kernel_look(&state->kernel, disk, ret_seen);
	track_values_sum(&state->calls, 0, &calls);
	ret_seen->commands += calls.nameless_commands;
}

static void look_skipped(struct points_state *state, uint64_t ret_skipped[TRACK_EVENTS])
{
	struct track_calls calls;

	track_values_sum(&state->calls, 0, &calls);
	for (int event = 0; event < TRACK_EVENTS; event++)
		ret_skipped[event] = calls.shown[event] - calls.run[event];
}

/* An event that is between its two programs is no skipped one: so it is looked at until several looks agree.
 */
static void points_look_misses(struct tracker *tracker, uint64_t ret_misses[TRACK_EVENTS])
{
	uint64_t last[TRACK_EVENTS];
	int same = 0;

	look_skipped(tracker->state, last);
	for (int i = 0; i < CALLS_LOOKS && same < SAME_LOOKS; i++) {
		nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
		look_skipped(tracker->state, ret_misses);
		same = memcmp(last, ret_misses, sizeof last) ? 0 : same + 1;
		memcpy(last, ret_misses, sizeof last);
	}
}

static bool are_equal(const struct strv *a, const struct strv *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->items[i], b->items[i]))
			return false;
	return true;
}

/* In words, if the disk's partitions are not those of the last time. */
static char *follow_partitions(const struct tracker *tracker, struct points_state *state, size_t disk)
{
	CLEANUP_STRV struct strv now = {0};
	struct strv *known = &state->partitions[disk];
	dev_t number;

	list_partitions(&tracker->disks[disk], &now);
	if (are_equal(known, &now))
		return NULL;
	for (size_t i = 0; i < known->count; i++)
		if (parse_number(known->items[i], &number))
			track_kernel_forget_name(&state->kernel, number);
	strv_deinit(known);
	*known = now;
	now = (struct strv){0};
	/* What has no name is not seen when it is queued, and then missing in the ledger. */
	err_free(name_partitions(tracker, state, disk));
	return xstrdup("it got other partitions");
}

static char *points_find_loss(struct tracker *tracker, size_t disk)
{
	struct points_state *state = tracker->state;
	char *loss = track_kernel_find_loss(&state->kernel);

	if (!loss)
		loss = track_values_find_loss(&state->calls);
	return loss ? loss : follow_partitions(tracker, state, disk);
}

const struct track_tier track_tier_points = {
	.tier = TRACKER_POINTS,
	.guarantee =
		"every request is marked in the kernel by what its trace points tell, which is compared with "
		"what the kernel counts; commands that programs send to a disk themselves are all doubted",
	.flags = TRACK_TIER_VAGUE_DISCARDS | TRACK_TIER_SKIPPED_DISCARDS,
	.start = points_start,
	.stop = points_stop,
	.drain = points_drain,
	.look = points_look,
	.look_misses = points_look_misses,
	.find_loss = points_find_loss,
};
