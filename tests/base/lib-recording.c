// SPDX-License-Identifier: GPL-3.0-or-later
#include "tests/base/lib-recording.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "tests/base/lib-overlay.h"

struct recording {
	pthread_mutex_t lock;
	uint64_t now;
	struct recorded *events;
	size_t count, capacity;
	struct blk **starts; /* by device */
	size_t device_count, device_capacity;
};

struct recorder {
	struct blk blk;
	struct blk *inner;
	struct recording *recording;
	unsigned device;
};

static struct recorder *to_recorder(struct blk *blk)
{
	return (struct recorder *)blk;
}

struct recording *recording_create(void)
{
	struct recording *recording = xcalloc(1, sizeof *recording);

	pthread_mutex_init(&recording->lock, NULL);
	return recording;
}

void recording_destroy(struct recording *recording)
{
	if (!recording)
		return;
	for (size_t i = 0; i < recording->count; i++)
		free(recording->events[i].data);
	for (size_t i = 0; i < recording->device_count; i++)
		err_free(blk_close(recording->starts[i]));
	free(recording->events);
	free(recording->starts);
	pthread_mutex_destroy(&recording->lock);
	free(recording);
}

uint64_t recording_tick(struct recording *recording)
{
	uint64_t now;

	pthread_mutex_lock(&recording->lock);
	now = ++recording->now;
	pthread_mutex_unlock(&recording->lock);
	return now;
}

static size_t begin(struct recorder *recorder, struct recorded event)
{
	struct recording *recording = recorder->recording;
	size_t index;

	if (event.data)
		event.data = xmemdup(event.data, event.len_bytes);
	event.device = recorder->device;
	event.end = RECORDING_NEVER;
	pthread_mutex_lock(&recording->lock);
	event.begin = ++recording->now;
	array_grow(recording->events, recording->count, recording->capacity);
	index = recording->count++;
	recording->events[index] = event;
	pthread_mutex_unlock(&recording->lock);
	return index;
}

static struct err *end(struct recorder *recorder, size_t index, struct err *err)
{
	struct recording *recording = recorder->recording;

	if (err)
		return err;
	pthread_mutex_lock(&recording->lock);
	recording->events[index].end = ++recording->now;
	pthread_mutex_unlock(&recording->lock);
	return NULL;
}

static struct err *recorder_pread(struct blk *blk, void *buf, size_t len_bytes, uint64_t offset)
{
	return blk_pread(to_recorder(blk)->inner, buf, len_bytes, offset);
}

static struct err *recorder_pwrite(struct blk *blk, const void *buf, size_t len_bytes, uint64_t offset,
				   unsigned flags)
{
	struct recorder *r = to_recorder(blk);
	struct recorded event = {RECORDED_WRITE, 0, offset, len_bytes, (uint8_t *)buf, flags & BLK_FUA};
	size_t index = begin(r, event);

	return end(r, index, blk_pwrite(r->inner, buf, len_bytes, offset, flags));
}

static struct err *recorder_zero(struct blk *blk, uint64_t len_bytes, uint64_t offset, unsigned flags)
{
	struct recorder *r = to_recorder(blk);
	struct recorded event = {RECORDED_ZERO, 0, offset, len_bytes, NULL, flags & BLK_FUA};
	size_t index = begin(r, event);

	return end(r, index, blk_zero(r->inner, len_bytes, offset, flags));
}

static struct err *recorder_discard(struct blk *blk, uint64_t len_bytes, uint64_t offset)
{
	struct recorder *r = to_recorder(blk);
	size_t index = begin(r, (struct recorded){RECORDED_ZERO, 0, offset, len_bytes, NULL, false});

	return end(r, index, blk_discard(r->inner, len_bytes, offset));
}

static struct err *recorder_flush(struct blk *blk)
{
	struct recorder *r = to_recorder(blk);
	size_t index = begin(r, (struct recorded){.kind = RECORDED_FLUSH});

	return end(r, index, blk_flush(r->inner));
}

static struct err *recorder_resize(struct blk *blk, uint64_t size_bytes)
{
	struct recorder *r = to_recorder(blk);
	size_t index = begin(r, (struct recorded){RECORDED_RESIZE, 0, 0, size_bytes, NULL, false});
	struct err *err = end(r, index, blk_resize(r->inner, size_bytes));

	__atomic_store_n(&blk->size_bytes, r->inner->size_bytes, __ATOMIC_RELAXED);
	return err;
}

static struct err *recorder_close(struct blk *blk)
{
	struct recorder *r = to_recorder(blk);
	struct err *err = blk_close(r->inner);

	free(blk->name);
	free(r);
	return err;
}

struct blk *recording_attach(struct recording *recording, struct blk *inner)
{
	static const struct blk_ops ops = {
		.kind = "recorder",
		.pread = recorder_pread,
		.pwrite = recorder_pwrite,
		.zero = recorder_zero,
		.discard = recorder_discard,
		.flush = recorder_flush,
		.resize = recorder_resize,
		.close = recorder_close,
	};
	struct recorder *r = xcalloc(1, sizeof *r);

	r->blk = *inner;
	r->blk.ops = &ops;
	r->blk.name = xstrdup(inner->name);
	r->inner = inner;
	r->recording = recording;
	r->device = (unsigned)recording->device_count;
	array_grow(recording->starts, recording->device_count, recording->device_capacity);
	recording->starts[recording->device_count++] = overlay_copy_of(inner);
	return &r->blk;
}

const struct recorded *recording_events(const struct recording *recording, size_t *ret_count)
{
	*ret_count = recording->count;
	return recording->events;
}

unsigned recording_device_count(const struct recording *recording)
{
	return (unsigned)recording->device_count;
}

struct blk *recording_start(const struct recording *recording, unsigned device)
{
	return recording->starts[device];
}
