/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Unified differences by the greedy algorithm of E. W. Myers, "An O(ND)
 * Difference Algorithm and Its Variations" (Algorithmica 1, 1986), figure 2,
 * after equal lines at both ends were taken off.  Texts that differ in more
 * than MAX_EDITS lines are given as removed and added as a whole: still a
 * correct difference, and memory stays bounded.
 */
#include "p2v/guest/diff.h"

#include <stdint.h>
#include <string.h>

#include "p2v/base/mem.h"

#define CONTEXT_LINES 3
#define MAX_EDITS 1000

struct line {
	const char *data;
	size_t bytes; /* with its newline, which the last one may lack */
};

struct lines {
	struct line *items;
	size_t count;
	size_t capacity;
};

/* A line of the result: kept (' '), removed ('-') or added ('+'). */
struct edit {
	char kind;
	const struct line *line;
};

struct script {
	struct edit *items;
	size_t count;
	size_t capacity;
};

static void lines_deinit(struct lines *lines)
{
	free(lines->items);
}

static void script_deinit(struct script *script)
{
	free(script->items);
}

static void split_lines(const struct diff_text *text, struct lines *ret_lines)
{
	const char *end = text->data + text->bytes;

	for (const char *at = text->data; at < end;) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		const char *next = newline ? newline + 1 : end;

		array_grow(ret_lines->items, ret_lines->count, ret_lines->capacity);
		ret_lines->items[ret_lines->count++] = (struct line){at, (size_t)(next - at)};
		at = next;
	}
}

static bool lines_equal(const struct line *a, const struct line *b)
{
	return a->bytes == b->bytes && memcmp(a->data, b->data, a->bytes) == 0;
}

static void script_add(struct script *script, char kind, const struct line *line)
{
	array_grow(script->items, script->count, script->capacity);
	script->items[script->count++] = (struct edit){kind, line};
}

/* The farthest x on diagonal k with d edits is trace[d][k + d]; k runs from -d to d. */
static int64_t start_x(int64_t *const *trace, int64_t d, int64_t k)
{
	const int64_t *before = trace[d - 1] + d - 1;

	if (k == -d || (k != d && before[k - 1] < before[k + 1]))
		return before[k + 1]; /* down: an added line */
	return before[k - 1] + 1; /* right: a removed line */
}

/* Fills trace up to the number of edits needed, which it returns; -1 if that is more than MAX_EDITS. */
static int64_t find_edits(const struct line *a, int64_t n, const struct line *b, int64_t m, int64_t **trace)
{
	for (int64_t d = 0; d <= MAX_EDITS; d++) {
		trace[d] = xcalloc((size_t)(2 * d + 1), sizeof **trace);
		for (int64_t k = -d; k <= d; k += 2) {
			int64_t x = d == 0 ? 0 : start_x(trace, d, k);

			while (x < n && x - k < m && x - k >= 0 && lines_equal(&a[x], &b[x - k]))
				x++;
			trace[d][k + d] = x;
			if (x >= n && x - k >= m)
				return d;
		}
	}
	return -1;
}

/* Walks the trace back from the end; what it adds to the script is in reverse order. */
static void walk_back(const struct line *a, int64_t n, const struct line *b, int64_t m, int64_t **trace,
		      int64_t edits, struct script *script)
{
	int64_t x = n;
	int64_t y = m;

	for (int64_t d = edits; d > 0; d--) {
		int64_t k = x - y;
		int64_t from_x = start_x(trace, d, k);
		const int64_t *before = trace[d - 1] + d - 1;
		bool added = k == -d || (k != d && before[k - 1] < before[k + 1]);

		while (x > from_x) {
			x--, y--;
			script_add(script, ' ', &a[x]);
		}
		if (added)
			script_add(script, '+', &b[--y]);
		else
			script_add(script, '-', &a[--x]);
	}
	while (x > 0)
		script_add(script, ' ', &a[--x]);
}

static void diff_middle(const struct line *a, size_t n, const struct line *b, size_t m, struct script *script)
{
	int64_t *trace[MAX_EDITS + 1] = {NULL};
	int64_t edits = find_edits(a, (int64_t)n, b, (int64_t)m, trace);
	size_t first = script->count;

	if (edits >= 0) {
		walk_back(a, (int64_t)n, b, (int64_t)m, trace, edits, script);
		for (size_t i = first, j = script->count; i + 1 < j; i++, j--) {
			struct edit edit = script->items[i];

			script->items[i] = script->items[j - 1];
			script->items[j - 1] = edit;
		}
	} else {
		for (size_t i = 0; i < n; i++)
			script_add(script, '-', &a[i]);
		for (size_t i = 0; i < m; i++)
			script_add(script, '+', &b[i]);
	}
	for (size_t d = 0; d <= MAX_EDITS; d++)
		free(trace[d]);
}

static void make_script(const struct lines *a, const struct lines *b, struct script *script)
{
	size_t head = 0;
	size_t tail = 0;

	while (head < a->count && head < b->count && lines_equal(&a->items[head], &b->items[head]))
		script_add(script, ' ', &a->items[head++]);
	while (tail < a->count - head && tail < b->count - head &&
	       lines_equal(&a->items[a->count - 1 - tail], &b->items[b->count - 1 - tail]))
		tail++;
	/* An empty text has no array that one could point into. */
	diff_middle(head ? a->items + head : a->items, a->count - head - tail,
		    head ? b->items + head : b->items, b->count - head - tail, script);
	for (size_t i = a->count - tail; i < a->count; i++)
		script_add(script, ' ', &a->items[i]);
}

/* One past the last line of the hunk that starts at or before the change `at`. */
static size_t hunk_end(const struct script *script, size_t at)
{
	size_t last_change = at;

	for (; at < script->count && at - last_change <= 2 * CONTEXT_LINES + 1; at++) {
		if (script->items[at].kind != ' ')
			last_change = at;
	}
	at = last_change + 1 + CONTEXT_LINES;
	return at < script->count ? at : script->count;
}

/* "12,3" as POSIX has it: the line before an empty range. */
static void format_range(struct text *text, char sign, size_t start, size_t count)
{
	text_addf(text, " %c%zu", sign, count ? start + 1 : start);
	if (count != 1)
		text_addf(text, ",%zu", count);
}

static void format_hunk(const struct script *script, size_t start, size_t end, size_t old_line,
			size_t new_line, struct text *text)
{
	size_t old_count = 0;
	size_t new_count = 0;

	for (size_t i = start; i < end; i++) {
		old_count += script->items[i].kind != '+';
		new_count += script->items[i].kind != '-';
	}
	text_addf(text, "@@");
	format_range(text, '-', old_line, old_count);
	format_range(text, '+', new_line, new_count);
	text_addf(text, " @@\n");
	for (size_t i = start; i < end; i++) {
		const struct line *line = script->items[i].line;

		text_add(text, &script->items[i].kind, 1);
		text_add(text, line->data, line->bytes);
		if (line->data[line->bytes - 1] != '\n')
			text_addf(text, "\n\\ No newline at end of file\n");
	}
}

void diff_format_unified(const struct diff_text *before, const struct diff_text *after, struct text *ret_text)
{
	CLEANUP(lines_deinit) struct lines a = {0};
	CLEANUP(lines_deinit) struct lines b = {0};
	CLEANUP(script_deinit) struct script script = {0};
	size_t old_line = 0;
	size_t new_line = 0;
	bool has_header = false;
	size_t done = 0; /* lines of the script that old_line and new_line have counted */

	split_lines(before, &a);
	split_lines(after, &b);
	make_script(&a, &b, &script);
	for (size_t i = 0; i < script.count; i++) {
		size_t start = i < done + CONTEXT_LINES ? done : i - CONTEXT_LINES;
		size_t end;

		if (script.items[i].kind == ' ')
			continue;
		if (!has_header)
			text_addf(ret_text, "--- %s\n+++ %s\n", before->name, after->name);
		has_header = true;
		end = hunk_end(&script, i);
		old_line += start - done; /* all of them are in both */
		new_line += start - done;
		format_hunk(&script, start, end, old_line, new_line, ret_text);
		for (done = start; done < end; done++) {
			old_line += script.items[done].kind != '+';
			new_line += script.items[done].kind != '-';
		}
		i = end - 1;
	}
}
