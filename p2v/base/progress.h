/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Progress of long work.  A library counts bytes with progress_add(); the
 * command decides how it is shown: a bar on a terminal, a line every 10 s
 * elsewhere, JSON lines on request.
 */
#ifndef P2V_BASE_PROGRESS_H
#define P2V_BASE_PROGRESS_H

#include <stdint.h>
#include <stdio.h>

enum progress_style {
	PROGRESS_NONE,
	PROGRESS_AUTO, /* PROGRESS_BAR if the stream is a terminal, else PROGRESS_LINES */
	PROGRESS_BAR,
	PROGRESS_LINES,
	PROGRESS_JSON, /* {"progress":{"what":…,"done_bytes":…,"total_bytes":…,"bytes_per_second":…,"remaining_seconds":…}}
			*/
};

struct progress;

/* The stream and the text stay the caller's and must live as long. */
struct progress *progress_create(FILE *stream, enum progress_style style, const char *what,
				 uint64_t total_bytes);

/* For who knows only later how much there is.  Takes a NULL progress. */
void progress_set_total(struct progress *progress, uint64_t total_bytes);

/* Thread-safe; draws at most a few times a second.  Takes a NULL progress. */
void progress_add(struct progress *progress, uint64_t bytes);

/* Draws the end and frees.  Takes NULL. */
void progress_destroy(struct progress *progress);

#endif
