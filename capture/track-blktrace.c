/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The tier for kernels without what track.bpf.c wants: the kernel's log of
 * requests (blktrace), which a thread reads all the time and turns into marks.
 *
 * The kernel keeps a buffer for each disk and processor.  What does not fit is
 * dropped and counted in `dropped`; each record of a request also has a number.
 * Either shows a loss, which then is a doubt.
 *
 * A record's place is taken before it is filled, with interrupts off: so a buffer
 * is read on the processor that writes it, where nothing is ever half done.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/blktrace_api.h>
#include <linux/fs.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "capture/kernelfs.h"
#include "capture/track-claim.h"
#include "capture/track-impl.h"
#include "p2v/base/mem.h"

#define ALL_BUFFERS_BYTES (64u << 20)
#define MIN_BUFFER_BYTES (32u << 10)
#define MAX_BUFFER_BYTES (512u << 10)
#define BUFFERS 8u /* each processor's, which the kernel fills one after the other */
#define READ_BYTES (64u << 10)
#define PAUSE_NS 20000000
#define SECTOR_SHIFT 9
#define ACTION_MASK 0xffu /* above it are flags */

/* One disk's records on one processor. */
struct stream {
	int fd;
	uint32_t sequence; /* of the last record; 0 before the first */
	uint8_t rest[sizeof(struct blk_io_trace)]; /* the start of a record whose end is still to come */
	size_t rest_bytes, skip_bytes; /* skip: of what follows a record */
};

struct traced_disk {
	int device_fd, dropped_fd;
	bool is_set_up;
	char name[32]; /* the kernel's for the trace */
	struct stream *streams; /* a processor each */
	struct track_counts seen;
	uint64_t dropped; /* by the kernel, so far */
	char *loss; /* since it was asked for */
};

struct trace_state {
	struct traced_disk *disks;
	size_t disk_count;
	unsigned processors;
	pthread_t thread;
	bool has_thread;
	pthread_mutex_t lock; /* all below, and what the disks hold */
	bool is_stopping;
};

static void set_loss(struct traced_disk *disk, const char *text)
{
	if (!disk->loss)
		disk->loss = xstrdup(text);
}

static void count_and_mark(struct tracker *tracker, size_t index, const struct blk_io_trace *record,
			   enum track_event event)
{
	struct track_disk *disk = &tracker->disks[index];
	struct trace_state *state = tracker->state;
	struct track_counts *seen = &state->disks[index].seen;
	bool is_discard = record->action & BLK_TC_ACT(BLK_TC_DISCARD);
	uint64_t start = record->sector << SECTOR_SHIFT, end = start + record->bytes;

	if (end > disk->size_bytes) {
		seen->beyond++;
		end = end < disk->size_bytes ? end : disk->size_bytes;
	}
	track_area_mark(is_discard ? &disk->discarded : &disk->written, tracker->cells, start, end);
	if (is_discard)
		seen->discarded_sectors[event] += record->bytes >> SECTOR_SHIFT;
	else
		seen->written_sectors[event] += record->bytes >> SECTOR_SHIFT;
}

static void take_record(struct tracker *tracker, size_t index, struct stream *stream,
			const struct blk_io_trace *record)
{
	struct trace_state *state = tracker->state;
	struct traced_disk *disk = &state->disks[index];
	bool changes = record->action & (BLK_TC_ACT(BLK_TC_WRITE) | BLK_TC_ACT(BLK_TC_DISCARD));

	/* What the log tells of itself has no number. */
	if (record->action & BLK_TC_ACT(BLK_TC_NOTIFY))
		return;
	if (record->sequence != stream->sequence + 1)
		set_loss(disk, "records are missing in the kernel's log of requests");
	stream->sequence = record->sequence;
	if (record->action & BLK_TC_ACT(BLK_TC_PC)) {
		disk->seen.commands += changes || !record->bytes;
		return;
	}
	if (!changes || !record->bytes)
		return;
	switch (record->action & ACTION_MASK) {
	case __BLK_TA_QUEUE:
		count_and_mark(tracker, index, record, TRACK_QUEUE);
		break;
	case __BLK_TA_ISSUE:
		/* It does not tell all that a request discards, so that having seen it proves nothing. */
		if (!(record->action & BLK_TC_ACT(BLK_TC_DISCARD)))
			count_and_mark(tracker, index, record, TRACK_ISSUE);
		break;
	case __BLK_TA_COMPLETE:
		count_and_mark(tracker, index, record, TRACK_COMPLETE);
		break;
	}
}

/* Records come in any pieces. */
static void take_bytes(struct tracker *tracker, size_t index, struct stream *stream, const uint8_t *data,
		       size_t bytes)
{
	struct trace_state *state = tracker->state;
	struct blk_io_trace record;

	while (bytes) {
		size_t part = stream->skip_bytes < bytes ? stream->skip_bytes : bytes;

		stream->skip_bytes -= part;
		data += part;
		bytes -= part;
		part = sizeof record - stream->rest_bytes;
		part = part < bytes ? part : bytes;
		memcpy(stream->rest + stream->rest_bytes, data, part);
		stream->rest_bytes += part;
		data += part;
		bytes -= part;
		if (stream->rest_bytes < sizeof record)
			return;
		memcpy(&record, stream->rest, sizeof record);
		stream->rest_bytes = 0;
		if ((record.magic & 0xffffff00) != BLK_IO_TRACE_MAGIC) {
			set_loss(&state->disks[index], "the kernel's log of requests cannot be read");
			return;
		}
		stream->skip_bytes = record.pdu_len;
		take_record(tracker, index, stream, &record);
	}
}

static void read_stream(struct tracker *tracker, size_t index, unsigned processor)
{
	struct trace_state *state = tracker->state;
	struct stream *stream = &state->disks[index].streams[processor];
	uint8_t data[READ_BYTES];
	ssize_t bytes;

	while (stream->fd >= 0 && (bytes = read(stream->fd, data, sizeof data)) > 0)
		take_bytes(tracker, index, stream, data, bytes);
}

static void look_for_drops(struct traced_disk *disk)
{
	char text[32] = "";
	uint64_t dropped;

	if (disk->dropped_fd < 0)
		return;
	if (pread(disk->dropped_fd, text, sizeof text - 1, 0) <= 0)
		set_loss(disk, "the kernel no longer tells of its log of requests");
	dropped = strtoull(text, NULL, 10);
	if (dropped != disk->dropped)
		set_loss(disk, "the kernel dropped requests from its log, which was full");
	disk->dropped = dropped;
}

/* The lock is held. */
static void read_all(struct tracker *tracker)
{
	struct trace_state *state = tracker->state;
	cpu_set_t before, one;
	bool is_known = !sched_getaffinity(0, sizeof before, &before);

	for (unsigned processor = 0; processor < state->processors; processor++) {
		CPU_ZERO(&one);
		CPU_SET(processor, &one);
		/* Where that fails the processor is off, and nobody writes. */
		sched_setaffinity(0, sizeof one, &one);
		for (size_t i = 0; i < state->disk_count; i++)
			if (state->disks[i].is_set_up)
				read_stream(tracker, i, processor);
	}
	if (is_known)
		sched_setaffinity(0, sizeof before, &before);
	for (size_t i = 0; i < state->disk_count; i++)
		look_for_drops(&state->disks[i]);
}

static void trace_drain(struct tracker *tracker)
{
	struct trace_state *state = tracker->state;
	LOCKED(&state->lock);

	read_all(tracker);
}

static bool read_unless_stopping(struct tracker *tracker)
{
	struct trace_state *state = tracker->state;
	LOCKED(&state->lock);

	if (!state->is_stopping)
		read_all(tracker);
	return !state->is_stopping;
}

static void *keep_reading(void *arg)
{
	while (read_unless_stopping(arg))
		nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
	return NULL;
}

static uint32_t buffer_bytes(const struct trace_state *state)
{
	uint32_t wanted = ALL_BUFFERS_BYTES / (state->processors * state->disk_count * BUFFERS), bytes;

	for (bytes = MIN_BUFFER_BYTES; bytes * 2 <= wanted && bytes < MAX_BUFFER_BYTES; bytes *= 2)
		;
	return bytes;
}

static struct err *open_streams(const struct trace_state *state, struct traced_disk *disk, int debugfs)
{
	CLEANUP_FREE char *dropped = xasprintf("block/%s/dropped", disk->name);

	disk->dropped_fd = openat(debugfs, dropped, O_RDONLY | O_CLOEXEC);
	if (disk->dropped_fd < 0)
		return err_from_errno(errno, "debugfs: %s", dropped);
	for (unsigned i = 0; i < state->processors; i++) {
		CLEANUP_FREE char *path = xasprintf("block/%s/trace%u", disk->name, i);

		disk->streams[i].fd = openat(debugfs, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		/* Processors that are not there have none. */
		if (disk->streams[i].fd < 0 && (!i || errno != ENOENT))
			return err_from_errno(errno, "debugfs: %s", path);
	}
	return NULL;
}

/* Where a sender that was killed has left one it is taken away first.  False: errno says why. */
static bool set_up_log(int device_fd, const char *name, int debugfs, struct blk_user_trace_setup *setup)
{
	if (!ioctl(device_fd, BLKTRACESETUP, setup))
		return true;
	if ((errno != EBUSY && errno != EEXIST) || !track_claim_is_left(debugfs, name))
		return false;
	ioctl(device_fd, BLKTRACESTOP);
	ioctl(device_fd, BLKTRACETEARDOWN);
	return !ioctl(device_fd, BLKTRACESETUP, setup);
}

static struct err *start_disk(const struct trace_state *state, const struct track_disk *of,
			      struct traced_disk *disk, int debugfs)
{
	struct blk_user_trace_setup setup = {
		.act_mask = BLK_TC_WRITE | BLK_TC_DISCARD | BLK_TC_PC,
		.buf_size = buffer_bytes(state),
		.buf_nr = BUFFERS,
	};
	struct err *err;

	disk->device_fd = open(of->device, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (disk->device_fd < 0)
		return err_from_errno(errno, "%s", of->device);
	if (!set_up_log(disk->device_fd, of->name, debugfs, &setup)) {
		err = err_from_errno(errno, "%s: the kernel gives no log of requests", of->device);
		return err_errno(err) == EBUSY || err_errno(err) == EEXIST
			       ? err_advise(err,
					    "another program traces this disk: 'blktrace -k %s' ends that",
					    of->device)
			       : err;
	}
	disk->is_set_up = true;
	track_claim_make(debugfs, of->name);
	memcpy(disk->name, setup.name, sizeof disk->name - 1);
	TRY(open_streams(state, disk, debugfs));
	if (ioctl(disk->device_fd, BLKTRACESTART))
		return err_from_errno(errno, "%s: the kernel's log of requests does not start", of->device);
	return NULL;
}

static void stop_disk(const struct trace_state *state, const char *name, struct traced_disk *disk)
{
	if (disk->is_set_up) {
		ioctl(disk->device_fd, BLKTRACESTOP);
		ioctl(disk->device_fd, BLKTRACETEARDOWN);
		track_claim_remove(name);
	}
	for (unsigned i = 0; i < state->processors; i++)
		if (disk->streams[i].fd >= 0)
			close(disk->streams[i].fd);
	free(disk->streams);
	free(disk->loss);
	if (disk->dropped_fd >= 0)
		close(disk->dropped_fd);
	if (disk->device_fd >= 0)
		close(disk->device_fd);
}

static void trace_stop(struct tracker *tracker)
{
	struct trace_state *state = tracker->state;

	if (state->has_thread) {
		pthread_mutex_lock(&state->lock);
		state->is_stopping = true;
		pthread_mutex_unlock(&state->lock);
		pthread_join(state->thread, NULL);
	}
	for (size_t i = 0; i < state->disk_count; i++)
		stop_disk(state, tracker->disks[i].name, &state->disks[i]);
	pthread_mutex_destroy(&state->lock);
	free(state->disks);
	free(state);
	free(tracker->cells);
	tracker->state = NULL;
	tracker->cells = NULL;
}

static struct trace_state *make_state(size_t disk_count)
{
	struct trace_state *state = xcalloc(1, sizeof *state);

	state->processors = sysconf(_SC_NPROCESSORS_CONF);
	state->disk_count = disk_count;
	state->disks = xcalloc(disk_count, sizeof *state->disks);
	pthread_mutex_init(&state->lock, NULL);
	for (size_t i = 0; i < disk_count; i++) {
		struct traced_disk *disk = &state->disks[i];

		disk->device_fd = disk->dropped_fd = -1;
		disk->streams = xcalloc(state->processors, sizeof *disk->streams);
		for (unsigned k = 0; k < state->processors; k++)
			disk->streams[k].fd = -1;
	}
	return state;
}

static struct err *start_all(struct tracker *tracker, struct trace_state *state)
{
	CLEANUP_FD int debugfs = -1;

	TRY(kernelfs_open_debugfs(&debugfs));
	tracker->cells = calloc(1, tracker->cells_bytes ? tracker->cells_bytes : 1);
	if (!tracker->cells)
		return err_nomem();
	for (size_t i = 0; i < tracker->disk_count; i++)
		if (!tracker->disks[i].objection)
			TRY(start_disk(state, &tracker->disks[i], &state->disks[i], debugfs));
	if (pthread_create(&state->thread, NULL, keep_reading, tracker))
		return err_failed("no thread can be started");
	state->has_thread = true;
	return NULL;
}

static struct err *trace_start(struct tracker *tracker)
{
	struct err *err;

	tracker->state = make_state(tracker->disk_count);
	err = start_all(tracker, tracker->state);
	if (err)
		trace_stop(tracker);
	return err;
}

static void trace_look(struct tracker *tracker, size_t disk, struct track_counts *ret_seen)
{
	struct trace_state *state = tracker->state;
	LOCKED(&state->lock);

	read_all(tracker);
	*ret_seen = state->disks[disk].seen;
}

/* Nothing is skipped here; what is dropped is a loss. */
static void trace_look_misses(struct tracker *tracker, uint64_t ret_misses[TRACK_EVENTS])
{
	(void)tracker;
	memset(ret_misses, 0, TRACK_EVENTS * sizeof *ret_misses);
}

static char *trace_find_loss(struct tracker *tracker, size_t disk)
{
	struct trace_state *state = tracker->state;
	LOCKED(&state->lock);

	return_ptr(state->disks[disk].loss);
}

const struct track_tier track_tier_blktrace = {
	.tier = TRACKER_BLKTRACE,
	.guarantee = "every request is in the kernel's log, which tells when it loses one, and compared with "
		     "what the kernel counts",
	.flags = TRACK_TIER_VAGUE_DISCARDS,
	.start = trace_start,
	.stop = trace_stop,
	.drain = trace_drain,
	.look = trace_look,
	.look_misses = trace_look_misses,
	.find_loss = trace_find_loss,
};
