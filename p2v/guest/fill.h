/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Fills an image that is served with `fill_from` (see p2v/guest/serve.h), in
 * the background, while the appliance works on it: the server copies, this
 * only tells it what, by NBD's cache request.
 */
#ifndef P2V_GUEST_FILL_H
#define P2V_GUEST_FILL_H

#include "p2v/base/err.h"
#include "p2v/base/extents.h"
#include "p2v/base/progress.h"

struct fill;

/* Starts to fill `data` (kept by reference, as progress is) over connections of its own. */
struct err *fill_start(const char *nbd_uri, const struct extents *data, struct progress *progress,
		       struct fill **ret_fill) ERR_MUST_CHECK;

/* Waits for the end and frees. */
struct err *fill_finish(struct fill *fill) ERR_MUST_CHECK;

/* Stops early and frees; takes NULL. */
void fill_abandon(struct fill *fill);

DEFINE_CLEANUP(fill, struct fill *, fill_abandon)
#define CLEANUP_FILL CLEANUP(cleanup_fill)

#endif
