/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is found wrong with a file, while it is read.
 *
 * Each part of the format has one function that reads and judges it.  Opening a
 * file and checking it both call that function: opening stops at the first
 * fatal finding and logs the others, checking reports all of them.
 */
#ifndef VHDX_FINDINGS_H
#define VHDX_FINDINGS_H

#include "p2v/base/err.h"
#include "p2v/base/log.h"
#include "vhdx/vhdx.h"

enum finding_level {
	FINDING_WARNING,
	FINDING_ERROR,
	FINDING_FATAL, /* an error that makes the file unusable, or unsafe to use */
};

struct findings {
	const char *name; /* of the file */
	const struct log *log; /* opening: findings that are not fatal go here */
	vhdx_finding_fn fn; /* checking: all go here */
	void *arg;
	struct vhdx_check_result counts;
	struct err *fatal; /* the first one, as ERR_REFUSED; findings_take_error() */
};

/* One finding; file_offset says where. */
void findings_add(struct findings *findings, enum finding_level level, uint64_t file_offset,
		  const char *format, ...) __attribute__((format(printf, 4, 5)));

/* A fatal finding for which something better can be advised than another copy of the file. */
void findings_add_fatal(struct findings *findings, uint64_t file_offset, const char *advice,
			const char *format, ...) __attribute__((format(printf, 4, 5)));

/* The first fatal finding, NULL if there was none; it is the caller's then. */
struct err *findings_take_error(struct findings *findings) ERR_MUST_CHECK;

void findings_deinit(struct findings *findings);
#define CLEANUP_FINDINGS CLEANUP(findings_deinit)

#endif
