/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Guests made of a folder, for the tests of this folder. */
#ifndef TESTS_GUEST_LIB_TREE_H
#define TESTS_GUEST_LIB_TREE_H

#include "p2v/guest/guest.h"

/* path "…/" is a folder; content "->target" is a symbolic link; anything else is a file. */
struct tree_entry {
	const char *path;
	const char *content;
};

struct tree {
	char *root; /* …/guest of a temporary folder, so that there is something outside it */
	struct guest *guest;
};

/* A fresh temporary folder with the entries (ended by a NULL path), opened.  Fails the test on error. */
struct tree *tree_create(const struct tree_entry *entries);
void tree_add(struct tree *tree, const char *path, const char *content);
void tree_add_bytes(struct tree *tree, const char *path, const void *data, size_t bytes);

/* Host path of something in the tree; the caller frees it. */
char *tree_host_path(const struct tree *tree, const char *path);
void tree_destroy(struct tree *tree);

/* Content of a guest's file, NULL if missing; the caller frees it. */
char *tree_read(struct tree *tree, const char *path);

/* Fails the test with the error's text if there is one. */

/* Fails the test unless there is an error of that kind whose message contains the text; frees it. */

/* A file of $P2V_CORPORA (default ../shared/corpora), NULL if the folder is absent. */
char *corpus_path(const char *name);

/* The whole of a host file, NUL-terminated; NULL if it cannot be read. */
char *read_host(const char *path, size_t *ret_bytes);

DEFINE_CLEANUP(tree, struct tree *, tree_destroy)
#define CLEANUP_TREE CLEANUP(cleanup_tree)

/* nbdkit, as the product starts it, loads no plugin that is built with sanitizers. */
#ifdef __SANITIZE_ADDRESS__
#define PLUGIN_CAN_BE_SERVED 0
#else
#define PLUGIN_CAN_BE_SERVED 1
#endif

#endif
