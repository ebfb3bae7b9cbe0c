/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The tier whose programs see the kernel's own structures: track.bpf.c.  What a
 * kernel can do is found by doing it (maps that can be mapped, loops, BTF), not by
 * its version; whatever fails makes the next tier take over.
 */
#include <errno.h>
#include <stdlib.h>

#include <bpf/bpf.h>

#include "capture/track-btf.h"
#include "capture/track-kernel.h"
#include "capture/track.skel.h"
#include "p2v/base/mem.h"

#define MAX_KERNEL_LOG (256u << 10)
#define MAX_ARGUMENT 1u /* that the program can be told of */

struct bpf_state {
	struct track_bpf *program;
	struct track_kernel kernel;
};

static struct err *find_argument(const struct track_btf *btf, const char *trace_point,
				 const char *struct_name, __u32 *ret_index)
{
	unsigned index = 0;

	TRY(track_btf_find_argument(btf, trace_point, struct_name, &index));
	if (index > MAX_ARGUMENT)
		return err_refused("the kernel's trace point %s is not as it is known here", trace_point);
	*ret_index = index;
	return NULL;
}

/* What the program has to know before it is loaded. */
static struct err *configure(struct tracker *tracker, struct bpf_state *state)
{
	CLEANUP_TRACK_BTF struct track_btf *btf = NULL;
	struct track_bpf *program = state->program;
	__u32 complete_argument = 0;

	TRY(track_btf_open(&btf));
	TRY(find_argument(btf, "block_bio_queue", "bio", &program->rodata->queue_argument));
	TRY(find_argument(btf, "block_rq_issue", "request", &program->rodata->issue_argument));
	TRY(find_argument(btf, "block_rq_complete", "request", &complete_argument));
	if (complete_argument)
		return err_refused("the kernel's trace point block_rq_complete is not as it is known here");
	TRY(track_kernel_configure(&state->kernel, tracker, program->obj, tracker->disk_count,
				   &program->rodata->setup));
	if (bpf_map__set_max_entries(program->maps.queues, tracker->disk_count))
		return err_failed("the kernel program does not fit these disks");
	return NULL;
}

static struct err *load(struct tracker *tracker, struct bpf_state *state)
{
	CLEANUP_FREE char *kernel_log = xcalloc(1, MAX_KERNEL_LOG);
	LIBBPF_OPTS(bpf_object_open_opts, options, .kernel_log_buf = kernel_log,
		    .kernel_log_size = MAX_KERNEL_LOG);

	state->program = track_bpf__open_opts(&options);
	if (!state->program)
		return err_from_errno(errno, "opening the kernel program");
	TRY(configure(tracker, state));
	return track_kernel_load(state->program->skeleton, kernel_log, tracker->log);
}

static void release(struct bpf_state *state)
{
	track_kernel_close(&state->kernel);
	track_bpf__destroy(state->program);
	free(state);
}
DEFINE_CLEANUP(bpf_state, struct bpf_state *, release)

static struct err *bpf_start(struct tracker *tracker)
{
	CLEANUP(cleanup_bpf_state) struct bpf_state *state = xcalloc(1, sizeof *state);

	track_kernel_hush();
	TRY(load(tracker, state));
	TRY(track_kernel_open(&state->kernel));
	for (size_t i = 0; i < tracker->disk_count; i++)
		if (!tracker->disks[i].objection)
			TRY(track_kernel_name_disk(&state->kernel, tracker, i, tracker->disks[i].number));
	errno = -track_bpf__attach(state->program);
	if (errno)
		return err_from_errno(errno, "attaching the kernel program");
	tracker->cells = state->kernel.cells;
	tracker->state = take_ptr(state);
	return NULL;
}

static void bpf_stop(struct tracker *tracker)
{
	release(tracker->state);
}

static void bpf_drain(struct tracker *tracker)
{
	struct bpf_state *state = tracker->state;

	track_kernel_drain(&state->kernel);
}

static void bpf_look(struct tracker *tracker, size_t disk, struct track_counts *ret_seen)
{
	struct bpf_state *state = tracker->state;

	track_kernel_look(&state->kernel, disk, ret_seen);
}

static char *bpf_find_loss(struct tracker *tracker, size_t disk)
{
	struct bpf_state *state = tracker->state;

	(void)disk;
	return track_kernel_find_loss(&state->kernel);
}

/* 0 where the kernel does not count them: those kernels skip none of these programs. */
static uint64_t program_misses(const struct bpf_program *program)
{
	struct bpf_prog_info info = {0};
	__u32 bytes = sizeof info;

	return bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &bytes) ? 0 : info.recursion_misses;
}

static void bpf_look_misses(struct tracker *tracker, uint64_t ret_misses[TRACK_EVENTS])
{
	const struct bpf_state *state = tracker->state;

	ret_misses[TRACK_QUEUE] = program_misses(state->program->progs.track_queue);
	ret_misses[TRACK_ISSUE] = program_misses(state->program->progs.track_issue);
	ret_misses[TRACK_COMPLETE] = program_misses(state->program->progs.track_complete);
}

const struct track_tier track_tier_bpf = {
	.tier = TRACKER_BPF,
	.guarantee = "every request is marked in the kernel when it begins and when it is done, and compared "
		     "with what the kernel counts",
	.start = bpf_start,
	.stop = bpf_stop,
	.drain = bpf_drain,
	.look = bpf_look,
	.look_misses = bpf_look_misses,
	.find_loss = bpf_find_loss,
};
