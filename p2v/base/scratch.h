/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A folder for work in progress that never stays behind: it is removed by
 * scratch_destroy(), and, should this process die before, by a guardian
 * (p2v/base/guardian.h).
 */
#ifndef P2V_BASE_SCRATCH_H
#define P2V_BASE_SCRATCH_H

#include "p2v/base/err.h"

struct scratch;

/* Makes PARENT/PREFIX.XXXXXX (mode 0700). */
struct err *scratch_create(const char *parent, const char *prefix, struct scratch **ret_scratch)
	ERR_MUST_CHECK;
const char *scratch_path(const struct scratch *scratch);

/* PATH/name; the caller frees it. */
char *scratch_file(const struct scratch *scratch, const char *name);

/* The folder becomes final_path (same file system, must not exist) and *scratch NULL; on error the
 * folder stays scratch. */
struct err *scratch_commit(struct scratch **scratch, const char *final_path) ERR_MUST_CHECK;

/* Removes the folder with all that is in it.  Takes NULL. */
void scratch_destroy(struct scratch *scratch);

DEFINE_CLEANUP(scratch, struct scratch *, scratch_destroy)
#define CLEANUP_SCRATCH CLEANUP(cleanup_scratch)

#endif
