/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Scope-bound release of resources.
 *
 * A local declared with one of the CLEANUP_ macros is released when its scope
 * ends; take_ptr() and return_ptr() hand it on instead.  Every macro copes
 * with NULL (or -1 for descriptors).
 */
#ifndef P2V_BASE_CLEANUP_H
#define P2V_BASE_CLEANUP_H

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(fn) __attribute__((cleanup(fn)))

/* Defines cleanup_NAME() for CLEANUP(cleanup_NAME), calling fn on a non-NULL pointer. */
#define DEFINE_CLEANUP(name, type, fn)                    \
	static inline void cleanup_##name(type *resource) \
	{                                                 \
		if (*resource)                            \
			fn(*resource);                    \
	}

/* The pointer's value; the variable itself becomes NULL and owns nothing. */
#define take_ptr(ptr)                           \
	({                                      \
		__typeof__(ptr) taken_ = (ptr); \
		(ptr) = NULL;                   \
		taken_;                         \
	})
#define return_ptr(ptr) return take_ptr(ptr)

static inline void cleanup_free(void *ptr)
{
	free(*(void **)ptr);
}

static inline void cleanup_fd(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

static inline void cleanup_unlock(pthread_mutex_t **mutex)
{
	if (*mutex)
		pthread_mutex_unlock(*mutex);
}

static inline pthread_mutex_t *lock_mutex(pthread_mutex_t *mutex)
{
	pthread_mutex_lock(mutex);
	return mutex;
}

DEFINE_CLEANUP(fclose, FILE *, fclose)

#define CLEANUP_FREE CLEANUP(cleanup_free)
#define CLEANUP_FD CLEANUP(cleanup_fd)
#define CLEANUP_FCLOSE CLEANUP(cleanup_fclose)

/* Holds the mutex until the end of the enclosing scope. */
#define LOCKED(mutex) \
	CLEANUP(cleanup_unlock) __attribute__((unused)) pthread_mutex_t *locked_ = lock_mutex(mutex)

#endif
