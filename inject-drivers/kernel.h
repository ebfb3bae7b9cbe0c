/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One kernel of a guest: the modules it has, those that are in its initramfs,
 * and what it lacks for the targets.
 */
#ifndef INJECT_DRIVERS_KERNEL_H
#define INJECT_DRIVERS_KERNEL_H

#include "inject-drivers/drivers.h"
#include "inject-drivers/initramfs.h"
#include "inject-drivers/inject.h"
#include "inject-drivers/modules.h"
#include "p2v/base/strv.h"
#include "p2v/guest/inspect.h"

/* Zero-initialised is empty. */
struct kernel {
	const struct guest_kernel *guest; /* the inspection's */
	struct module_tree tree;
	struct initramfs initramfs; /* no entries: none, or not understood */
	char *problem; /* why its initramfs cannot be changed; NULL if it can */
	char *tree_problem; /* why its modules are not known; NULL if they are */
	struct strv present; /* names of modules in the initramfs */
	struct strv added; /* names of drivers that it gets */
	struct strv added_files; /* their files and their dependencies', below tree.dir */
	struct strv added_modules; /* the names of those files' modules */
	struct inject_overrides overrides; /* what changes in its configuration files */
};

void kernel_deinit(struct kernel *kernel);

/* Reads the modules, and the initramfs if host_file (a copy of it) is not NULL.  What is wrong with
 * either becomes a problem of *ret_kernel; an error means that this machine failed. */
struct err *kernel_read(struct guest *guest, const struct guest_kernel *guest_kernel, const char *host_file,
			struct kernel *ret_kernel) ERR_MUST_CHECK;

/* Settles added and added_files for these targets.  DRIVER_OPTIONAL ones come along only where something
 * is lacking, or with_optional is set because the initramfs is written for another reason. */
void kernel_choose_drivers(struct kernel *kernel, unsigned targets, bool with_optional);

/* What the initramfs does not get after all: the reason becomes the problem, and nothing is added. */
void kernel_give_up(struct kernel *kernel, const char *problem);

/* Adds the names of the kernel's modules in an initramfs. */
void kernel_list_modules(const struct kernel *kernel, const struct initramfs *initramfs, struct strv *names);

/* In the initramfs (as it will be), or built in. */
bool kernel_has_at_boot(const struct kernel *kernel, const char *module);

/* Adds to names the drivers of this need that the kernel has neither at boot nor, but for DRIVER_BOOT,
 * among its modules.  Alternatives are joined by " or ". */
void kernel_add_lacking(const struct kernel *kernel, const struct driver_family *family,
			enum driver_need need, struct strv *names);

/* enum target bits: where all DRIVER_BOOT ones are there at boot. */
unsigned kernel_bootable_targets(const struct kernel *kernel);

/* Adds the modules, in the order of the table, that the targets' initramfs must hold and the kernel has
 * as files: what the persistent setting names. */
void kernel_add_setting(const struct kernel *kernel, unsigned targets, struct strv *names);

#endif
