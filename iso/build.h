/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `p2v iso build`: the boot medium from Debian's packages and the agent. */
#ifndef ISO_BUILD_H
#define ISO_BUILD_H

#include "iso/build-packages.h"

/* Zero-initialised but for those that say so. */
struct iso_build_options {
	struct packages_options packages; /* suite and log must be set */
	const char *agent; /* must be set: the p2v-agent that the medium runs */
	const char *packages_dir; /* NULL: packages are fetched for this once; else kept there, and used from
				     there */
	const char *temporary_dir; /* must be set: 2 GiB are wanted there */
	const char *iso; /* must be set: the file to make, which must not exist */
	const char *pxe_dir; /* NULL: none; else the folder to make, which must not exist */
};

/* Nothing is left behind where it fails or is interrupted, but for a packages_dir that is whole. */
struct err *iso_build(const struct iso_build_options *options) ERR_MUST_CHECK;

#endif
