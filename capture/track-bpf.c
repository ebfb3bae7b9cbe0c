/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The tier that runs in the kernel: loads track.bpf.c and looks at its maps.
 *
 * Both are read through mappings, never by system calls: while a call on a map
 * runs, older kernels skip programs of certain kinds on that processor.  What a
 * kernel can do is found by doing it (maps that can be mapped, loops, BTF), not
 * by its version; whatever fails makes the next tier take over.
 *
 * Before kernel 5.11 maps count as locked memory; libbpf raises that limit where
 * it has to.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "capture/track-btf.h"
#include "capture/track-impl.h"
#include "capture/track.skel.h"
#include "p2v/base/mem.h"

#define MAX_KERNEL_LOG (256u << 10)
#define MAX_ARGUMENT 1u /* that the program can be told of */
#define MINOR_BITS 20

struct bpf_state {
	struct track_bpf *program;
	struct track_counts *counts; /* [processor * disks + disk] */
	size_t counts_bytes;
	unsigned processors;
};

static int say_nothing(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

static size_t whole_pages(size_t bytes)
{
	size_t page = sysconf(_SC_PAGESIZE);

	return (bytes + page - 1) / page * page;
}

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
static struct err *configure(const struct tracker *tracker, struct bpf_state *state)
{
	CLEANUP_TRACK_BTF struct track_btf *btf = NULL;
	uint64_t elements = (tracker->cells_bytes + TRACK_ELEMENT_BYTES - 1) / TRACK_ELEMENT_BYTES;
	struct track_bpf *program = state->program;
	__u32 complete_argument = 0;

	TRY(track_btf_open(&btf));
	TRY(find_argument(btf, "block_bio_queue", "bio", &program->rodata->queue_argument));
	TRY(find_argument(btf, "block_rq_issue", "request", &program->rodata->issue_argument));
	TRY(find_argument(btf, "block_rq_complete", "request", &complete_argument));
	if (complete_argument)
		return err_refused("the kernel's trace point block_rq_complete is not as it is known here");
	program->rodata->disk_count = tracker->disk_count;
	if (elements > UINT32_MAX / TRACK_ELEMENT_BYTES)
		return err_refused("the disks are too large for one map");
	if (bpf_map__set_max_entries(program->maps.cells, elements ? elements : 1) ||
	    bpf_map__set_max_entries(program->maps.counts, state->processors * tracker->disk_count) ||
	    bpf_map__set_max_entries(program->maps.disks, tracker->disk_count) ||
	    bpf_map__set_max_entries(program->maps.queues, tracker->disk_count))
		return err_failed("the kernel program does not fit these disks");
	return NULL;
}

static struct err *map_memory(const struct bpf_map *map, size_t bytes, void *ret_memory)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	if (memory == MAP_FAILED)
		return err_from_errno(errno, "mapping %s", bpf_map__name(map));
	*(void **)ret_memory = memory;
	return NULL;
}

static struct err *name_disks(const struct tracker *tracker, const struct bpf_state *state)
{
	for (size_t i = 0; i < tracker->disk_count; i++) {
		const struct track_disk *disk = &tracker->disks[i];
		__u32 number = major(disk->number) << MINOR_BITS | minor(disk->number);
		struct track_disk_map value = {
			.sectors = disk->size_bytes >> 9,
			.index = i,
			.written = disk->written,
			.discarded = disk->discarded,
		};

		if (disk->objection)
			continue;
		if (bpf_map__update_elem(state->program->maps.disks, &number, sizeof number, &value,
					 sizeof value, BPF_ANY))
			return err_from_errno(errno, "%s", disk->device);
	}
	return NULL;
}

static char *last_line(char *text)
{
	size_t bytes = strlen(text);
	char *line;

	while (bytes && text[bytes - 1] == '\n')
		text[--bytes] = '\0';
	line = strrchr(text, '\n');
	return line ? line + 1 : text;
}

static struct err *load(const struct tracker *tracker, struct bpf_state *state)
{
	CLEANUP_FREE char *kernel_log = xcalloc(1, MAX_KERNEL_LOG);
	LIBBPF_OPTS(bpf_object_open_opts, options, .kernel_log_buf = kernel_log,
		    .kernel_log_size = MAX_KERNEL_LOG);

	state->program = track_bpf__open_opts(&options);
	if (!state->program)
		return err_from_errno(errno, "opening the kernel program");
	TRY(configure(tracker, state));
	errno = -track_bpf__load(state->program);
	if (!errno)
		return NULL;
	log_debug(tracker->log, "the kernel: %s", kernel_log);
	return err_from_errno(errno, "the kernel does not take the program%s%s", *kernel_log ? ": " : "",
			      last_line(kernel_log));
}

static void release(struct bpf_state *state)
{
	if (state->counts)
		munmap(state->counts, state->counts_bytes);
	track_bpf__destroy(state->program);
	free(state);
}
DEFINE_CLEANUP(bpf_state, struct bpf_state *, release)

static struct err *bpf_start(struct tracker *tracker)
{
	CLEANUP(cleanup_bpf_state) struct bpf_state *state = xcalloc(1, sizeof *state);
	uint8_t *cells = NULL;

	libbpf_set_print(say_nothing);
	state->processors = libbpf_num_possible_cpus();
	TRY(load(tracker, state));
	state->counts_bytes = whole_pages(state->processors * tracker->disk_count * sizeof *state->counts);
	TRY(map_memory(state->program->maps.counts, state->counts_bytes, &state->counts));
	TRY(name_disks(tracker, state));
	errno = -track_bpf__attach(state->program);
	if (errno)
		return err_from_errno(errno, "attaching the kernel program");
	TRY(map_memory(state->program->maps.cells, whole_pages(tracker->cells_bytes), &cells));
	tracker->cells = cells;
	tracker->state = take_ptr(state);
	return NULL;
}

static void bpf_stop(struct tracker *tracker)
{
	munmap(tracker->cells, whole_pages(tracker->cells_bytes));
	release(tracker->state);
}

static void bpf_look(struct tracker *tracker, size_t disk, struct track_counts *ret_seen)
{
	const struct bpf_state *state = tracker->state;
	uint64_t *sums = (uint64_t *)ret_seen;

	*ret_seen = (struct track_counts){0};
	for (unsigned processor = 0; processor < state->processors; processor++) {
		const uint64_t *counts =
			(const uint64_t *)&state->counts[processor * tracker->disk_count + disk];

		for (size_t i = 0; i < sizeof *ret_seen / sizeof *sums; i++)
			sums[i] += __atomic_load_n(&counts[i], __ATOMIC_ACQUIRE);
	}
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
	.look = bpf_look,
	.look_misses = bpf_look_misses,
};
