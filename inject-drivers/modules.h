/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The modules that a kernel has: /lib/modules/VERSION as depmod(8) left it
 * (modules.dep(5); modules.softdep, modules.builtin and modules.alias as kmod
 * writes them).  Names of modules have '_' here, never '-'.
 */
#ifndef INJECT_DRIVERS_MODULES_H
#define INJECT_DRIVERS_MODULES_H

#include <stdbool.h>
#include <stddef.h>

#include "p2v/base/err.h"
#include "p2v/base/strv.h"
#include "p2v/guest/guest.h"

struct module {
	char *name;
	char *file; /* below the tree's dir: "kernel/drivers/block/virtio_blk.ko.xz" */
	char *needs; /* files it depends on, direct and indirect, separated by spaces */
};

/* Zero-initialised is a kernel without modules. */
struct module_tree {
	char *dir; /* in the guest: "/usr/lib/modules/6.1.0-35-amd64" */
	struct module *modules; /* sorted by name */
	size_t count;
	size_t capacity;
	struct strv built_in; /* names, sorted */
	char *softdep; /* the files' text; "" if there is none */
	char *alias;
};

/* The files read, for guest_fetch(): names below the modules folder, NULL-ended. */
extern const char *const module_tree_files[];

/* dir is in the guest.  ERR_REFUSED if there is no modules.dep. */
struct err *module_tree_read(struct guest *guest, const char *dir, struct module_tree *ret_tree)
	ERR_MUST_CHECK;
void module_tree_deinit(struct module_tree *tree);
#define CLEANUP_MODULE_TREE CLEANUP(module_tree_deinit)

const struct module *module_tree_find(const struct module_tree *tree, const char *name);
bool module_tree_has_built_in(const struct module_tree *tree, const char *name);

/* Adds to files what must be there for the module to load: its file, its dependencies', and those of
 * its soft dependencies that the kernel has.  Nothing for a module that is unknown or built in. */
void module_tree_add_needed(const struct module_tree *tree, const char *name, struct strv *files);

/* The name of the module in a file ("…/xen-blkfront.ko.zst": "xen_blkfront"), NULL if it is no module;
 * the caller frees it. */
char *module_name_of_file(const char *path);

/* Turns every '-' into '_', in place. */
void module_name_normalise(char *name);

#endif
