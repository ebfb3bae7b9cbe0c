/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A line is kept as its text; an entry also knows its fields.  A change cuts
 * the old field out of the text, puts the new one in, and gives or takes white
 * space behind it so that the next column stays in place.
 */
#include "p2v/guest/fstab.h"

#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/base/strv.h"

#define BLANKS " \t\r"
#define TAB_COLUMNS 8

enum field { FIELD_SPEC, FIELD_FILE, FIELD_TYPE, FIELD_OPTIONS, FIELD_FREQ, FIELD_PASSNO, FIELD_COUNT };

struct fstab_line {
	char *text; /* without the newline */
	bool is_entry;
	char *fields[FIELD_COUNT]; /* unescaped; NULL where the line ends before */
	struct fstab_entry entry;
};

struct fstab {
	struct fstab_line *lines;
	size_t count;
	size_t capacity;
	bool ends_with_newline;
};

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

/* fstab(5) names \040 and \011; libmount takes any three octal digits. */
static char *unescape(const char *field, size_t bytes)
{
	char *plain = xmalloc(bytes + 1);
	size_t n = 0;

	for (size_t i = 0; i < bytes; i++) {
		if (field[i] == '\\' && i + 3 < bytes && field[i + 1] <= '3' && is_octal(field[i + 1]) &&
		    is_octal(field[i + 2]) && is_octal(field[i + 3])) {
			plain[n++] = (char)((field[i + 1] - '0') << 6 | (field[i + 2] - '0') << 3 |
					    (field[i + 3] - '0'));
			i += 3;
		} else {
			plain[n++] = field[i];
		}
	}
	plain[n] = '\0';
	return plain;
}

static char *escape(const char *plain)
{
	struct text text = {0};

	for (; *plain; plain++) {
		if (strchr(" \t\n\\#", *plain))
			text_addf(&text, "\\%03o", (unsigned char)*plain);
		else
			text_add(&text, plain, 1);
	}
	return text_take(&text);
}

/* Start and length of a field in the line; false if the line ends before it. */
static bool find_field(const char *line, enum field field, const char **ret_start, size_t *ret_bytes)
{
	const char *at = line + strspn(line, BLANKS);

	for (unsigned i = 0; *at && (i == 0 || *at != '#'); i++) {
		size_t bytes = strcspn(at, BLANKS);

		if (i == field) {
			*ret_start = at;
			*ret_bytes = bytes;
			return true;
		}
		at += bytes;
		at += strspn(at, BLANKS);
	}
	return false;
}

static void forget_fields(struct fstab_line *line)
{
	for (unsigned i = 0; i < FIELD_COUNT; i++) {
		free(line->fields[i]);
		line->fields[i] = NULL;
	}
	line->is_entry = false;
}

static void read_fields(struct fstab_line *line)
{
	char **fields = line->fields;

	forget_fields(line);
	if (line->text[strspn(line->text, BLANKS)] == '#')
		return;
	for (unsigned i = 0; i < FIELD_COUNT; i++) {
		const char *start;
		size_t bytes;

		if (find_field(line->text, i, &start, &bytes))
			fields[i] = unescape(start, bytes);
	}
	line->is_entry = fields[FIELD_FILE] != NULL;
	line->entry = (struct fstab_entry){
		.spec = fields[FIELD_SPEC],
		.file = fields[FIELD_FILE],
		.type = fields[FIELD_TYPE] ? fields[FIELD_TYPE] : "auto",
		.options = fields[FIELD_OPTIONS] ? fields[FIELD_OPTIONS] : "defaults",
		.freq = fields[FIELD_FREQ] ? (unsigned)strtoul(fields[FIELD_FREQ], NULL, 10) : 0,
		.passno = fields[FIELD_PASSNO] ? (unsigned)strtoul(fields[FIELD_PASSNO], NULL, 10) : 0,
	};
}

struct fstab *fstab_parse(const char *text)
{
	struct fstab *fstab = xcalloc(1, sizeof *fstab);

	fstab->ends_with_newline = true;
	for (const char *at = text ? text : ""; *at;) {
		size_t bytes = strcspn(at, "\n");
		struct fstab_line *line;

		array_grow(fstab->lines, fstab->count, fstab->capacity);
		line = &fstab->lines[fstab->count++];
		*line = (struct fstab_line){.text = xstrndup(at, bytes)};
		read_fields(line);
		at += bytes;
		fstab->ends_with_newline = *at == '\n';
		at += *at == '\n';
	}
	return fstab;
}

void fstab_destroy(struct fstab *fstab)
{
	if (!fstab)
		return;
	for (size_t i = 0; i < fstab->count; i++) {
		forget_fields(&fstab->lines[i]);
		free(fstab->lines[i].text);
	}
	free(fstab->lines);
	free(fstab);
}

size_t fstab_count(const struct fstab *fstab)
{
	size_t count = 0;

	for (size_t i = 0; i < fstab->count; i++)
		count += fstab->lines[i].is_entry;
	return count;
}

static struct fstab_line *line_of_entry(const struct fstab *fstab, size_t entry)
{
	for (size_t i = 0; i < fstab->count; i++) {
		if (fstab->lines[i].is_entry && entry-- == 0)
			return &fstab->lines[i];
	}
	return NULL;
}

const struct fstab_entry *fstab_entry(const struct fstab *fstab, size_t i)
{
	const struct fstab_line *line = line_of_entry(fstab, i);

	return line ? &line->entry : NULL;
}

const struct fstab_entry *fstab_find_file(const struct fstab *fstab, const char *file)
{
	for (size_t i = 0; i < fstab->count; i++) {
		if (fstab->lines[i].is_entry && strcmp(fstab->lines[i].entry.file, file) == 0)
			return &fstab->lines[i].entry;
	}
	return NULL;
}

/* The column behind text that starts in column 0. */
static size_t columns(const char *text, size_t bytes)
{
	size_t column = 0;

	for (size_t i = 0; i < bytes; i++) {
		if (text[i] == '\t')
			column += TAB_COLUMNS - column % TAB_COLUMNS;
		else if (((unsigned char)text[i] & 0xc0) != 0x80) /* not inside a UTF-8 character */
			column++;
	}
	return column;
}

/* White space from the end of *text to `column`, of the kind that was there: at least one. */
static void add_gap(struct text *text, const char *old_gap, size_t old_bytes, size_t column)
{
	bool has_tabs = memchr(old_gap, '\t', old_bytes) != NULL;

	do {
		size_t here = columns(text->data, text->bytes);
		size_t next_tab = here + TAB_COLUMNS - here % TAB_COLUMNS;

		text_add(text, has_tabs && (next_tab <= column || here >= column) ? "\t" : " ", 1);
	} while (columns(text->data, text->bytes) < column);
}

static void set_field(struct fstab *fstab, size_t i, enum field field, const char *value)
{
	struct fstab_line *line = line_of_entry(fstab, i);
	CLEANUP_FREE char *escaped = escape(value);
	struct text text = {0};
	const char *start;
	const char *gap;
	size_t gap_bytes;
	size_t bytes;

	if (!line || !find_field(line->text, field, &start, &bytes))
		return;
	gap = start + bytes;
	gap_bytes = strspn(gap, BLANKS);
	text_add(&text, line->text, (size_t)(start - line->text));
	text_add(&text, escaped, strlen(escaped));
	if (gap[gap_bytes])
		add_gap(&text, gap, gap_bytes, columns(line->text, (size_t)(gap + gap_bytes - line->text)));
	else
		text_add(&text, gap, gap_bytes);
	text_add(&text, gap + gap_bytes, strlen(gap + gap_bytes));
	free(line->text);
	line->text = text_take(&text);
	read_fields(line);
}

void fstab_set_spec(struct fstab *fstab, size_t i, const char *spec)
{
	set_field(fstab, i, FIELD_SPEC, spec);
}

void fstab_set_options(struct fstab *fstab, size_t i, const char *options)
{
	set_field(fstab, i, FIELD_OPTIONS, options);
}

void fstab_comment_out(struct fstab *fstab, size_t i)
{
	struct fstab_line *line = line_of_entry(fstab, i);
	char *text;

	if (!line)
		return;
	text = xasprintf("#%s", line->text);
	free(line->text);
	line->text = text;
	read_fields(line);
}

bool fstab_has_option(const char *options, const char *word, char **ret_value)
{
	size_t word_bytes = strlen(word);

	while (*options) {
		size_t bytes = strcspn(options, ",");

		if (bytes >= word_bytes && memcmp(options, word, word_bytes) == 0 &&
		    (bytes == word_bytes || options[word_bytes] == '=')) {
			bool has_value = bytes > word_bytes;

			if (ret_value)
				*ret_value =
					has_value ? xstrndup(options + word_bytes + 1, bytes - word_bytes - 1)
						  : xstrdup("");
			return true;
		}
		options += bytes;
		options += *options == ',';
	}
	return false;
}

char *fstab_format(const struct fstab *fstab)
{
	struct text text = {0};

	for (size_t i = 0; i < fstab->count; i++) {
		text_add(&text, fstab->lines[i].text, strlen(fstab->lines[i].text));
		if (i + 1 < fstab->count || fstab->ends_with_newline)
			text_add(&text, "\n", 1);
	}
	return text_take(&text);
}
