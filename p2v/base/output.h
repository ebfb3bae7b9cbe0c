/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A file that appears under its name only when it is whole.  Until then it lies in
 * a scratch folder beside it, which goes away with us.
 */
#ifndef P2V_BASE_OUTPUT_H
#define P2V_BASE_OUTPUT_H

#include "p2v/base/err.h"

struct output;

/* ERR_REFUSED: the name is taken, or the folder cannot be written. */
struct err *output_begin(const char *final_path, struct output **ret_output) ERR_MUST_CHECK;
const char *output_path(const struct output *output); /* where to write it */
/* The same error, of the file that is being made, by the name that it was to have; its errno is lost.  NULL
 * stays NULL. */
struct err *output_name_it(const struct output *output, struct err *err) ERR_MUST_CHECK;
const char *output_folder(const struct output *output); /* the folder that it will be in */
/* The file, which must be closed and flushed, gets its name; durable when this returns. */
struct err *output_commit(struct output *output) ERR_MUST_CHECK;
void output_destroy(struct output *output); /* takes NULL; what was not committed goes */

DEFINE_CLEANUP(output, struct output *, output_destroy)
#define CLEANUP_OUTPUT CLEANUP(cleanup_output)

#endif
