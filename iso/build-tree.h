/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The files of an initramfs, collected first and then written as one cpio
 * archive ("newc", Documentation/driver-api/early-userspace/buffer-format.rst
 * in Linux's source).  The same files in any order give the same archive: it is
 * sorted, owned by root, and of one date.
 */
#ifndef ISO_BUILD_TREE_H
#define ISO_BUILD_TREE_H

#include <stdint.h>
#include <sys/types.h>

#include "p2v/base/err.h"

struct image_tree;

struct image_tree *image_tree_create(void);
void image_tree_destroy(struct image_tree *tree); /* takes NULL */
DEFINE_CLEANUP(image_tree, struct image_tree *, image_tree_destroy)
#define CLEANUP_IMAGE_TREE CLEANUP(cleanup_image_tree)

/*
 * Paths are absolute.  Folders above an entry are made by themselves.  A path that is there already stays as
 * it is.  Modes are of the lower twelve bits.
 */
void image_tree_add_folder(struct image_tree *tree, const char *path, mode_t mode);
void image_tree_add_text(struct image_tree *tree, const char *path, mode_t mode, const char *text);
void image_tree_add_link(struct image_tree *tree, const char *path, const char *target);
void image_tree_add_device(struct image_tree *tree, const char *path, mode_t mode, dev_t device);
/* The content of `source`, which is read when the archive is written. */
void image_tree_add_file(struct image_tree *tree, const char *path, mode_t mode, const char *source);

/* Writes the archive to a new file, compressed by zstd.  epoch: the date of every entry. */
struct err *image_tree_write(struct image_tree *tree, const char *path, uint64_t epoch) ERR_MUST_CHECK;

#endif
