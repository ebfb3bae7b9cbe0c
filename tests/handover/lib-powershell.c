/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Rules: about_Quoting_Rules, about_Comments.  Here-strings and block comments
 * are refused, since what p2v writes has none.
 */
#include "tests/handover/lib-powershell.h"

#include <stdbool.h>
#include <string.h>

struct lexer {
	const char *at;
	unsigned line;
	struct powershell *tokens;
};

/* Bytes of a quote character at s that ends a single-quoted string, 0 if it is none. */
static size_t single_quote_bytes(const char *s)
{
	if (*s == '\'')
		return 1;
	return !strncmp(s, "\xe2\x80", 2) && s[2] >= '\x98' && s[2] <= '\x9b' ? 3 : 0;
}

static const char *lex_code(struct lexer *lexer, char closing);

static const char *lex_single(struct lexer *lexer)
{
	CLEANUP_TEXT struct text literal = {0};

	lexer->at += single_quote_bytes(lexer->at);
	while (*lexer->at) {
		size_t bytes = single_quote_bytes(lexer->at);

		if (bytes) {
			size_t next = single_quote_bytes(lexer->at + bytes);

			if (!next) {
				lexer->at += bytes;
				strv_add(&lexer->tokens->literals, literal.data ? literal.data : "");
				text_addf(&lexer->tokens->code, "''");
				return NULL;
			}
			text_add(&literal, lexer->at, bytes);
			lexer->at += bytes + next;
			continue;
		}
		lexer->line += *lexer->at == '\n';
		text_add(&literal, lexer->at++, 1);
	}
	return "a single-quoted string does not end";
}

static const char *lex_double(struct lexer *lexer)
{
	lexer->at++;
	text_addf(&lexer->tokens->code, "\"\"");
	for (; *lexer->at; lexer->at++) {
		if (*lexer->at == '"') {
			lexer->at++;
			if (*lexer->at != '"')
				return NULL;
		} else if (*lexer->at == '`' && lexer->at[1]) {
			lexer->at++;
		} else if (!strncmp(lexer->at, "$(", 2)) {
			const char *wrong;

			lexer->at += 2;
			wrong = lex_code(lexer, ')');
			if (wrong)
				return wrong;
			lexer->at--;
		}
		lexer->line += *lexer->at == '\n';
	}
	return "a double-quoted string does not end";
}

/* Up to and with the closing bracket; '\0' for the whole script. */
static const char *lex_code(struct lexer *lexer, char closing)
{
	const char *wrong = NULL;

	while (!wrong && *lexer->at) {
		char c = *lexer->at;

		if (c == closing) {
			lexer->at++;
			return NULL;
		}
		if (single_quote_bytes(lexer->at)) {
			wrong = lex_single(lexer);
		} else if (c == '"') {
			wrong = lex_double(lexer);
		} else if (c == '#') {
			lexer->at += strcspn(lexer->at, "\n");
		} else if (strchr("({[", c)) {
			text_add(&lexer->tokens->code, lexer->at++, 1);
			wrong = lex_code(lexer, c == '(' ? ')' : c == '{' ? '}' : ']');
		} else if (strchr(")}]", c)) {
			wrong = "a closing bracket has no opening one";
		} else if (c & 0x80) {
			wrong = "a character outside ASCII stands outside strings and comments";
		} else {
			lexer->line += c == '\n';
			text_add(&lexer->tokens->code, lexer->at++, 1);
		}
	}
	if (!wrong && closing)
		wrong = "a bracket is not closed";
	return wrong;
}

const char *powershell_lex(const char *script, struct powershell *ret_tokens, unsigned *ret_line)
{
	struct lexer lexer = {.at = script, .line = 1, .tokens = ret_tokens};
	const char *wrong;

	/* The byte order mark. */
	if (!strncmp(script, "\xef\xbb\xbf", 3))
		lexer.at += 3;
	wrong = strstr(script, "@'\r\n") || strstr(script, "<#")
			? "here-strings and block comments are not read"
			: lex_code(&lexer, '\0');
	*ret_line = lexer.line;
	return wrong;
}

void powershell_deinit(struct powershell *tokens)
{
	strv_deinit(&tokens->literals);
	text_deinit(&tokens->code);
}
