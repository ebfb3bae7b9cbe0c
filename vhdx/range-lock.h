/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Locks on byte ranges: requests that overlap and of which one changes something
 * run one after the other, in the order of their arrival; all others run at once.
 */
#ifndef VHDX_RANGE_LOCK_H
#define VHDX_RANGE_LOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* One request, held or waiting; lives on its thread's stack. */
struct vhdx_range {
	uint64_t start, end;
	bool exclusive;
	struct vhdx_range *next;
};

struct vhdx_range_lock {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	struct vhdx_range *first; /* in the order of arrival */
	struct vhdx_range **last_next;
};

void vhdx_range_lock_init(struct vhdx_range_lock *lock);
void vhdx_range_lock_deinit(struct vhdx_range_lock *lock);

/* Waits until [range->start, range->end) is free for it. */
void vhdx_range_acquire(struct vhdx_range_lock *lock, struct vhdx_range *range);
void vhdx_range_release(struct vhdx_range_lock *lock, struct vhdx_range *range);

#endif
