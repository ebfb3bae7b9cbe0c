/* SPDX-License-Identifier: GPL-3.0-or-later OR GPL-2.0-only */
/*
 * What the programs in the kernel have in common, however they learn of a
 * request: the maps, marking and counting.
 *
 * Where maps can be mapped the marks are in `cells`.  Else the tracker copies them,
 * by system calls, and then there are two `generations` of them, of which one is in
 * use: it exchanges them, and the kernel returns from that when no program is left
 * that found the other one.  So a program looks once for all that it marks, and for
 * the mark by which the tracker finds these; nothing changes what the tracker reads.
 */
#ifndef CAPTURE_TRACK_MARK_BPF_H
#define CAPTURE_TRACK_MARK_BPF_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "capture/track-shared.h"

/* enum req_op: the lowest bit is the direction. */
#define OP_READ 0u
#define OP_WRITE 1u
#define OP_DISCARD 3u
#define OP_WRITES 1u

/* Of fine cells up to a whole coarse one, and of coarse ones of one request. */
#define MAX_RUN (2 * TRACK_COARSE)

/* By the kernel's device number; the tracker fills it in. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct track_disk_map);
} disks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, TRACK_ELEMENT_BYTES);
} cells SEC(".maps");

struct generation {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, TRACK_ELEMENT_BYTES);
};

/* The one in use. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__array(values, struct generation);
} generations SEC(".maps");

/* [processor * stride + disk]; a map that has values of each processor where it is not mapped. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct track_counts);
} counts SEC(".maps");

/* Known before the program is checked, so that what does not apply is cut off. */
const volatile struct track_setup setup = {0};

static __always_inline struct track_counts *counts_of(struct track_disk_map *disk)
{
	__u32 index = bpf_get_smp_processor_id() * setup.counts_stride + disk->index;

	return bpf_map_lookup_elem(&counts, &index);
}

/* generation: NULL where the map is mapped. */
static __always_inline void mark(void *generation, __u64 at)
{
	__u32 element = at / TRACK_ELEMENT_BYTES;
	__u8 *bytes = generation ? bpf_map_lookup_elem(generation, &element)
				 : bpf_map_lookup_elem(&cells, &element);

	if (bytes)
		bytes[at % TRACK_ELEMENT_BYTES] = 1;
}

/* Not static: the kernel checks such a function once, and not again for each call, turn by turn of its loop.
 */
__noinline int mark_run(__u64 at, __u64 count)
{
	void *generation = NULL;
	__u32 i, current = 0;

	if (setup.are_copied)
		generation = bpf_map_lookup_elem(&generations, &current);
	for (i = 0; i < MAX_RUN && i < count; i++)
		mark(generation, at + i);
	/* A run is in two elements at most. */
	if (generation && i) {
		mark(generation, setup.touched_at + at / TRACK_ELEMENT_BYTES);
		mark(generation, setup.touched_at + (at + i - 1) / TRACK_ELEMENT_BYTES);
	}
	return 0;
}

/* Marks cells [cell, end); false if there are more than one request can have. */
__noinline int mark_cells(__u64 fine_at, __u64 coarse_at, __u64 cell, __u64 end)
{
	__u64 first = (cell + TRACK_COARSE - 1) >> TRACK_COARSE_SHIFT, behind = end >> TRACK_COARSE_SHIFT;

	if (first >= behind) {
		mark_run(fine_at + cell, end - cell);
		return 1;
	}
	if (behind - first > MAX_RUN)
		return 0;
	mark_run(fine_at + cell, (first << TRACK_COARSE_SHIFT) - cell);
	mark_run(coarse_at + first, behind - first);
	mark_run(fine_at + (behind << TRACK_COARSE_SHIFT), end - (behind << TRACK_COARSE_SHIFT));
	return 1;
}

static __always_inline void count(struct track_disk_map *disk, __u32 op, __u64 sectors, int event)
{
	struct track_counts *counters = counts_of(disk);

	if (!counters)
		return;
	if (op == OP_DISCARD)
		__sync_fetch_and_add(&counters->discarded_sectors[event], sectors);
	else if (op & OP_WRITES)
		__sync_fetch_and_add(&counters->written_sectors[event], sectors);
}

/* One that may have changed the disk; NULL: another disk. */
static __always_inline int note_command(struct track_disk_map *disk)
{
	struct track_counts *counters = disk ? counts_of(disk) : NULL;

	if (counters)
		__sync_fetch_and_add(&counters->commands, 1);
	return 0;
}

static __noinline int doubt(struct track_disk_map *disk)
{
	struct track_counts *counters = counts_of(disk);

	if (counters)
		__sync_fetch_and_add(&counters->beyond, 1);
	return 0;
}

static __always_inline void mark_sectors(struct track_disk_map *disk, __u32 op, __u64 sector, __u64 sectors)
{
	struct track_area *area = op == OP_DISCARD ? &disk->discarded : &disk->written;
	__u64 end = sector + sectors;

	if (end > disk->sectors || end < sector) {
		doubt(disk);
		return;
	}
	if (!mark_cells(area->fine_at, area->coarse_at, sector >> area->shift,
			((end - 1) >> area->shift) + 1))
		doubt(disk);
}

#endif
