/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A tree of nodes, each folder with its names sorted.  A node that was only
 * made on the way to another one has kind GUEST_MISSING: nothing is known of it
 * but that it is a folder.
 */
#include "p2v/guest/cache.h"

#include <archive.h>
#include <archive_entry.h>
#include <string.h>
#include <sys/stat.h>

#include "p2v/base/mem.h"
#include "p2v/guest/guest-impl.h"

struct node {
	char *name;
	struct guest_stat stat;
	char *target;
	char *data;
	size_t bytes;
	struct node **children; /* sorted by name */
	size_t child_count;
	size_t child_capacity;
	bool is_complete; /* all children are known */
	bool knows_link; /* target says whether it is a link, though nothing else may be known */
};

struct cache {
	struct node root;
};

struct cache *cache_create(void)
{
	return xcalloc(1, sizeof(struct cache));
}

static void node_deinit(struct node *node)
{
	for (size_t i = 0; i < node->child_count; i++) {
		node_deinit(node->children[i]);
		free(node->children[i]);
	}
	free(node->children);
	free(node->name);
	free(node->target);
	free(node->data);
}

void cache_destroy(struct cache *cache)
{
	if (!cache)
		return;
	node_deinit(&cache->root);
	free(cache);
}

/* Where the name is, or would be, among the children. */
static size_t child_index(const struct node *node, const char *name, size_t name_bytes, bool *ret_found)
{
	size_t low = 0;
	size_t high = node->child_count;

	*ret_found = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const char *other = node->children[middle]->name;
		int order = strncmp(other, name, name_bytes);

		if (order == 0 && !other[name_bytes]) {
			*ret_found = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The child, made if it is not there. */
static struct node *child_of(struct node *node, const char *name, size_t name_bytes)
{
	bool found;
	size_t index = child_index(node, name, name_bytes, &found);

	if (found)
		return node->children[index];
	array_grow(node->children, node->child_count, node->child_capacity);
	memmove(node->children + index + 1, node->children + index,
		(node->child_count - index) * sizeof *node->children);
	node->child_count++;
	node->children[index] = xcalloc(1, sizeof **node->children);
	node->children[index]->name = xstrndup(name, name_bytes);
	return node->children[index];
}

/* Walks down; CACHE_FOUND also for a node of which nothing is known. */
static enum cache_answer walk(const struct cache *cache, const char *path, const struct node **ret_node)
{
	const struct node *node = &cache->root;

	for (path += strspn(path, "/"); *path; path += strspn(path, "/")) {
		size_t bytes = strcspn(path, "/");
		bool found;
		size_t index;

		if (node->target || strncmp(path, "..", bytes) == 0)
			return CACHE_UNKNOWN; /* "." and ".." too: those are not resolved */
		index = child_index(node, path, bytes, &found);
		if (!found)
			return node->is_complete ? CACHE_MISSING : CACHE_UNKNOWN;
		node = node->children[index];
		path += bytes;
	}
	*ret_node = node;
	return CACHE_FOUND;
}

enum cache_answer cache_find(const struct cache *cache, const char *path, struct cache_entry *ret_entry)
{
	const struct node *node;
	enum cache_answer answer = walk(cache, path, &node);

	if (answer != CACHE_FOUND)
		return answer;
	if (node->stat.kind == GUEST_MISSING)
		return CACHE_UNKNOWN;
	*ret_entry = (struct cache_entry){
		.stat = node->stat,
		.target = node->target,
		.data = node->data,
		.bytes = node->bytes,
	};
	return CACHE_FOUND;
}

enum cache_answer cache_list(const struct cache *cache, const char *path, struct strv *ret_names)
{
	const struct node *node;
	enum cache_answer answer = walk(cache, path, &node);

	if (answer != CACHE_FOUND)
		return answer;
	if (!node->is_complete)
		return CACHE_UNKNOWN;
	for (size_t i = 0; i < node->child_count; i++)
		strv_add(ret_names, node->children[i]->name);
	return CACHE_FOUND;
}

enum cache_answer cache_link(const struct cache *cache, const char *path, const char **ret_target)
{
	const struct node *node;
	enum cache_answer answer = walk(cache, path, &node);

	if (answer != CACHE_FOUND)
		return answer;
	*ret_target = node->target;
	return node->knows_link ? CACHE_FOUND : CACHE_UNKNOWN;
}

static struct node *make_node(struct cache *cache, const char *path)
{
	struct node *node = &cache->root;

	for (path += strspn(path, "/"); *path; path += strspn(path, "/")) {
		size_t bytes = strcspn(path, "/");

		if (strncmp(path, ".", bytes) != 0)
			node = child_of(node, path, bytes);
		path += bytes;
	}
	return node;
}

static void set_node(struct node *node, const struct guest_stat *stat, const char *target, char *data,
		     size_t bytes)
{
	free(node->target);
	free(node->data);
	node->stat = *stat;
	node->target = xstrdup(target);
	node->knows_link = true;
	node->data = data;
	node->bytes = bytes;
	/* In a fetched tree every folder comes with all its names. */
	node->is_complete = node->is_complete || stat->kind == GUEST_DIRECTORY;
}

void cache_add(struct cache *cache, const char *path, const struct guest_stat *stat, const char *target,
	       const char *content, size_t bytes)
{
	struct node *node = make_node(cache, path);
	bool was_complete = node->is_complete;
	char *data = NULL;

	if (content) {
		data = xmalloc(bytes + 1);
		memcpy(data, content, bytes);
		data[bytes] = '\0';
	}
	set_node(node, stat, target, data, bytes);
	node->is_complete = was_complete;
}

void cache_note_link(struct cache *cache, const char *path, const char *target)
{
	struct node *node = make_node(cache, path);

	if (node->knows_link)
		return;
	node->target = xstrdup(target);
	node->knows_link = true;
}

static enum guest_kind kind_of(mode_t type)
{
	switch (type) {
	case AE_IFREG:
		return GUEST_FILE;
	case AE_IFDIR:
		return GUEST_DIRECTORY;
	case AE_IFLNK:
		return GUEST_SYMLINK;
	default:
		return GUEST_OTHER;
	}
}

static struct err *read_content(struct archive *archive, struct archive_entry *entry, char **ret_data,
				size_t *ret_bytes)
{
	int64_t bytes = archive_entry_size(entry);
	CLEANUP_FREE char *data = NULL;
	la_ssize_t got;

	if (bytes < 0 || bytes > GUEST_READ_MAX_BYTES)
		return NULL; /* too large to be held */
	data = malloc((size_t)bytes + 1);
	if (!data)
		return err_nomem();
	got = archive_read_data(archive, data, (size_t)bytes);
	if (got != bytes)
		return err_failed("%s: cut short in the archive", archive_entry_pathname(entry));
	data[bytes] = '\0';
	*ret_data = take_ptr(data);
	*ret_bytes = (size_t)bytes;
	return NULL;
}

/* A second name of a file that came before. */
static void link_node(struct cache *cache, const char *dir, const char *first_name, struct node *node)
{
	CLEANUP_FREE char *path = xasprintf("%s/%s", dir, first_name);
	struct cache_entry first;

	if (cache_find(cache, path, &first) != CACHE_FOUND || !first.data)
		return;
	set_node(node, &first.stat, NULL, NULL, first.bytes);
	node->data = xmalloc(first.bytes + 1);
	memcpy(node->data, first.data, first.bytes + 1);
}

static struct err *add_entry(struct cache *cache, const char *dir, struct archive *archive,
			     struct archive_entry *entry)
{
	CLEANUP_FREE char *path = xasprintf("%s/%s", dir, archive_entry_pathname(entry));
	const struct guest_stat stat = {
		.kind = kind_of(archive_entry_filetype(entry)),
		.mode = archive_entry_perm(entry),
		.uid = (uid_t)archive_entry_uid(entry),
		.gid = (gid_t)archive_entry_gid(entry),
		.size_bytes = (uint64_t)archive_entry_size(entry),
		.mtime = archive_entry_mtime(entry),
	};
	CLEANUP_FREE char *data = NULL;
	struct node *node = make_node(cache, path);
	size_t bytes = 0;

	if (archive_entry_hardlink(entry)) {
		link_node(cache, dir, archive_entry_hardlink(entry), node);
		return NULL;
	}
	if (stat.kind == GUEST_FILE)
		TRY(read_content(archive, entry, &data, &bytes));
	set_node(node, &stat, stat.kind == GUEST_SYMLINK ? archive_entry_symlink(entry) : NULL,
		 take_ptr(data), bytes);
	return NULL;
}

struct err *cache_add_archive(struct cache *cache, const char *dir, struct archive *archive)
{
	struct archive_entry *entry;
	int status;

	while ((status = archive_read_next_header(archive, &entry)) == ARCHIVE_OK || status == ARCHIVE_WARN) {
		if (archive_entry_pathname(entry))
			TRY(add_entry(cache, dir, archive, entry));
	}
	if (status != ARCHIVE_EOF)
		return err_failed("%s: %s", dir, archive_error_string(archive));
	make_node(cache, dir)->is_complete = true;
	return NULL;
}

/* Removes the last component from its folder; the folder itself then is incomplete. */
void cache_forget(struct cache *cache, const char *path)
{
	struct node *node = &cache->root;

	for (path += strspn(path, "/"); *path;) {
		size_t bytes = strcspn(path, "/");
		const char *next = path + bytes + strspn(path + bytes, "/");
		bool found;
		size_t index = child_index(node, path, bytes, &found);

		if (!found) {
			node->is_complete = false;
			return;
		}
		if (!*next) {
			node_deinit(node->children[index]);
			free(node->children[index]);
			node->child_count--;
			memmove(node->children + index, node->children + index + 1,
				(node->child_count - index) * sizeof *node->children);
			node->is_complete = false;
			return;
		}
		node = node->children[index];
		path = next;
	}
}
