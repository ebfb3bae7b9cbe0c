/* SPDX-License-Identifier: GPL-3.0-or-later OR GPL-2.0-only */
/*
 * The same marks as track.bpf.c sets, from classic trace points, for kernels that
 * tell nothing of their structures (BTF): these have records, of which each
 * kernel says where the fields are.
 *
 * Two things are different.  Programs of this kind share a guard with many others:
 * while one of those runs on a processor, or a system call on a map, ours is
 * skipped, and before 6.7 the kernel does not count that.  So each event has a second
 * program, of the raw kind, which nothing skips; it only counts.  What is shown more
 * often than the marking program was run was skipped.
 *
 * And a record has one range.  A request that discards many is told of range by
 * range when it is queued, and then no more: so only that is marked of discards.
 * Of commands that came past the block layer nothing tells which way the data went,
 * and older kernels name no disk: each might have changed any.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "capture/track-mark.bpf.h"

char track_license[] SEC("license") = "GPL";

#define NO_SECTOR (~0ull)

const volatile struct track_fields fields[TRACK_EVENTS] = {};

/* [processor], as `counts`. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct track_calls);
} calls SEC(".maps");

struct record {
	__u64 sector;
	__u32 device, sectors;
	char rwbs[3]; /* its beginning */
};

static __always_inline struct track_calls *calls_here(void)
{
	__u32 index = setup.counts_stride ? bpf_get_smp_processor_id() : 0;

	return bpf_map_lookup_elem(&calls, &index);
}

static __always_inline int note_shown(int event)
{
	struct track_calls *here = calls_here();

	if (here)
		__sync_fetch_and_add(&here->shown[event], 1);
	return 0;
}

/* Reads by a helper: the address of a record's field may not be computed otherwise. */
static __always_inline void read_record(void *ctx, int event, struct record *ret_record)
{
	struct track_calls *here = calls_here();

	if (here)
		__sync_fetch_and_add(&here->run[event], 1);
	bpf_probe_read_kernel(&ret_record->device, sizeof ret_record->device, ctx + fields[event].dev);
	bpf_probe_read_kernel(&ret_record->sector, sizeof ret_record->sector, ctx + fields[event].sector);
	bpf_probe_read_kernel(&ret_record->sectors, sizeof ret_record->sectors,
			      ctx + fields[event].nr_sector);
	bpf_probe_read_kernel(&ret_record->rwbs, sizeof ret_record->rwbs, ctx + fields[event].rwbs);
}

/* The letter behind that for "flush before", if there is one. */
static __always_inline char letter_of(const struct record *record)
{
	return record->rwbs[0] == 'F' ? record->rwbs[1] : record->rwbs[0];
}

/* What is no read and no discard counts as written; also "DE", which the kernel counts so. */
static __always_inline __u32 op_of(const struct record *record)
{
	char next = record->rwbs[0] == 'F' ? record->rwbs[2] : record->rwbs[1];

	if (letter_of(record) == 'R')
		return OP_READ;
	return letter_of(record) == 'D' && next != 'E' ? OP_DISCARD : OP_WRITE;
}

/* 'N' is whatever has no letter: with a place on the disk it writes zeroes there. */
static __always_inline int is_command(const struct record *record)
{
	return letter_of(record) == 'N' && (!record->sectors || record->sector == NO_SECTOR);
}

static __always_inline int command(const struct record *record)
{
	struct track_disk_map *disk = bpf_map_lookup_elem(&disks, &record->device);
	struct track_calls *here = calls_here();

	if (!record->device && here)
		__sync_fetch_and_add(&here->nameless_commands, 1);
	return note_command(disk);
}

SEC("raw_tp/block_bio_queue")
int show_queue(void *ctx)
{
	(void)ctx;
	return note_shown(TRACK_QUEUE);
}

SEC("raw_tp/block_rq_issue")
int show_issue(void *ctx)
{
	(void)ctx;
	return note_shown(TRACK_ISSUE);
}

SEC("raw_tp/block_rq_complete")
int show_complete(void *ctx)
{
	(void)ctx;
	return note_shown(TRACK_COMPLETE);
}

/* A discard's record has its range when it is queued alone. */
static __always_inline int request(const struct record *record, int event)
{
	__u32 op = op_of(record);
	struct track_disk_map *disk;

	if (op == OP_READ || !record->sectors)
		return 0;
	disk = bpf_map_lookup_elem(&disks, &record->device);
	if (!disk)
		return 0;
	if (op == OP_WRITE || event == TRACK_QUEUE)
		mark_sectors(disk, op, record->sector, record->sectors);
	count(disk, op, record->sectors, event);
	return 0;
}

/* May name a partition, of which the tracker has told, too; the sector is the disk's. */
SEC("tracepoint/block/block_bio_queue")
int track_queue(void *ctx)
{
	struct record record = {0};

	read_record(ctx, TRACK_QUEUE, &record);
	return request(&record, TRACK_QUEUE);
}

SEC("tracepoint/block/block_rq_issue")
int track_issue(void *ctx)
{
	struct record record = {0};

	read_record(ctx, TRACK_ISSUE, &record);
	if (is_command(&record))
		return command(&record);
	/* Having seen a discard here proves nothing. */
	return op_of(&record) == OP_WRITE ? request(&record, TRACK_ISSUE) : 0;
}

SEC("tracepoint/block/block_rq_complete")
int track_complete(void *ctx)
{
	struct record record = {0};

	read_record(ctx, TRACK_COMPLETE, &record);
	return is_command(&record) ? command(&record) : request(&record, TRACK_COMPLETE);
}
