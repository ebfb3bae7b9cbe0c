/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The persistent setting, one function a tool.
 *
 * initramfs-tools: /etc/initramfs-tools/modules (initramfs-tools(7)): what it
 * lists is copied with all it needs and loaded at boot; on other hardware such a
 * load fails silently, as the initramfs calls `modprobe -qb`.
 *
 * dracut: add_drivers in a file of ours (dracut.conf(5)), which holds in
 * hostonly mode as well.  omit_drivers of the administrator's wins over it; that
 * is told, not changed, since those files are shell scripts.
 */
#include "inject-drivers/setting.h"

#include <string.h>

#include "inject-drivers/modules.h"
#include "p2v/base/mem.h"

#define BLOCK_BEGIN "# p2v: drivers that the virtual machine needs\n"
#define BLOCK_END "# p2v: end\n"
#define DRACUT_DIR "/etc/dracut.conf.d"

#define TOOLS_MODULES "/etc/initramfs-tools/modules"

const char *const setting_files[] = {TOOLS_MODULES, "/etc/dracut.conf", DRACUT_DIR,
				     "/usr/lib/dracut/dracut.conf.d", NULL};

static void add_normalised(struct strv *names, const char *name)
{
	CLEANUP_FREE char *copy = xstrdup(name);

	module_name_normalise(copy);
	strv_add(names, copy);
}

/* The first word of every line that is no comment. */
static void list_tools_modules(const char *text, struct strv *names)
{
	CLEANUP_STRV struct strv lines = {0};

	strv_split(&lines, text, "\n");
	for (size_t i = 0; i < lines.count; i++) {
		CLEANUP_STRV struct strv words = {0};

		strv_split(&words, lines.items[i], " \t\r");
		if (words.count && words.items[0][0] != '#')
			add_normalised(names, words.items[0]);
	}
}

static void add_missing(const struct strv *modules, const struct strv *listed, struct strv *missing)
{
	for (size_t i = 0; i < modules->count; i++) {
		if (!strv_has(listed, modules->items[i]))
			strv_add(missing, modules->items[i]);
	}
}

static char *join(const struct strv *words, const char *separator)
{
	CLEANUP_TEXT struct text text = {0};

	for (size_t i = 0; i < words->count; i++)
		text_addf(&text, "%s%s", i ? separator : "", words->items[i]);
	return text_take(&text);
}

char *setting_edit_tools_modules(const char *text, const struct strv *modules)
{
	CLEANUP_STRV struct strv listed = {0};
	CLEANUP_STRV struct strv missing = {0};
	CLEANUP_FREE char *lines = NULL;
	const char *begin = strstr(text, BLOCK_BEGIN);
	const char *end = begin ? strstr(begin, BLOCK_END) : NULL;

	list_tools_modules(text, &listed);
	add_missing(modules, &listed, &missing);
	if (!missing.count)
		return NULL;
	lines = join(&missing, "\n");
	if (end) /* into the block of an earlier run */
		return xasprintf("%.*s%s\n%s", (int)(end - text), text, lines, end);
	return xasprintf("%s%s" BLOCK_BEGIN "%s\n" BLOCK_END, text,
			 text[0] && !str_ends_with(text, "\n") ? "\n" : "", lines);
}

static struct err *plan_tools(const struct strv *modules, struct plan *plan)
{
	CLEANUP_FREE char *old = NULL;
	CLEANUP_FREE char *text = NULL;
	size_t bytes;

	TRY(plan_read(plan, TOOLS_MODULES, &old, &bytes));
	text = setting_edit_tools_modules(old ? old : "", modules);
	if (!text)
		return NULL;
	return plan_write(
		plan, TOOLS_MODULES, text, strlen(text),
		"it keeps the virtual machine's drivers in every initramfs that a kernel update makes");
}

/* "add_drivers+=" a b "": the words behind NAME= or NAME+= in shell text, comments left out. */
static void list_dracut_words(const char *text, const char *name, struct strv *words)
{
	CLEANUP_STRV struct strv lines = {0};

	strv_split(&lines, text, "\n");
	for (size_t i = 0; i < lines.count; i++) {
		CLEANUP_STRV struct strv parts = {0};
		const char *line = lines.items[i] + strspn(lines.items[i], " \t");

		if (!str_starts_with(line, name))
			continue;
		line += strlen(name);
		line += *line == '+';
		if (*line != '=')
			continue;
		strv_split(&parts, line + 1, " \t\"'\r");
		for (size_t k = 0; k < parts.count && parts.items[k][0] != '#'; k++)
			add_normalised(words, parts.items[k]);
	}
}

static void find_omitted(const char *path, const char *text, const struct strv *modules, struct plan *plan)
{
	CLEANUP_STRV struct strv omitted = {0};
	CLEANUP_STRV struct strv ours = {0};
	CLEANUP_FREE char *list = NULL;

	list_dracut_words(text, "omit_drivers", &omitted);
	for (size_t i = 0; i < omitted.count; i++) {
		if (strv_has(modules, omitted.items[i]))
			strv_add(&ours, omitted.items[i]);
	}
	if (!ours.count)
		return;
	list = join(&ours, ", ");
	plan_add_finding(plan, FINDING_WARNING,
			 "%s: omit_drivers names %s: the next kernel update would leave that out of the "
			 "initramfs, and the machine would not start; take it out of that line",
			 path, list);
}

static struct err *read_dracut_file(const char *path, const struct strv *modules, struct strv *listed,
				    struct plan *plan)
{
	CLEANUP_FREE char *text = NULL;
	size_t bytes;

	TRY(plan_read(plan, path, &text, &bytes));
	if (!text)
		return NULL;
	list_dracut_words(text, "add_drivers", listed);
	list_dracut_words(text, "force_drivers", listed);
	find_omitted(path, text, modules, plan);
	return NULL;
}

static struct err *read_dracut_files(const struct strv *modules, struct strv *listed, struct plan *plan)
{
	static const char *const folders[] = {DRACUT_DIR, "/usr/lib/dracut/dracut.conf.d"};

	TRY(read_dracut_file("/etc/dracut.conf", modules, listed, plan));
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		CLEANUP_STRV struct strv names = {0};

		TRY(plan_list(plan, folders[i], &names));
		for (size_t k = 0; k < names.count; k++) {
			CLEANUP_FREE char *path = xasprintf("%s/%s", folders[i], names.items[k]);

			if (str_ends_with(path, ".conf"))
				TRY(read_dracut_file(path, modules, listed, plan));
		}
	}
	return NULL;
}

static struct err *plan_dracut(const struct strv *modules, struct plan *plan)
{
	static const char path[] = DRACUT_DIR "/p2v.conf";
	CLEANUP_STRV struct strv listed = {0};
	CLEANUP_STRV struct strv missing = {0};
	CLEANUP_TEXT struct text text = {0};
	CLEANUP_FREE char *old = NULL;
	CLEANUP_FREE char *words = NULL;
	size_t bytes = 0;

	TRY(read_dracut_files(modules, &listed, plan));
	add_missing(modules, &listed, &missing);
	if (!missing.count)
		return NULL;
	TRY(plan_read(plan, path, &old, &bytes));
	words = join(&missing, " ");
	text_addf(&text, "%sadd_drivers+=\" %s \"\n", old ? old : BLOCK_BEGIN, words);
	return plan_write(
		plan, path, text.data, text.bytes,
		"it keeps the virtual machine's drivers in every initramfs that a kernel update makes");
}

static void find_unknown_tool(const struct strv *modules, const char *tool, const char *where,
			      struct plan *plan)
{
	CLEANUP_FREE char *words = join(modules, " ");

	plan_add_finding(plan, FINDING_WARNING,
			 "this guest's initramfs is made by %s, whose settings p2v does not write: add the "
			 "modules %s to %s before its next kernel update",
			 tool, words, where);
}

struct err *setting_plan(enum initramfs_tool tool, const struct strv *modules, struct plan *plan)
{
	if (!modules->count)
		return NULL;
	switch (tool) {
	case INITRAMFS_TOOLS:
		return plan_tools(modules, plan);
	case INITRAMFS_DRACUT:
		return plan_dracut(modules, plan);
	case INITRAMFS_MKINITCPIO:
		find_unknown_tool(modules, "mkinitcpio", "MODULES=() in /etc/mkinitcpio.conf", plan);
		break;
	case INITRAMFS_MKINITRD:
		find_unknown_tool(modules, "mkinitrd", "INITRD_MODULES in /etc/sysconfig/kernel", plan);
		break;
	case INITRAMFS_NONE:
		break;
	}
	return NULL;
}
