/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A parser by descent.  Depth is bounded, and a node takes memory in proportion
 * to its text.  Left out: floating point numbers and nested lists, which LVM2's
 * metadata does not have.
 */
#include "capture/lvm-text.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"

#define MAX_DEPTH 16

struct parser {
	const char *text, *at, *end;
};

static void node_deinit(struct lvm_node *node)
{
	for (size_t i = 0; i < node->child_count; i++)
		node_deinit(&node->children[i]);
	free(node->children);
	free(node->name);
	strv_deinit(&node->values);
}

void lvm_node_destroy(struct lvm_node *root)
{
	if (root)
		node_deinit(root);
	free(root);
}

static struct err *nonsense(const struct parser *parser)
{
	return err_refused("its LVM metadata makes no sense at character %zu",
			   (size_t)(parser->at - parser->text));
}

/* Comments run to the end of the line. */
static void skip_space(struct parser *parser)
{
	while (parser->at < parser->end) {
		if (*parser->at == '#')
			while (parser->at < parser->end && *parser->at != '\n')
				parser->at++;
		else if (isspace((unsigned char)*parser->at) || !*parser->at)
			parser->at++;
		else
			return;
	}
}

/* Takes the character if it is the next one. */
static bool take(struct parser *parser, char wanted)
{
	skip_space(parser);
	if (parser->at == parser->end || *parser->at != wanted)
		return false;
	parser->at++;
	return true;
}

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || strchr("-_.+/:@", c);
}

/* A name or a number. */
static char *take_word(struct parser *parser)
{
	const char *start;

	skip_space(parser);
	start = parser->at;
	while (parser->at < parser->end && *parser->at && is_word(*parser->at))
		parser->at++;
	return parser->at > start ? xstrndup(start, parser->at - start) : NULL;
}

static struct err *parse_string(struct parser *parser, struct strv *values)
{
	CLEANUP_TEXT struct text value = {0};

	text_add(&value, "", 0);
	for (; parser->at < parser->end && *parser->at != '"'; parser->at++) {
		if (*parser->at == '\\' && parser->end - parser->at > 1)
			parser->at++;
		text_add(&value, parser->at, 1);
	}
	if (parser->at == parser->end)
		return nonsense(parser);
	parser->at++;
	strv_add(values, value.data);
	return NULL;
}

static struct err *parse_value(struct parser *parser, struct strv *values)
{
	CLEANUP_FREE char *word = NULL;

	if (take(parser, '"'))
		return parse_string(parser, values);
	word = take_word(parser);
	if (!word)
		return nonsense(parser);
	strv_add(values, word);
	return NULL;
}

static struct err *parse_values(struct parser *parser, struct strv *values)
{
	if (!take(parser, '['))
		return parse_value(parser, values);
	while (!take(parser, ']')) {
		TRY(parse_value(parser, values));
		take(parser, ',');
	}
	return NULL;
}

static struct err *parse_members(struct parser *parser, struct lvm_node *section, unsigned depth);

static struct err *parse_member(struct parser *parser, struct lvm_node *section, unsigned depth)
{
	CLEANUP_FREE char *name = take_word(parser);
	struct lvm_node *node;

	if (!name || depth > MAX_DEPTH)
		return nonsense(parser);
	array_grow(section->children, section->child_count, section->child_capacity);
	node = &section->children[section->child_count++];
	*node = (struct lvm_node){.name = take_ptr(name)};
	if (take(parser, '=') || take(parser, '{')) {
		if (parser->at[-1] == '=')
			return parse_values(parser, &node->values);
		TRY(parse_members(parser, node, depth + 1));
		return take(parser, '}') ? NULL : nonsense(parser);
	}
	return nonsense(parser);
}

static struct err *parse_members(struct parser *parser, struct lvm_node *section, unsigned depth)
{
	for (skip_space(parser); parser->at < parser->end && *parser->at != '}'; skip_space(parser))
		TRY(parse_member(parser, section, depth));
	return NULL;
}

struct err *lvm_text_parse(const char *text, size_t bytes, struct lvm_node **ret_root)
{
	CLEANUP_LVM_NODE struct lvm_node *root = xcalloc(1, sizeof *root);
	struct parser parser = {text, text, text + bytes};

	TRY(parse_members(&parser, root, 0));
	if (parser.at != parser.end)
		return nonsense(&parser);
	*ret_root = take_ptr(root);
	return NULL;
}

const struct lvm_node *lvm_node_find(const struct lvm_node *section, const char *name)
{
	for (size_t i = 0; section && i < section->child_count; i++)
		if (!strcmp(section->children[i].name, name))
			return &section->children[i];
	return NULL;
}

const char *lvm_node_text(const struct lvm_node *section, const char *name)
{
	const struct lvm_node *node = lvm_node_find(section, name);

	return node && node->values.count == 1 ? node->values.items[0] : NULL;
}

struct err *lvm_number(const char *text, uint64_t *ret_number)
{
	uint64_t number;
	char *end;

	errno = 0;
	if (!isdigit((unsigned char)*text))
		return err_refused("its LVM metadata has '%s' where a number must be", text);
	number = strtoull(text, &end, 10);
	if (*end || errno)
		return err_refused("its LVM metadata has '%s' where a number must be", text);
	*ret_number = number;
	return NULL;
}

struct err *lvm_node_number(const struct lvm_node *section, const char *name, uint64_t *ret_number)
{
	const char *text = lvm_node_text(section, name);

	if (!text)
		return err_refused("its LVM metadata does not say %s", name);
	return lvm_number(text, ret_number);
}
