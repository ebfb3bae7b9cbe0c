/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A growing list of strings, and a growing text. */
#ifndef P2V_BASE_STRV_H
#define P2V_BASE_STRV_H

#include <stdbool.h>
#include <stddef.h>

#include "p2v/base/cleanup.h"

/* Zero-initialised is empty; items[count] is NULL once anything was added, as execvp() wants it. */
struct strv {
	char **items;
	size_t count;
	size_t capacity;
};

void strv_deinit(struct strv *list);
void strv_add(struct strv *list, const char *item); /* copies */
void strv_addf(struct strv *list, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool strv_has(const struct strv *list, const char *item);
void strv_sort(struct strv *list);
/* Appends the pieces of text between any of the separators, empty ones left out. */
void strv_split(struct strv *list, const char *text, const char *separators);
#define CLEANUP_STRV CLEANUP(strv_deinit)

/* Zero-initialised is ""; data is NUL-terminated once anything was added. */
struct text {
	char *data;
	size_t bytes;
	size_t capacity;
};

void text_deinit(struct text *text);
void text_add(struct text *text, const void *data, size_t bytes);
void text_addf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The text itself, never NULL, owned by the caller; text becomes empty. */
char *text_take(struct text *text);
#define CLEANUP_TEXT CLEANUP(text_deinit)

bool str_starts_with(const char *s, const char *prefix);
bool str_ends_with(const char *s, const char *suffix);

#endif
