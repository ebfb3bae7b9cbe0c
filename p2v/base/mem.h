/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Memory for small things.
 *
 * These abort the process when memory is exhausted: they are for strings and
 * records whose number our own code bounds, where no caller could do better
 * (an interrupted conversion is always safe to repeat).  A size that comes from
 * outside, and everything in vhdx/, uses calloc() and err_nomem() instead.
 */
#ifndef P2V_BASE_MEM_H
#define P2V_BASE_MEM_H

#include <stdarg.h>
#include <stddef.h>

void *xmalloc(size_t bytes) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t count, size_t bytes) __attribute__((malloc, returns_nonnull));
void *xreallocarray(void *old, size_t count, size_t bytes) __attribute__((returns_nonnull));
void *xmemdup(const void *data, size_t bytes) __attribute__((returns_nonnull));

/* NULL gives NULL. */
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t max_bytes) __attribute__((returns_nonnull));

char *xasprintf(const char *format, ...) __attribute__((format(printf, 1, 2), returns_nonnull));
char *xvasprintf(const char *format, va_list args) __attribute__((format(printf, 1, 0), returns_nonnull));

/*
 * Makes room for one more element in a growing array:
 *	array_grow(list->items, list->count, list->capacity);
 *	list->items[list->count++] = item;
 */
#define array_grow(items, count, capacity)                                             \
	do {                                                                           \
		if ((count) == (capacity)) {                                           \
			(capacity) = (capacity) ? (capacity)*2 : 8;                    \
			(items) = xreallocarray((items), (capacity), sizeof *(items)); \
		}                                                                      \
	} while (0)

#endif
