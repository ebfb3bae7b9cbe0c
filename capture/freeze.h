/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Mounted file systems held still: each is clean on its disk, and who would write to it waits (FIFREEZE).
 *
 * A server must not stay so because we failed.  So there is a dead man's process, which thaws them when we
 * end, whatever ends us, and when the time limit is over, whatever we do; unless it was told that the copy is
 * complete: from then on nothing thaws them any more.
 *
 * While they are frozen the caller must not write to any of them: it would wait for itself.
 */
#ifndef CAPTURE_FREEZE_H
#define CAPTURE_FREEZE_H

#include <stdbool.h>
#include <stdint.h>

#include "p2v/base/err.h"
#include "p2v/base/strv.h"

struct freeze;

/* Opens the mount points, in the order in which they are to be frozen (mounted_on()), and starts the dead
 * man's process.  They are frozen for at most limit_ns at a time, counted from the first one on. */
struct err *freeze_create(const struct strv *points, uint64_t limit_ns, struct freeze **ret_freeze)
	ERR_MUST_CHECK;
/* Thaws what is frozen, unless it is for good.  Takes NULL. */
void freeze_destroy(struct freeze *freeze);

/* Writes out what waits in memory, so that freezing takes little time. */
struct err *freeze_flush(struct freeze *freeze) ERR_MUST_CHECK;

/*
 * Freezes all of them, or, on error, none.  ERR_REFUSED: somebody else holds one frozen, or our memory cannot
 * be locked.  A kind that cannot be frozen (FAT) is written out instead, and counted in *ret_unable: whether
 * somebody writes to it the disk alone can tell.
 */
struct err *freeze_hold(struct freeze *freeze, unsigned *ret_unable) ERR_MUST_CHECK;

/* An error if any has not been frozen all the time since freeze_hold(): it took too long, or somebody else
 * has thawed it.  Also to be asked of those that stay frozen for good. */
struct err *freeze_check(struct freeze *freeze) ERR_MUST_CHECK;

/* Until the time limit; 0 when it is over, or nothing is frozen. */
uint64_t freeze_left_ns(const struct freeze *freeze);

/* Thaws them. */
void freeze_release(struct freeze *freeze);

/* They stay frozen for good: neither our end nor the time limit thaws them from now on.  An error, as of
 * freeze_check(), if that came too late. */
struct err *freeze_keep(struct freeze *freeze) ERR_MUST_CHECK;

DEFINE_CLEANUP(freeze, struct freeze *, freeze_destroy)
#define CLEANUP_FREEZE CLEANUP(cleanup_freeze)

#endif
