/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "p2v/guest/conf.h"

#include <ctype.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/base/strv.h"

void conf_deinit(struct conf *conf)
{
	for (size_t i = 0; i < conf->count; i++) {
		free(conf->items[i].section);
		free(conf->items[i].key);
		free(conf->items[i].value);
	}
	free(conf->items);
	*conf = (struct conf){0};
}

const char *conf_get(const struct conf *conf, const char *section, const char *key)
{
	for (size_t i = conf->count; i-- > 0;) {
		if (strcasecmp(conf->items[i].section, section) == 0 &&
		    strcasecmp(conf->items[i].key, key) == 0)
			return conf->items[i].value;
	}
	return NULL;
}

/* Takes the three strings. */
static void add_item(struct conf *conf, char *section, char *key, char *value)
{
	array_grow(conf->items, conf->count, conf->capacity);
	conf->items[conf->count++] = (struct conf_item){section, key, value};
}

/* A copy of [start, end) without white space at both ends. */
static char *copy_trimmed(const char *start, const char *end)
{
	while (start < end && isspace((unsigned char)*start))
		start++;
	while (end > start && isspace((unsigned char)end[-1]))
		end--;
	return xstrndup(start, (size_t)(end - start));
}

/* The next line, with those that a backslash at its end joins to it; the caller frees it. */
static char *next_line(const char **text)
{
	struct text line = {0};
	const char *at = *text;

	for (;;) {
		size_t bytes = strcspn(at, "\n");
		bool continued = bytes > 0 && at[bytes - 1] == '\\' && at[bytes] == '\n';

		text_add(&line, at, continued ? bytes - 1 : bytes);
		at += bytes;
		at += *at == '\n';
		if (!continued)
			break;
		text_add(&line, " ", 1);
	}
	*text = at;
	return text_take(&line);
}

void conf_read_ini(const char *text, struct conf *ret_conf)
{
	CLEANUP_FREE char *section = xstrdup("");

	for (const char *rest = text ? text : ""; *rest;) {
		CLEANUP_FREE char *line = next_line(&rest);
		const char *start = line + strspn(line, " \t");
		const char *equals = strchr(start, '=');
		const char *bracket = strrchr(start, ']');

		if (*start == '#' || *start == ';')
			continue;
		if (*start == '[' && bracket) {
			free(section);
			section = xstrndup(start + 1, (size_t)(bracket - start - 1));
		} else if (equals) {
			add_item(ret_conf, xstrdup(section), copy_trimmed(start, equals),
				 copy_trimmed(equals + 1, equals + 1 + strlen(equals + 1)));
		}
	}
}

/* The word at text as the shell would read it, without expansion: up to white space, ';' or '#'. */
static char *unquote(const char *at)
{
	struct text word = {0};
	char quote = '\0';

	for (; *at; at++) {
		if (!quote && (isspace((unsigned char)*at) || *at == ';'))
			break;
		if (*at == quote)
			quote = '\0';
		else if (!quote && (*at == '"' || *at == '\''))
			quote = *at;
		else if (*at == '\\' && quote != '\'' && at[1] && (!quote || strchr("\"\\$`", at[1])))
			text_add(&word, ++at, 1);
		else
			text_add(&word, at, 1);
	}
	return text_take(&word);
}

void conf_read_shell(const char *text, struct conf *ret_conf)
{
	for (const char *rest = text ? text : ""; *rest;) {
		CLEANUP_FREE char *line = next_line(&rest);
		const char *start = line + strspn(line, " \t");
		const char *equals;
		size_t key_bytes;

		if (str_starts_with(start, "export "))
			start += 7 + strspn(start + 7, " \t");
		equals = strchr(start, '=');
		key_bytes = strspn(start, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
		if (key_bytes > 0 && equals == start + key_bytes)
			add_item(ret_conf, xstrdup(""), xstrndup(start, key_bytes), unquote(equals + 1));
	}
}
