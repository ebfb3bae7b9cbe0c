/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "p2v/base/strv.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"

void strv_deinit(struct strv *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct strv){0};
}

/* Takes the string over; keeps room for the closing NULL. */
static void strv_push(struct strv *list, char *item)
{
	if (list->count + 1 >= list->capacity) {
		list->capacity = list->capacity ? list->capacity * 2 : 8;
		list->items = xreallocarray(list->items, list->capacity, sizeof *list->items);
	}
	list->items[list->count++] = item;
	list->items[list->count] = NULL;
}

void strv_add(struct strv *list, const char *item)
{
	strv_push(list, xstrdup(item));
}

void strv_addf(struct strv *list, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	strv_push(list, xvasprintf(format, args));
	va_end(args);
}

bool strv_has(const struct strv *list, const char *item)
{
	for (size_t i = 0; i < list->count; i++)
		if (!strcmp(list->items[i], item))
			return true;
	return false;
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void strv_sort(struct strv *list)
{
	if (list->count > 1)
		qsort(list->items, list->count, sizeof *list->items, compare_strings);
}

void strv_split(struct strv *list, const char *text, const char *separators)
{
	while (*(text += strspn(text, separators))) {
		size_t bytes = strcspn(text, separators);

		strv_push(list, xstrndup(text, bytes));
		text += bytes;
	}
}

void text_deinit(struct text *text)
{
	free(text->data);
	*text = (struct text){0};
}

void text_add(struct text *text, const void *data, size_t bytes)
{
	size_t needed = text->bytes + bytes + 1;

	if (needed < bytes)
		abort();
	if (needed > text->capacity) {
		text->capacity = needed > text->capacity * 2 ? needed : text->capacity * 2;
		text->data = xreallocarray(text->data, text->capacity, 1);
	}
	if (bytes)
		memcpy(text->data + text->bytes, data, bytes);
	text->bytes += bytes;
	text->data[text->bytes] = '\0';
}

void text_addf(struct text *text, const char *format, ...)
{
	CLEANUP_FREE char *piece = NULL;
	va_list args;

	va_start(args, format);
	piece = xvasprintf(format, args);
	va_end(args);
	text_add(text, piece, strlen(piece));
}

char *text_take(struct text *text)
{
	char *data = text->data ? text->data : xstrdup("");

	*text = (struct text){0};
	return data;
}

bool str_starts_with(const char *s, const char *prefix)
{
	return !strncmp(s, prefix, strlen(prefix));
}

bool str_ends_with(const char *s, const char *suffix)
{
	size_t s_bytes = strlen(s), suffix_bytes = strlen(suffix);

	return s_bytes >= suffix_bytes && !strcmp(s + s_bytes - suffix_bytes, suffix);
}
