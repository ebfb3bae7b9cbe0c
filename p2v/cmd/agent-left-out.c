/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Linked into p2v-agent in place of what would need libraries that cannot be
 * linked statically: guests (libguestfs) and NBD (libnbd).
 */
#include "p2v/base/blk.h"
#include "p2v/cmd/scan.h"

struct err *scan_images(const struct strv *sources, const struct scan_options *options)
{
	(void)options;
	return err_advise(err_usage("%s: p2v-agent looks at this machine only", sources->items[0]),
			  "'p2v scan' looks into images");
}

struct err *blk_nbd_open(const char *uri, unsigned flags, struct blk **ret_blk)
{
	(void)flags;
	(void)ret_blk;
	return err_advise(err_refused("%s: p2v-agent does not speak NBD", uri),
			  "name a device or an image file, or use 'p2v send'");
}
