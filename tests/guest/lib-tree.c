/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/guest/lib-tree.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "p2v/base/remove-tree.h"
#include "p2v/guest/dirtree.h"
#include "tests/base/lib-must.h"

char *tree_host_path(const struct tree *tree, const char *path)
{
	return xasprintf("%s%s", tree->root, path);
}

static void make_parents(const char *host_path)
{
	for (const char *slash = strchr(host_path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		CLEANUP_FREE char *dir = xstrndup(host_path, (size_t)(slash - host_path));

		if (mkdir(dir, 0755) < 0)
			assert_int_equal(errno, EEXIST);
	}
}

void tree_add_bytes(struct tree *tree, const char *path, const void *data, size_t bytes)
{
	CLEANUP_FREE char *host_path = tree_host_path(tree, path);
	CLEANUP_FCLOSE FILE *file = NULL;

	make_parents(host_path);
	file = fopen(host_path, "we");
	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, bytes, file), bytes);
}

void tree_add(struct tree *tree, const char *path, const char *content)
{
	CLEANUP_FREE char *host_path = tree_host_path(tree, path);

	if (str_ends_with(path, "/")) {
		make_parents(host_path);
	} else if (str_starts_with(content, "->")) {
		make_parents(host_path);
		assert_int_equal(symlink(content + 2, host_path), 0);
	} else {
		tree_add_bytes(tree, path, content, strlen(content));
	}
}

struct tree *tree_create(const struct tree_entry *entries)
{
	struct tree *tree = xcalloc(1, sizeof *tree);
	const char *parent = getenv("TMPDIR");
	CLEANUP_FREE char *dir = xasprintf("%s/p2v-test.XXXXXX", parent ? parent : "/tmp");

	assert_non_null(mkdtemp(dir));
	tree->root = xasprintf("%s/guest", dir);
	assert_int_equal(mkdir(tree->root, 0755), 0);
	for (const struct tree_entry *entry = entries; entry && entry->path; entry++)
		tree_add(tree, entry->path, entry->content);
	must(guest_open_directory(tree->root, &tree->guest));
	return tree;
}

void tree_destroy(struct tree *tree)
{
	if (!tree)
		return;
	guest_destroy(tree->guest);
	*strrchr(tree->root, '/') = '\0';
	assert_true(remove_tree(tree->root));
	free(tree->root);
	free(tree);
}

char *tree_read(struct tree *tree, const char *path)
{
	char *data = NULL;
	size_t bytes;

	must(guest_read(tree->guest, path, &data, &bytes));
	return data;
}

char *corpus_path(const char *name)
{
	const char *root = getenv("P2V_CORPORA");
	CLEANUP_FREE char *path = xasprintf("%s/%s", root ? root : "../shared/corpora", name);

	return access(path, R_OK) == 0 ? take_ptr(path) : NULL;
}

char *read_host(const char *path, size_t *ret_bytes)
{
	CLEANUP_FCLOSE FILE *file = fopen(path, "re");
	struct stat st;
	char *data;

	if (!file || fstat(fileno(file), &st) < 0)
		return NULL;
	data = xmalloc((size_t)st.st_size + 1);
	*ret_bytes = fread(data, 1, (size_t)st.st_size, file);
	data[*ret_bytes] = '\0';
	return data;
}
