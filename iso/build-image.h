/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is in the boot medium's initramfs. */
#ifndef ISO_BUILD_IMAGE_H
#define ISO_BUILD_IMAGE_H

#include <stdbool.h>

#include "iso/build-packages.h"

/* Writes the initramfs to a new file.  agent: the p2v-agent to run there; work_dir: an empty folder on the
 * packages' file system. */
struct err *image_write(const struct packages *packages, const char *agent, bool with_firmware,
			const char *work_dir, const char *path) ERR_MUST_CHECK;

#endif
