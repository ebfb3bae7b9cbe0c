/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Small disks with a system on them, made without mounting anything. */
#ifndef TESTS_GUEST_LIB_DISK_H
#define TESTS_GUEST_LIB_DISK_H

#include <stdint.h>

#include "tests/guest/lib-tree.h"

/* A sparse file in the tree's own parent folder; the caller frees its path. */
char *disk_create(const struct tree *tree, const char *name, unsigned size_mib);

/* Writes a partition table by sfdisk(8)'s script. */
void disk_partition(const char *disk, const char *script);

/* An ext4 file system in a partition, filled from a folder.  uuid may be NULL. */
void disk_make_ext4(const char *disk, unsigned start_mib, unsigned size_mib, const char *folder,
		    const char *uuid);

/* Runs e2fsck without changes; fails the test if it finds anything to mend. */
void disk_check_ext4(const char *disk, unsigned start_mib);

/* Runs a debugfs request on a file system. */
void disk_debugfs(const char *disk, unsigned start_mib, const char *request);

/* Runs a program; fails the test with its message if it fails. */
void run_tool(const char *const *argv);

#endif
