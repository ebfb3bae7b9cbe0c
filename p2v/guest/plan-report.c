/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A plan as people and programs read it.  Every change can be taken back from
 * the JSON form: text by its diff, other small content by the old bytes in
 * base64, a large file by its backup.
 */
#include "p2v/guest/plan-impl.h"

#include <inttypes.h>
#include <openssl/evp.h>

#include "p2v/base/mem.h"
#include "p2v/guest/diff.h"

static const char *action_name(const struct change *change)
{
	switch (change->action) {
	case CHANGE_WRITE:
	case CHANGE_UPLOAD:
		return change->before.stat.kind == GUEST_MISSING ? "create" : "change";
	case CHANGE_SYMLINK:
		return "link";
	case CHANGE_REMOVE:
		break;
	}
	return "remove";
}

static const char *severity_name(enum finding_severity severity)
{
	static const char *const names[] = {"note", "warning", "stop"};

	return names[severity];
}

static const char *kind_name(enum guest_kind kind)
{
	static const char *const names[] = {"missing", "file", "directory", "symlink", "other"};

	return names[kind];
}

/* Bytes of a UTF-8 sequence at data, 0 if it is none (RFC 3629 section 4). */
static size_t utf8_bytes(const unsigned char *data, size_t bytes)
{
	static const struct {
		unsigned char first_min, first_max, second_min, second_max, length;
	} forms[] = {
		{0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
		{0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
		{0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
	};

	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		if (data[0] < forms[i].first_min || data[0] > forms[i].first_max)
			continue;
		if (forms[i].length > bytes || data[1] < forms[i].second_min || data[1] > forms[i].second_max)
			return 0;
		for (size_t k = 2; k < forms[i].length; k++) {
			if ((data[k] & 0xc0) != 0x80)
				return 0;
		}
		return forms[i].length;
	}
	return 0;
}

bool plan_is_text(const char *data, size_t bytes)
{
	const unsigned char *at = (const unsigned char *)data;
	const unsigned char *end = at + bytes;

	while (at < end) {
		size_t n = 1;

		if (*at >= 0x80)
			n = utf8_bytes(at, (size_t)(end - at));
		else if (*at < 0x20 && !(*at >= '\t' && *at <= '\r'))
			return false;
		if (n == 0 || *at == 0x7f)
			return false;
		at += n;
	}
	return true;
}

/* A side that a unified diff can show: nothing, or text held in memory. */
static bool side_is_text(const struct change_side *side)
{
	if (side->stat.kind == GUEST_FILE)
		return side->data && plan_is_text(side->data, side->bytes);
	return side->stat.kind == GUEST_MISSING;
}

static bool has_diff(const struct change *change)
{
	return side_is_text(&change->before) && side_is_text(&change->after);
}

static void add_diff(const struct change *change, struct text *text)
{
	CLEANUP_FREE char *before_name = xasprintf("a%s", change->path);
	CLEANUP_FREE char *after_name = xasprintf("b%s", change->path);
	struct diff_text before = {.name = before_name};
	struct diff_text after = {.name = after_name};

	if (change->before.stat.kind == GUEST_MISSING)
		before.name = "/dev/null";
	if (change->after.stat.kind == GUEST_MISSING)
		after.name = "/dev/null";
	before.data = change->before.data ? change->before.data : "";
	before.bytes = change->before.bytes;
	after.data = change->after.data ? change->after.data : "";
	after.bytes = change->after.bytes;
	diff_format_unified(&before, &after, text);
}

static void add_side_line(const char *sign, const struct change_side *side, struct text *text)
{
	switch (side->stat.kind) {
	case GUEST_MISSING:
		break;
	case GUEST_FILE:
		text_addf(text, "%s %" PRIu64 " bytes, sha256 %s\n", sign, side->stat.size_bytes,
			  side->sha256);
		break;
	case GUEST_SYMLINK:
		text_addf(text, "%s -> %s\n", sign, side->target);
		break;
	case GUEST_DIRECTORY:
	case GUEST_OTHER:
		text_addf(text, "%s %s\n", sign, kind_name(side->stat.kind));
		break;
	}
}

static void format_change(const struct change *change, struct text *text)
{
	text_addf(text, "%s: %s %s: %s\n", change->author, action_name(change), change->path, change->reason);
	if (change->backup_path)
		text_addf(text, "the old file is kept as %s\n", change->backup_path);
	if (has_diff(change)) {
		add_diff(change, text);
	} else {
		add_side_line("-", &change->before, text);
		add_side_line("+", &change->after, text);
	}
	text_add(text, "\n", 1);
}

struct err *plan_format(struct plan *plan, struct text *ret_text)
{
	for (size_t i = 0; i < plan->change_count; i++)
		format_change(&plan->changes[i], ret_text);
	for (size_t i = 0; i < plan->finding_count; i++) {
		const struct finding *finding = &plan->findings[i];

		text_addf(ret_text, "%s: %s: %s\n", finding->author, severity_name(finding->severity),
			  finding->text);
	}
	return NULL;
}

static json_t *side_to_json(const struct change_side *side)
{
	json_t *object;

	if (side->stat.kind == GUEST_MISSING)
		return json_null();
	object = json_object();
	json_set_string(object, "kind", kind_name(side->stat.kind));
	if (side->stat.kind == GUEST_SYMLINK) {
		json_set_string(object, "target", side->target);
		return object;
	}
	json_set_u64(object, "mode", side->stat.mode);
	json_set_u64(object, "uid", side->stat.uid);
	json_set_u64(object, "gid", side->stat.gid);
	if (side->stat.kind == GUEST_FILE) {
		json_set_u64(object, "size_bytes", side->stat.size_bytes);
		json_set_string(object, "sha256", side->sha256);
	}
	return object;
}

static void set_base64(json_t *object, const char *key, const char *data, size_t bytes)
{
	CLEANUP_FREE char *text = xmalloc((bytes + 2) / 3 * 4 + 1);

	EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)data, (int)bytes);
	json_set_string(object, key, text);
}

static json_t *change_to_json(const struct change *change)
{
	json_t *object = json_object();

	json_set_string(object, "author", change->author);
	json_set_string(object, "action", action_name(change));
	json_set_string(object, "path", change->path);
	json_set_string(object, "reason", change->reason);
	json_object_set_new(object, "before", side_to_json(&change->before));
	json_object_set_new(object, "after", side_to_json(&change->after));
	if (has_diff(change)) {
		CLEANUP_TEXT struct text diff = {0};

		add_diff(change, &diff);
		json_set_string(object, "diff", diff.data ? diff.data : "");
	} else if (change->before.data) {
		set_base64(object, "before_base64", change->before.data, change->before.bytes);
	}
	if (change->backup_path)
		json_set_string(object, "backup_path", change->backup_path);
	return object;
}

struct err *plan_to_json(struct plan *plan, json_t **ret_json)
{
	json_t *object = json_object();
	json_t *changes = json_array();
	json_t *findings = json_array();

	for (size_t i = 0; i < plan->change_count; i++)
		json_array_append_new(changes, change_to_json(&plan->changes[i]));
	for (size_t i = 0; i < plan->finding_count; i++) {
		json_t *finding = json_object();

		json_set_string(finding, "author", plan->findings[i].author);
		json_set_string(finding, "severity", severity_name(plan->findings[i].severity));
		json_set_string(finding, "text", plan->findings[i].text);
		json_array_append_new(findings, finding);
	}
	json_object_set_new(object, "changes", changes);
	json_object_set_new(object, "findings", findings);
	*ret_json = object;
	return NULL;
}
