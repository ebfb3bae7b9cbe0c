/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Settings in a boot medium that `p2v iso build` made, or in a config.img beside one. */
#ifndef ISO_CONFIGURE_H
#define ISO_CONFIGURE_H

#include "p2v/base/blk.h"

/* The text of the medium's configuration (see config-image.h), which the caller frees.  ERR_REFUSED if the
 * image is not a medium of ours. */
struct err *configure_read(struct blk *medium, char **ret_text) ERR_MUST_CHECK;

/* Replaces it in place and makes it durable.  ERR_REFUSED, and nothing is written, also if it does not fit.
 */
struct err *configure_write(struct blk *medium, const char *text) ERR_MUST_CHECK;

#endif
