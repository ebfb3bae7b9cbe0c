/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading a kernel's module lists, and finding all that a module needs.
 *
 * Paths in modules.dep are relative to the modules folder; module-init-tools
 * before 3.7 wrote them absolute, which is accepted.  Soft dependencies set in
 * /etc/modprobe.d are left out: those are an administrator's wish for the
 * running system, not a need of the driver.
 */
#include "inject-drivers/modules.h"

#include <fnmatch.h>
#include <string.h>

#include "p2v/base/mem.h"

const char *const module_tree_files[] = {
	"modules.dep",
	"modules.softdep",
	"modules.builtin",
	"modules.alias",
	"modules.order",
	"modules.builtin.modinfo",
	NULL,
};

void module_name_normalise(char *name)
{
	for (; *name; name++) {
		if (*name == '-')
			*name = '_';
	}
}

char *module_name_of_file(const char *path)
{
	static const char *const suffixes[] = {".ko", ".ko.gz", ".ko.xz", ".ko.zst"};
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;

	for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
		if (str_ends_with(base, suffixes[i]) && strlen(base) > strlen(suffixes[i])) {
			char *name = xstrndup(base, strlen(base) - strlen(suffixes[i]));

			module_name_normalise(name);
			return name;
		}
	}
	return NULL;
}

static int compare_modules(const void *a, const void *b)
{
	return strcmp(((const struct module *)a)->name, ((const struct module *)b)->name);
}

/* The files are copied to the host by these names. */
static bool climbs(const char *path)
{
	return str_starts_with(path, "../") || strstr(path, "/../");
}

/* "kernel/a.ko: kernel/b.ko kernel/c.ko" */
static void add_dep_line(struct module_tree *tree, char *line)
{
	char *colon = strchr(line, ':');
	char *name;

	if (!colon || climbs(line))
		return;
	*colon = '\0';
	name = module_name_of_file(line);
	if (!name)
		return;
	array_grow(tree->modules, tree->count, tree->capacity);
	tree->modules[tree->count++] = (struct module){name, xstrdup(line), xstrdup(colon + 1)};
}

/* Takes the modules folder off the front of absolute paths. */
static void make_relative(const struct module_tree *tree, char *text)
{
	CLEANUP_FREE char *prefix = xasprintf("/lib/modules/%s/", strrchr(tree->dir, '/') + 1);
	size_t prefix_bytes = strlen(prefix);

	for (char *at = strstr(text, prefix); at; at = strstr(at, prefix))
		memmove(at, at + prefix_bytes, strlen(at + prefix_bytes) + 1);
}

static void parse_dep(struct module_tree *tree, char *text)
{
	char *rest = text;
	const char *line;

	if (text[0] == '/')
		make_relative(tree, text);
	while ((line = strsep(&rest, "\n")))
		add_dep_line(tree, (char *)line);
	if (tree->count)
		qsort(tree->modules, tree->count, sizeof *tree->modules, compare_modules);
}

static void parse_built_in(struct module_tree *tree, char *text)
{
	char *rest = text;
	const char *line;

	while ((line = strsep(&rest, "\n"))) {
		CLEANUP_FREE char *name = module_name_of_file(line);

		if (name)
			strv_add(&tree->built_in, name);
	}
	strv_sort(&tree->built_in);
}

/* NULL for a missing file. */
static struct err *read_list(struct guest *guest, const char *dir, const char *name, char **ret_text)
{
	CLEANUP_FREE char *path = xasprintf("%s/%s", dir, name);
	size_t bytes;

	return guest_read(guest, path, ret_text, &bytes);
}

struct err *module_tree_read(struct guest *guest, const char *dir, struct module_tree *ret_tree)
{
	CLEANUP_MODULE_TREE struct module_tree tree = {.dir = xstrdup(dir)};
	CLEANUP_FREE char *dep = NULL;
	CLEANUP_FREE char *built_in = NULL;

	TRY(read_list(guest, dir, "modules.dep", &dep));
	if (!dep || !strchr(dir, '/'))
		return err_refused("%s/modules.dep is not there", dir);
	TRY(read_list(guest, dir, "modules.builtin", &built_in));
	TRY(read_list(guest, dir, "modules.softdep", &tree.softdep));
	TRY(read_list(guest, dir, "modules.alias", &tree.alias));
	if (!tree.softdep)
		tree.softdep = xstrdup("");
	if (!tree.alias)
		tree.alias = xstrdup("");
	parse_dep(&tree, dep);
	if (built_in)
		parse_built_in(&tree, built_in);
	*ret_tree = tree;
	tree = (struct module_tree){0};
	return NULL;
}

void module_tree_deinit(struct module_tree *tree)
{
	for (size_t i = 0; i < tree->count; i++) {
		free(tree->modules[i].name);
		free(tree->modules[i].file);
		free(tree->modules[i].needs);
	}
	free(tree->modules);
	strv_deinit(&tree->built_in);
	free(tree->dir);
	free(tree->softdep);
	free(tree->alias);
	*tree = (struct module_tree){0};
}

const struct module *module_tree_find(const struct module_tree *tree, const char *name)
{
	const struct module key = {.name = (char *)name};

	if (!tree->count)
		return NULL;
	return bsearch(&key, tree->modules, tree->count, sizeof key, compare_modules);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

bool module_tree_has_built_in(const struct module_tree *tree, const char *name)
{
	if (!tree->built_in.count)
		return false;
	return bsearch(&name, tree->built_in.items, tree->built_in.count, sizeof name, compare_names);
}

/* Adds the modules that an alias stands for: "alias PATTERN MODULE" lines. */
static void add_by_alias(const struct module_tree *tree, const char *alias, struct strv *files)
{
	CLEANUP_FREE char *text = xstrdup(tree->alias);
	char *rest = text;
	char *line;

	while ((line = strsep(&rest, "\n"))) {
		const char *word = strsep(&line, " ");
		char *pattern = strsep(&line, " ");
		char *module = strsep(&line, " ");

		if (!module || strcmp(word, "alias") != 0)
			continue;
		module_name_normalise(pattern);
		if (fnmatch(pattern, alias, 0) == 0)
			module_tree_add_needed(tree, module, files);
	}
}

/* "softdep NAME pre: a b post: c"; kmod also writes lines without "pre:". */
static void add_soft_needs(const struct module_tree *tree, const char *name, struct strv *files)
{
	CLEANUP_FREE char *text = xstrdup(tree->softdep);
	char *rest = text;
	char *line;

	while ((line = strsep(&rest, "\n"))) {
		const char *word = strsep(&line, " ");
		char *module = strsep(&line, " ");
		char *need;

		if (!module || strcmp(word, "softdep") != 0)
			continue;
		module_name_normalise(module);
		if (strcmp(module, name) != 0)
			continue;
		while ((need = strsep(&line, " "))) {
			if (!need[0] || str_ends_with(need, ":"))
				continue;
			module_name_normalise(need);
			if (module_tree_find(tree, need))
				module_tree_add_needed(tree, need, files);
			else
				add_by_alias(tree, need, files);
		}
	}
}

void module_tree_add_needed(const struct module_tree *tree, const char *name, struct strv *files)
{
	const struct module *module = module_tree_find(tree, name);
	CLEANUP_STRV struct strv needs = {0};

	/* That it is in the list already also ends circles. */
	if (!module || strv_has(files, module->file))
		return;
	strv_add(files, module->file);
	strv_split(&needs, module->needs, " ");
	for (size_t i = 0; i < needs.count; i++) {
		CLEANUP_FREE char *need = module_name_of_file(needs.items[i]);

		if (need)
			module_tree_add_needed(tree, need, files);
	}
	add_soft_needs(tree, name, files);
}
