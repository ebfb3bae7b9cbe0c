/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which of a kernel's modules the boot medium has: those that a server's disks,
 * network cards, consoles and file systems may need, and what these need
 * themselves (modules.dep(5), and modules.softdep as kmod writes it).
 */
#ifndef ISO_BUILD_MODULES_H
#define ISO_BUILD_MODULES_H

#include <stdbool.h>

#include "p2v/base/err.h"
#include "p2v/base/strv.h"

/* True if the medium has that module for its own sake; file is as in modules.dep: "kernel/fs/ext4/ext4.ko".
 */
bool modules_is_wanted(const char *file);

/* Adds to files all wanted modules of `dep` (the text of modules.dep) with their dependencies, and those that
 * `softdep` (the text of modules.softdep) names for them, sorted, each once. */
void modules_choose(const char *dep, const char *softdep, struct strv *files);

#endif
