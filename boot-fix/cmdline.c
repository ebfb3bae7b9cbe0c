/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Words of a kernel command line.  The quoting is the least that the kernel,
 * GRUB and a shell have in common: enough to find where a word ends.  Names
 * with '$' in them are left to whoever expands them.
 */
#include "boot-fix/cmdline.h"

#include <string.h>

#include "boot-fix/edit.h"
#include "p2v/base/mem.h"
#include "p2v/base/strv.h"

#define BLANKS " \t\r"

static size_t word_bytes(const char *text)
{
	char quote = 0;
	size_t at = 0;

	for (; text[at] && (quote || !strchr(BLANKS, text[at])); at++) {
		if (text[at] == '\\' && text[at + 1] && quote != '\'')
			at++;
		else if (quote)
			quote = text[at] == quote ? 0 : quote;
		else if (text[at] == '"' || text[at] == '\'')
			quote = text[at];
	}
	return at;
}

void cmdline_parse(const char *text, struct cmdline *ret_cmdline)
{
	struct cmdline cmdline = {0};

	for (;;) {
		size_t blanks = strspn(text, BLANKS), bytes = word_bytes(text + blanks);

		if (!bytes)
			break;
		array_grow(cmdline.words, cmdline.count, cmdline.capacity);
		cmdline.words[cmdline.count++] = (struct cmdline_word){
			.blanks = xstrndup(text, blanks),
			.text = xstrndup(text + blanks, bytes),
		};
		text += blanks + bytes;
	}
	cmdline.tail = xstrdup(text);
	*ret_cmdline = cmdline;
}

static void word_deinit(struct cmdline_word *word)
{
	free(word->blanks);
	free(word->text);
}

void cmdline_deinit(struct cmdline *cmdline)
{
	for (size_t i = 0; i < cmdline->count; i++)
		word_deinit(&cmdline->words[i]);
	free(cmdline->words);
	free(cmdline->tail);
	*cmdline = (struct cmdline){0};
}

char *cmdline_format(const struct cmdline *cmdline)
{
	struct text text = {0};

	for (size_t i = 0; i < cmdline->count; i++)
		text_addf(&text, "%s%s", cmdline->words[i].blanks, cmdline->words[i].text);
	text_addf(&text, "%s", cmdline->tail);
	return text_take(&text);
}

static bool is_quote(char c)
{
	return c == '"' || c == '\'';
}

static bool names_equal(const char *a, const char *b, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if ((a[i] == '-' ? '_' : a[i]) != (b[i] == '-' ? '_' : b[i]))
			return false;
	return true;
}

/* Where in NAME=value, "NAME=value" or NAME="value" the value is; false if there is no '='. */
static bool find_value(const char *text, struct span *ret_value)
{
	const char *equals = strchr(text, '=');
	struct span value;

	if (!equals)
		return false;
	value.start = (size_t)(equals + 1 - text);
	value.end = strlen(text);
	if (value.end > value.start && is_quote(text[value.end - 1]) &&
	    (text[0] == text[value.end - 1] || text[value.start] == text[value.end - 1])) {
		if (text[value.start] == text[value.end - 1] && value.end - value.start > 1)
			value.start++;
		value.end--;
	}
	*ret_value = value;
	return true;
}

char *cmdline_value(const struct cmdline *cmdline, size_t i, const char *name)
{
	const char *text = cmdline->words[i].text;
	size_t quoted = is_quote(text[0]), name_bytes = strlen(name);
	struct span value;

	if (strlen(text) < quoted + name_bytes || !names_equal(text + quoted, name, name_bytes) ||
	    text[quoted + name_bytes] != '=' || !find_value(text, &value))
		return NULL;
	return edit_piece(text, value);
}

void cmdline_set_value(struct cmdline *cmdline, size_t i, const char *value)
{
	struct cmdline_word *word = &cmdline->words[i];
	struct span old;

	if (find_value(word->text, &old)) {
		char *text = edit_replace_piece(word->text, old, value);

		free(word->text);
		word->text = text;
	}
}

void cmdline_remove(struct cmdline *cmdline, size_t i)
{
	/* What was first stays at the start: the next word gets this one's blanks. */
	if (i == 0 && cmdline->count > 1) {
		char *blanks = cmdline->words[0].blanks;

		cmdline->words[0].blanks = cmdline->words[1].blanks;
		cmdline->words[1].blanks = blanks;
	}
	word_deinit(&cmdline->words[i]);
	cmdline->count--;
	memmove(&cmdline->words[i], &cmdline->words[i + 1], (cmdline->count - i) * sizeof *cmdline->words);
}

void cmdline_insert(struct cmdline *cmdline, size_t i, const char *word)
{
	array_grow(cmdline->words, cmdline->count, cmdline->capacity);
	memmove(&cmdline->words[i + 1], &cmdline->words[i], (cmdline->count - i) * sizeof *cmdline->words);
	cmdline->words[i] =
		(struct cmdline_word){.blanks = xstrdup(cmdline->count ? " " : ""), .text = xstrdup(word)};
	if (i == 0 && cmdline->count) {
		char *blanks = cmdline->words[0].blanks;

		cmdline->words[0].blanks = cmdline->words[1].blanks;
		cmdline->words[1].blanks = blanks;
	}
	cmdline->count++;
}
