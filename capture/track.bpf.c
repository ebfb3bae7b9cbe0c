/* SPDX-License-Identifier: GPL-3.0-or-later OR GPL-2.0-only */
/*
 * Runs in the kernel: marks what is written on the disks that are tracked.
 *
 * A request is seen when it is queued, when the driver gets it, and when it is
 * done.  The last alone would do, because what is marked then has reached the
 * disk: who clears, then reads, either reads the new bytes or finds the mark
 * behind them.  The others are there for completions that the kernel does not
 * show: it skips a program that an interrupt finds running, and counts that
 * (track-ledger.c has another cause).  So each event has a program of its own.
 *
 * Invariants:
 * - Whatever has a length and is no read is marked; a mark is a plain store of
 *   one byte.  The mark is set before the request is counted.
 * - Counters are a processor's own, and added to atomically, as interrupts nest.
 * - What cannot be marked is counted in `beyond`, which the tracker takes as doubt.
 *
 * The kernel's structs are declared with the members used here alone: where they
 * lie is filled in when the program is loaded, from what the kernel tells of
 * itself (BTF).  Also by members, never by versions, goes what differs between
 * kernels; which argument holds the request is found by track-btf.c.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include <bpf/bpf_core_read.h>

#include "capture/track-mark.bpf.h"

char track_license[] SEC("license") = "GPL";

#define KERNEL_STRUCT __attribute__((preserve_access_index))

struct gendisk {
	int major;
	int first_minor;
} KERNEL_STRUCT;

struct request_queue {
	struct gendisk *disk; /* not before 5.15 */
} KERNEL_STRUCT;

struct block_device {
	struct gendisk *bd_disk;
} KERNEL_STRUCT;

struct bvec_iter {
	__u64 bi_sector;
	unsigned int bi_size;
} KERNEL_STRUCT;

struct bio {
	struct bio *bi_next;
	struct block_device *bi_bdev; /* not in 4.14 to 5.11 */
	unsigned int bi_opf;
	struct bvec_iter bi_iter;
} KERNEL_STRUCT;

/* What follows three underscores is not part of a name. */
struct bio___disk {
	struct gendisk *bi_disk;
} KERNEL_STRUCT;

struct request {
	struct request_queue *q;
	unsigned int cmd_flags;
	unsigned int __data_len;
	__u64 __sector;
	struct bio *bio;
} KERNEL_STRUCT;

struct request___disk {
	struct gendisk *rq_disk; /* until 5.16 */
} KERNEL_STRUCT;

/* From 32 on are commands of no meaning to the block layer. */
#define OP_MASK 0xffu
#define OP_COMMANDS 32u
#define SECTOR_SHIFT 9

#define MINOR_BITS 20
/* The most bios of one discard that the block layer puts into a request, MAX_DISCARD_SEGMENTS. */
#define MAX_BIOS 256
#define SMALL_CELLS 16u

/* Which disk a queue of requests belongs to, where the kernel's own way there is not known: see command(). */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, __u32);
} queues SEC(".maps");

const volatile __u32 queue_argument = 0;
const volatile __u32 issue_argument = 0;

/* The kernel checks which argument is read, so no address may be computed. */
#define ARGUMENT(ctx, second)                                                               \
	({                                                                                  \
		__u64 argument_;                                                            \
		if (second)                                                                 \
			asm volatile("%0 = *(u64 *)(%1 + 8)" : "=r"(argument_) : "r"(ctx)); \
		else                                                                        \
			asm volatile("%0 = *(u64 *)(%1 + 0)" : "=r"(argument_) : "r"(ctx)); \
		(void *)argument_;                                                          \
	})

static __always_inline __u32 device_number(struct gendisk *disk)
{
	return (__u32)disk->major << MINOR_BITS | (__u32)disk->first_minor;
}

static __always_inline __u32 request_device(struct request *rq)
{
	struct request___disk *old = (void *)rq;

	if (bpf_core_field_exists(old->rq_disk))
		return old->rq_disk ? device_number(old->rq_disk) : 0;
	return rq->q->disk ? device_number(rq->q->disk) : 0;
}

static __always_inline __u32 bio_device(struct bio *bio)
{
	struct bio___disk *old = (void *)bio;

	if (bpf_core_field_exists(old->bi_disk))
		return old->bi_disk ? device_number(old->bi_disk) : 0;
	return device_number(bio->bi_bdev->bd_disk);
}

/* Marks one of several ranges: those of middling size roughly.  shape: the disk's sectors << 8 | area's
 * shift. False if it cannot be marked. */
__noinline int mark_discard(__u64 fine_at, __u64 coarse_at, __u64 shape, __u64 sector, __u64 sectors)
{
	__u64 shift = shape & 63, first, last;

	if (!sectors)
		return 1;
	first = sector >> shift;
	last = (sector + sectors - 1) >> shift;
	if (sector + sectors > shape >> 8 || last - first >= TRACK_COARSE)
		return 0;
	if (last - first < SMALL_CELLS) {
		mark_run(fine_at + first, last + 1 - first);
	} else {
		mark_run(coarse_at + (first >> TRACK_COARSE_SHIFT), 1);
		mark_run(coarse_at + (last >> TRACK_COARSE_SHIFT), 1);
	}
	return 1;
}

/*
 * One request may discard many ranges, of which its own sector is the first:
 * the bios have them all.  What the loop does has no branches: the kernel goes
 * through all turns, and would through all ways to take them.
 */
static __always_inline void mark_each_discard(struct track_disk_map *disk, struct bio *bio)
{
	const struct track_area *area = &disk->discarded;
	__u64 fine_at = area->fine_at, coarse_at = area->coarse_at, shape = disk->sectors << 8 | area->shift;
	__u64 marked = 1;

	for (int i = 0; i < MAX_BIOS && bio; i++, bio = bio->bi_next)
		marked &= mark_discard(fine_at, coarse_at, shape, bio->bi_iter.bi_sector,
				       bio->bi_iter.bi_size >> SECTOR_SHIFT);
	if (bio || !marked)
		doubt(disk);
}

static __always_inline void mark_request(struct track_disk_map *disk, struct request *rq, __u32 op,
					 __u64 sectors)
{
	if (op == OP_DISCARD && rq->bio && rq->bio->bi_next)
		mark_each_discard(disk, rq->bio);
	else
		mark_sectors(disk, op, rq->__sector, sectors);
}

/*
 * A command that came past the block layer (SG_IO, NVMe's ioctls): nothing tells
 * what it does, except that one which fetches data changes none.  In older
 * kernels it does not name the disk when it comes by another device file
 * (/dev/sg0), so the disk's queue is remembered.
 */
static __always_inline int command(struct request *rq, __u32 op, __u32 device)
{
	struct track_disk_map *disk = bpf_map_lookup_elem(&disks, &device);
	__u64 queue = (__u64)rq->q;
	__u32 *known;

	if (!(op & OP_WRITES) && rq->__data_len)
		return 0;
	if (!disk) {
		known = bpf_map_lookup_elem(&queues, &queue);
		if (known)
			disk = bpf_map_lookup_elem(&disks, known);
	}
	return note_command(disk);
}

static __always_inline void remember_queue(struct request *rq, __u32 device)
{
	struct request___disk *old = (void *)rq;
	__u64 queue = (__u64)rq->q;

	if (bpf_core_field_exists(old->rq_disk) && !bpf_map_lookup_elem(&queues, &queue))
		bpf_map_update_elem(&queues, &queue, &device, BPF_ANY);
}

SEC("tp_btf/block_bio_queue")
int track_queue(__u64 *ctx)
{
	struct bio *bio = ARGUMENT(ctx, queue_argument);
	__u32 op = bio->bi_opf & OP_MASK, device;
	__u64 sectors = bio->bi_iter.bi_size >> SECTOR_SHIFT;
	struct track_disk_map *disk;

	if (op == OP_READ || op >= OP_COMMANDS || !sectors)
		return 0;
	device = bio_device(bio);
	disk = bpf_map_lookup_elem(&disks, &device);
	if (!disk)
		return 0;
	mark_sectors(disk, op, bio->bi_iter.bi_sector, sectors);
	count(disk, op, sectors, TRACK_QUEUE);
	return 0;
}

SEC("tp_btf/block_rq_issue")
int track_issue(__u64 *ctx)
{
	struct request *rq = ARGUMENT(ctx, issue_argument);
	__u32 op = rq->cmd_flags & OP_MASK, device = request_device(rq);
	__u64 sectors = rq->__data_len >> SECTOR_SHIFT;
	struct track_disk_map *disk;

	if (op >= OP_COMMANDS)
		return command(rq, op, device);
	disk = bpf_map_lookup_elem(&disks, &device);
	if (!disk)
		return 0;
	remember_queue(rq, device);
	if (op == OP_READ || !sectors)
		return 0;
	mark_request(disk, rq, op, sectors);
	count(disk, op, sectors, TRACK_ISSUE);
	return 0;
}

SEC("tp_btf/block_rq_complete")
int track_complete(__u64 *ctx)
{
	struct request *rq = ARGUMENT(ctx, 0);
	__u32 op = rq->cmd_flags & OP_MASK, device = request_device(rq);
	__u64 sectors = (__u32)ctx[2] >> SECTOR_SHIFT;
	struct track_disk_map *disk;

	if (op >= OP_COMMANDS)
		return command(rq, op, device);
	if (op == OP_READ || !sectors)
		return 0;
	disk = bpf_map_lookup_elem(&disks, &device);
	if (!disk)
		return 0;
	mark_request(disk, rq, op, sectors);
	count(disk, op, sectors, TRACK_COMPLETE);
	return 0;
}
