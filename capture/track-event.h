/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The kernel's classic trace points of block devices, by tracefs, whose folder is given. */
#ifndef CAPTURE_TRACK_EVENT_H
#define CAPTURE_TRACK_EVENT_H

#include <bpf/libbpf.h>

#include "capture/track-shared.h"
#include "p2v/base/err.h"

/* ERR_REFUSED: its records are not as the programs need them. */
struct err *track_event_find_fields(int tracefs, const char *event, struct track_fields *ret_fields)
	ERR_MUST_CHECK;
/* A descriptor, the caller's, to attach a program to. */
struct err *track_event_open(int tracefs, const char *event, int *ret_fd) ERR_MUST_CHECK;
/* The program is run for each such event. */
struct err *track_event_attach(int tracefs, const char *event, const struct bpf_program *program,
			       struct bpf_link **ret_link) ERR_MUST_CHECK;

#endif
