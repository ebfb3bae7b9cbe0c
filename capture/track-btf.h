/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which argument of a kernel's trace point is what: they have changed, and the kernel tells (BTF). */
#ifndef CAPTURE_TRACK_BTF_H
#define CAPTURE_TRACK_BTF_H

#include "p2v/base/err.h"

struct track_btf;

/* The running kernel's; an error if it tells nothing of itself. */
struct err *track_btf_open(struct track_btf **ret_btf) ERR_MUST_CHECK;
void track_btf_close(struct track_btf *btf); /* takes NULL */

/* The index, from 0, of the first argument that is a pointer to that struct; an error if there is none. */
struct err *track_btf_find_argument(const struct track_btf *btf, const char *trace_point,
				    const char *struct_name, unsigned *ret_index) ERR_MUST_CHECK;

DEFINE_CLEANUP(track_btf, struct track_btf *, track_btf_close)
#define CLEANUP_TRACK_BTF CLEANUP(cleanup_track_btf)

#endif
