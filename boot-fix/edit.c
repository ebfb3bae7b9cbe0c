/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Line by line editing.  A line is handed on without its '\n'; a '\r' before
 * that stays part of the line and counts as a blank, so files with DOS line
 * ends keep them.  What is not looked at: shell assignments that go on over
 * several lines, of which only the first is seen.
 */
#include "boot-fix/edit.h"

#include <fnmatch.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/guest/path.h"

#define BLANKS " \t\r"

char *edit_lines(const char *data, size_t bytes, edit_line_fn fn, void *arg)
{
	CLEANUP_TEXT struct text out = {0};
	bool changed = false;

	if (memchr(data, '\0', bytes))
		return NULL;
	for (const char *at = data, *end = data + bytes; at < end;) {
		size_t line_bytes = strcspn(at, "\n");
		CLEANUP_FREE char *line = xstrndup(at, line_bytes);
		const char *rest = at + line_bytes + (at[line_bytes] == '\n');
		CLEANUP_FREE char *edited = fn(arg, line, rest);

		if (edited && strcmp(edited, line)) {
			changed = true;
			text_add(&out, edited, strlen(edited));
		} else {
			text_add(&out, line, line_bytes);
		}
		text_add(&out, at + line_bytes, (size_t)(rest - at) - line_bytes);
		at = rest;
	}
	return changed ? text_take(&out) : NULL;
}

struct err *edit_file(struct plan *plan, const char *path, edit_line_fn fn, void *arg,
		      char *(*reason)(void *arg))
{
	CLEANUP_FREE char *data = NULL;
	size_t bytes = 0;

	TRY(plan_read(plan, path, &data, &bytes));
	if (!data)
		return NULL;

	CLEANUP_FREE char *edited = edit_lines(data, bytes, fn, arg);
	if (!edited)
		return NULL;

	CLEANUP_FREE char *why = reason(arg);
	return plan_write(plan, path, edited, strlen(edited), "%s", why);
}

struct err *edit_visit(struct plan *plan, const char *path, edit_line_fn fn, void *arg)
{
	CLEANUP_FREE char *data = NULL;
	size_t bytes = 0;

	TRY(plan_read(plan, path, &data, &bytes));
	if (data)
		free(edit_lines(data, bytes, fn, arg));
	return NULL;
}

char *edit_comment_out(const char *line, const char *why)
{
	return xasprintf("# p2v: %s\n#%s", why, line);
}

struct err *edit_expand(struct plan *plan, const char *pattern, struct strv *paths)
{
	size_t fixed_bytes = strcspn(pattern, "*?");

	if (!pattern[fixed_bytes]) {
		struct guest_stat st;

		TRY(plan_stat(plan, pattern, &st));
		if (st.kind == GUEST_FILE)
			strv_add(paths, pattern);
		return NULL;
	}
	while (fixed_bytes && pattern[fixed_bytes - 1] != '/')
		fixed_bytes--;

	CLEANUP_FREE char *dir = xstrndup(pattern, fixed_bytes > 1 ? fixed_bytes - 1 : 1);
	size_t component_bytes = strcspn(pattern + fixed_bytes, "/");
	CLEANUP_FREE char *component = xstrndup(pattern + fixed_bytes, component_bytes);
	CLEANUP_STRV struct strv names = {0};

	TRY(plan_list(plan, dir, &names));
	for (size_t i = 0; i < names.count; i++) {
		if (fnmatch(component, names.items[i], FNM_PERIOD))
			continue;

		CLEANUP_FREE char *found = path_join(dir, names.items[i]);
		CLEANUP_FREE char *deeper = xasprintf("%s%s", found, pattern + fixed_bytes + component_bytes);
		TRY(edit_expand(plan, deeper, paths));
	}
	return NULL;
}

size_t edit_split_fields(const char *line, struct span *fields, size_t max)
{
	size_t count = 0, at = strspn(line, BLANKS);

	if (line[at] == '#')
		return 0;
	while (line[at] && count < max) {
		fields[count].start = at;
		at += strcspn(line + at, BLANKS);
		fields[count++].end = at;
		at += strspn(line + at, BLANKS);
	}
	return count;
}

char *edit_piece(const char *line, struct span piece)
{
	return xstrndup(line + piece.start, piece.end - piece.start);
}

char *edit_replace_piece(const char *line, struct span piece, const char *text)
{
	return xasprintf("%.*s%s%s", (int)piece.start, line, text, line + piece.end);
}

void edit_replace_in(char **line, const char *original, struct span piece, const char *text)
{
	char *edited = edit_replace_piece(*line ? *line : original, piece, text);

	free(*line);
	*line = edited;
}

bool edit_find_assignment(const char *line, struct shell_value *ret_value)
{
	size_t at = strspn(line, BLANKS);
	struct shell_value found = {0};

	if (str_starts_with(line + at, "export") && strchr(BLANKS, line[at + 6]))
		at += 6 + strspn(line + at + 6, BLANKS);
	found.name.start = at;
	at += strspn(line + at, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
	found.name.end = at;
	if (found.name.start == found.name.end)
		return false;
	if (line[at] == '+')
		at++;
	if (line[at] != '=')
		return false;
	at++;
	if (line[at] == '"' || line[at] == '\'')
		found.quote = line[at++];
	found.value.start = at;
	while (line[at] && (found.quote ? line[at] != found.quote : !strchr(" \t\r;", line[at]))) {
		if (line[at] == '\\' && line[at + 1] && found.quote != '\'')
			at++;
		at++;
	}
	found.value.end = at;
	*ret_value = found;
	return true;
}

char *edit_replace_value(const char *line, const struct shell_value *value, const char *text)
{
	if (value->quote || !text[strcspn(text, " \t\"'$`\\;&|<>()#*?~")])
		return edit_replace_piece(line, value->value, text);

	CLEANUP_FREE char *quoted = xasprintf("\"%s\"", text);
	return edit_replace_piece(line, value->value, quoted);
}
