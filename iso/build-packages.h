/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The Debian packages that the boot medium is made of, unpacked in a folder.
 * Nothing of them is installed and no program of theirs runs as root of its own;
 * those that the build itself needs (depmod, grub-mkimage) run from there, by
 * the folder's own loader and libraries, so that the result does not depend on
 * the versions of the machine that builds.
 */
#ifndef ISO_BUILD_PACKAGES_H
#define ISO_BUILD_PACKAGES_H

#include <stdbool.h>

#include "p2v/base/log.h"
#include "p2v/base/run.h"
#include "p2v/base/strv.h"

struct packages_options {
	const char *suite; /* "bookworm" */
	const struct strv
		*mirrors; /* as mmdebstrap takes them; none: where this machine's apt takes its own */
	bool firmware; /* also those of non-free-firmware */
	const struct log *log;
};

/* Zero-initialised is none. */
struct packages {
	char *dir;
	char *kernel_release; /* "6.1.0-56-amd64" */
	uint64_t epoch; /* seconds: when the kernel's package was made, unless $SOURCE_DATE_EPOCH says
			   otherwise */
	const struct log *log;
};

/* Unpacks them below dir, which must exist and be empty.  ERR_REFUSED, where a program is missing. */
struct err *packages_fetch(const struct packages_options *options, const char *dir) ERR_MUST_CHECK;

/* True if packages_fetch() has filled that folder to the end. */
bool packages_are_in(const char *dir);

/* What lies there; ERR_REFUSED, where it is not what the options ask for. */
struct err *packages_open(const struct packages_options *options, const char *dir,
			  struct packages *ret_packages) ERR_MUST_CHECK;
void packages_deinit(struct packages *packages);
#define CLEANUP_PACKAGES CLEANUP(packages_deinit)

/* The file's path, by its path in a system ("/usr/sbin/mdadm"), wherever its package puts it: a system has
 * /usr/sbin and /sbin as one.  The caller frees it; ERR_FAILED if there is none. */
struct err *packages_find(const struct packages *packages, const char *path, char **ret_path) ERR_MUST_CHECK;

/* Runs the packages' program of that path in a system; the arguments are NULL-ended and without its name. */
struct err *packages_run(const struct packages *packages, const char *program, const char *const *arguments,
			 struct run_result *ret_result) ERR_MUST_CHECK;

/* Adds the paths (in a system) of the shared libraries that the program loads, itself not. */
struct err *packages_list_libraries(const struct packages *packages, const char *program,
				    struct strv *libraries) ERR_MUST_CHECK;

#endif
