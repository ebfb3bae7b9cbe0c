/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A list of requests in the order of arrival.  One may go on when none before it
 * is in its way, waiting ones included, so that nobody waits for ever.  There are
 * never more requests than threads, so a list is as good as any tree.
 */
#include "vhdx/range-lock.h"

#include <stddef.h>

#include "p2v/base/cleanup.h"

void vhdx_range_lock_init(struct vhdx_range_lock *lock)
{
	pthread_mutex_init(&lock->mutex, NULL);
	pthread_cond_init(&lock->changed, NULL);
	lock->first = NULL;
	lock->last_next = &lock->first;
}

void vhdx_range_lock_deinit(struct vhdx_range_lock *lock)
{
	pthread_cond_destroy(&lock->changed);
	pthread_mutex_destroy(&lock->mutex);
}

static bool must_wait(const struct vhdx_range_lock *lock, const struct vhdx_range *range)
{
	for (const struct vhdx_range *other = lock->first; other != range; other = other->next)
		if ((other->exclusive || range->exclusive) && other->start < range->end &&
		    range->start < other->end)
			return true;
	return false;
}

void vhdx_range_acquire(struct vhdx_range_lock *lock, struct vhdx_range *range)
{
	LOCKED(&lock->mutex);

	range->next = NULL;
	*lock->last_next = range;
	lock->last_next = &range->next;
	while (must_wait(lock, range))
		pthread_cond_wait(&lock->changed, &lock->mutex);
}

void vhdx_range_release(struct vhdx_range_lock *lock, struct vhdx_range *range)
{
	LOCKED(&lock->mutex);
	struct vhdx_range **link = &lock->first;

	while (*link != range)
		link = &(*link)->next;
	*link = range->next;
	if (lock->last_next == &range->next)
		lock->last_next = link;
	pthread_cond_broadcast(&lock->changed);
}
